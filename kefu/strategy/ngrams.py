"""Character n-grams, weighted by TF-IDF: the wording that sentence embeddings smooth away (请稍等, 祝您)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kefu.strategy.encoder import Vectors

LONGEST = 3
MOST = 3000  # n-grams kept: rarer ones cost minutes of training and tell next to nothing


def _grams(text: str) -> Iterator[str]:
    text = " ".join(text.lower().split())
    for size in range(1, LONGEST + 1):
        for start in range(len(text) - size + 1):
            yield text[start : start + size]


class CharacterNgrams:
    """Turns texts into unit vectors over the commonest n-grams (1 to 3 characters) that two training texts share."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights = dict(weights)
        self._columns = {gram: i for i, gram in enumerate(self.weights)}

    @classmethod
    def fit(cls, texts: Sequence[str]) -> CharacterNgrams:
        """Weighs each n-gram by its smoothed inverse document frequency."""
        documents = Counter(gram for text in texts for gram in set(_grams(text)))
        common = sorted(documents.items(), key=lambda item: (-item[1], item[0]))[:MOST]
        shared = sorted(gram for gram, count in common if count >= 2)
        return cls({gram: round(math.log((1 + len(texts)) / (1 + documents[gram])) + 1.0, 4) for gram in shared})

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """(texts, n-grams) float32; zeros for a text that shares none."""
        rows = np.zeros((len(texts), len(self._columns)), np.float32)
        for row, text in zip(rows, texts):
            for gram, count in Counter(_grams(text)).items():
                if gram in self._columns:
                    row[self._columns[gram]] = (1.0 + math.log(count)) * self.weights[gram]
            row /= max(float(np.linalg.norm(row)), 1e-6)
        return rows
