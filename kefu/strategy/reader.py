"""Reads off an agent's text which strategy it carries out: human agents' turns come without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kefu.strategy.encoder import Encoder, Vectors
from kefu.strategy.network import Floats, Ints, Network, fit_linear, softmax
from kefu.strategy.ngrams import CharacterNgrams
from kefu.taxonomy import STRATEGIES

LABELS = tuple(STRATEGIES)
# Weights of the two halves of the input and of the penalty, best of a small grid in cross-validation.
_EMBEDDING, _NGRAMS, _PENALTY = 2.0, 1.5, 1.0 / 3.0


@dataclass(frozen=True)
class Reader:
    """A linear classifier on embedding and n-grams; ``mean`` (dimension,) is what embeddings are centred by."""

    encoder: Encoder
    mean: Vectors
    ngrams: CharacterNgrams
    network: Network

    def __call__(self, texts: Sequence[str]) -> dict[str, dict[str, float]]:
        """Strategy probabilities by text."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return {}
        rows = softmax(self.network(_inputs(self.encoder, self.mean, self.ngrams, distinct)))
        return {text: {label: float(p) for label, p in zip(LABELS, row)} for text, row in zip(distinct, rows)}


def _inputs(encoder: Encoder, mean: Vectors, ngrams: CharacterNgrams, texts: Sequence[str]) -> Floats:
    vectors = encoder.encode(texts) - mean
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    inputs: Floats = np.concatenate([_EMBEDDING * vectors, _NGRAMS * ngrams(texts)], axis=1).astype(np.float32)
    return inputs


def train_reader(encoder: Encoder, texts: Sequence[str], strategies: Ints) -> Reader:
    """Fits on agent texts; ``strategies`` are indices into LABELS, (texts,)."""
    mean = encoder.encode(texts).mean(0)
    ngrams = CharacterNgrams.fit(texts)
    network = fit_linear(_inputs(encoder, mean, ngrams, texts), strategies, len(LABELS), _PENALTY)
    return Reader(encoder, mean, ngrams, network)
