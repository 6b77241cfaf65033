"""Finds the passages that answer a message: BM25 over words and cosine over sentence embeddings, fused by rank.

Reciprocal rank fusion (Cormack et al., 2009): a passage's score is the sum of 1 / (60 + rank) over both rankings.
"""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kefu.knowledge.passage import Passage
from kefu.knowledge.sources import read_passages
from kefu.settings import Settings, settings

Vectors = npt.NDArray[np.float32]
# Of reciprocal rank fusion.
_K = 60
# Passages of a ranking that take part in the fusion.
_DEPTH = 20
# What a passage gains whose intents hold the message's: more than a first place in one ranking.
INTENT_BONUS = 0.02
# Least centred cosine of a passage that has the message's intent, of any where the intent is unknown, and of one that
# has other intents. On the NLU examples they keep nine in ten questions and drop nine in ten remarks.
FLOOR_SAME_INTENT, FLOOR, FLOOR_OTHER_INTENT = 0.25, 0.42, 0.5
_VERSION = 1


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(texts, dimension) float32."""


def words(text: str) -> list[str]:
    """Words of ``text`` as jieba cuts them, compounds also in their parts; punctuation dropped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel(logging.WARNING)
    return [w.lower() for w in jieba.cut_for_search(text) if any(c.isalnum() for c in w)]


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Vectors = (vectors / np.maximum(norms, 1e-9)).astype(np.float32)
    return unit


class Retriever:
    """An index over passages, in memory. Safe to share between threads."""

    def __init__(self, passages: Sequence[Passage], encoder: Encoder, cache: Path | None = None) -> None:
        import bm25s

        self._passages = list(passages)
        self._encoder = encoder
        texts = [f"{p.title} {p.text} {' '.join(p.questions)}" for p in self._passages]
        self._bm25: Any = None
        self._vocabulary: set[str] = set()
        corpus = [words(text) for text in texts]
        if any(corpus):
            self._bm25 = bm25s.BM25()
            self._bm25.index(corpus, show_progress=False)
            self._vocabulary = {w for document in corpus for w in document}
        # several vectors to a passage: its text, and each question that it answers
        self._owners = np.array(
            [i for i, p in enumerate(self._passages) for _ in range(1 + len(p.questions))], np.int64
        )
        vectors = self._embedded(cache)
        # Embeddings of short texts crowd in one corner; told apart by where they lie about their mean.
        self._mean = vectors.mean(0) if len(vectors) else np.zeros(1, np.float32)
        self._vectors = _unit(vectors - self._mean)

    @classmethod
    def load(cls, chosen: Settings | None = None) -> Retriever:
        """The index over the data folder's passages, with the encoder of the settings.

        Raises:
            NotFound, DataError: of the data.
            ModelNotFound, ModelCorrupt: of the encoder.
        """
        from kefu.strategy.encoder import load_encoder

        chosen = chosen or settings()
        return cls(read_passages(chosen.data_dir), load_encoder(chosen.encoder), chosen.cache)

    @property
    def passages(self) -> tuple[Passage, ...]:
        """All passages of the index."""
        return tuple(self._passages)

    def search(self, query: str, intent: str | None = None, k: int = 3) -> list[tuple[Passage, float]]:
        """At most ``k`` (passage, score), best first; none that is not about the query."""
        if not query.strip() or not self._passages:
            return []
        cosine, lexical = self._cosine(query), self._lexical(query)
        scores = np.zeros(len(self._passages))
        for ranking in (cosine, lexical):
            order = np.argsort(-ranking, kind="stable")[:_DEPTH]
            for rank, index in enumerate(order):
                if ranking[index] > 0:
                    scores[index] += 1 / (_K + rank + 1)
        same = np.array([intent in passage.intents for passage in self._passages])
        scores[same & (scores > 0)] += INTENT_BONUS
        floor = np.where(same, FLOOR_SAME_INTENT, FLOOR if intent is None else FLOOR_OTHER_INTENT)
        scores[cosine < floor] = 0
        best = [int(i) for i in np.argsort(-scores, kind="stable")[:k] if scores[i] > 0]
        return [(self._passages[i], float(scores[i])) for i in best]

    def search_by(self, ranking: str, query: str, intent: str | None = None, k: int = 3) -> list[tuple[Passage, float]]:
        """As ``search``, by ``words`` or ``meaning`` alone and without floors: to measure what each brings."""
        if not query.strip() or not self._passages:
            return []
        values = self._lexical(query) if ranking == "words" else self._cosine(query)
        scores = np.zeros(len(self._passages))
        for rank, index in enumerate(np.argsort(-values, kind="stable")[:_DEPTH]):
            if values[index] > 0:
                scores[index] = 1 / (_K + rank + 1)
        same = np.array([intent in passage.intents for passage in self._passages])
        scores[same & (scores > 0)] += INTENT_BONUS
        best = [int(i) for i in np.argsort(-scores, kind="stable")[:k] if scores[i] > 0]
        return [(self._passages[i], float(scores[i])) for i in best]

    def _lexical(self, query: str) -> npt.NDArray[np.float64]:
        """BM25 scores, (passages,)."""
        asked = [w for w in words(query) if w in self._vocabulary]
        if self._bm25 is None or not asked:
            return np.zeros(len(self._passages))
        return np.asarray(self._bm25.get_scores(asked), np.float64)

    def _cosine(self, query: str) -> npt.NDArray[np.float64]:
        """The best centred cosine of each passage's vectors with the query, (passages,)."""
        vector = _unit(self._encoder.encode([f"query: {query}"]) - self._mean)[0]
        best = np.full(len(self._passages), -1.0)
        np.maximum.at(best, self._owners, self._vectors @ vector)
        return best

    def _embedded(self, cache: Path | None) -> Vectors:
        """(vectors, dimension), from the cache where the same texts were embedded by the same encoder before."""
        texts = [
            t for p in self._passages for t in (f"passage: {p.title}：{p.text}", *(f"query: {q}" for q in p.questions))
        ]
        if not texts:
            return np.zeros((0, 1), np.float32)
        name = getattr(self._encoder, "name", type(self._encoder).__name__)
        digest = hashlib.sha256("\x00".join([str(_VERSION), name, *texts]).encode()).hexdigest()[:16]
        file = cache / f"knowledge-{digest}.npy" if cache else None
        if file and file.is_file():
            try:
                stored: Vectors = np.load(file)
                if stored.shape[0] == len(texts):
                    return stored
            except (OSError, ValueError):
                pass  # cut short: made anew below
        vectors = np.asarray(self._encoder.encode(texts), np.float32)
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            scratch = file.with_suffix(f".{os.getpid()}.tmp")
            with scratch.open("wb") as out:
                np.save(out, vectors)
            os.replace(scratch, file)
        return vectors
