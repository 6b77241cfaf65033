"""Finds the passages that answer a message: BM25 over characters and their pairs, and cosines of sentence embeddings.

The two are added up, each on its own scale (a convex combination beats ranks where the scales are known: Bruch et al.,
2023), and a passage that has the message's intent gains a fixed amount. The weights were chosen on the passages' own
questions, each left out of the index in its turn and one intent in five drawn at random; data/heldout/retrieval.jsonl
measures them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kefu.knowledge.passage import Passage
from kefu.knowledge.sources import read_passages
from kefu.knowledge.vectors import MemoryVectors, VectorStore
from kefu.settings import Settings, settings
from kefu.text_classifier.text import normalise

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
# Shares of a passage's cosine: that of its nearest text, and the mean over its title, its text and its questions.
_NEAREST, _MEAN = 1 / 3, 2 / 3
# What the best passage by words gains; the others gain in proportion to their BM25 scores.
_WORDS = 0.2
# What a passage gains whose intents hold the message's.
INTENT_BONUS = 0.2
# A title says what a passage is about: each of its terms counts as if it stood there three times.
_TITLE = 3
# Least centred cosine of a passage's nearest text where the passage has the message's intent, where the intent is
# unknown (in a chat it never is), and where the passage has other intents. On the NLU examples they keep nine in ten
# questions and drop nine in ten remarks.
FLOOR_SAME_INTENT, FLOOR, FLOOR_OTHER_INTENT = 0.15, 0.3, 0.5
# A passage without intents may answer any; it gets the middle of both.
_OPEN_BONUS, _OPEN_FLOOR = INTENT_BONUS / 2, 0.4
_VERSION = 2


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(texts, dimension) float32."""


@dataclass(frozen=True)
class Hit:
    """A passage found, and why.

    Attributes:
        score: what it is ranked by, ``cosine`` + words + intent.
        words_rank: its place among all passages by BM25, from 1; None where it shares no term with the query.
        meaning_rank: its place by cosine, from 1.
        cosine: centred, of its texts with the query, -1 to 1.
        same_intent: whether it has the message's intent.
    """

    passage: Passage
    score: float
    words_rank: int | None
    meaning_rank: int
    cosine: float
    same_intent: bool


def terms(text: str) -> list[str]:
    """What BM25 counts: Chinese characters and their pairs, whole runs of letters and digits; punctuation dropped.

    Pairs need no segmentation, which goes astray on short, mistyped messages, and find a word in any compound.
    """
    found: list[str] = []
    for run in re.findall(r"[a-z0-9.]+|[^\W_a-z0-9]+", normalise(text).lower()):
        if run[0].isascii():
            found += [run.strip(".")] if run.strip(".") else []
        else:
            found += [*run, *(run[i : i + 2] for i in range(len(run) - 1))]
    return found


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Vectors = (vectors / np.maximum(norms, 1e-9)).astype(np.float32)
    return unit


class Retriever:
    """An index over passages. Safe to share between threads."""

    def __init__(
        self,
        passages: Sequence[Passage],
        encoder: Encoder,
        cache: Path | None = None,
        database: str | None = None,
    ) -> None:
        """Embeds the passages, unless ``cache`` has them already.

        Args:
            cache: the folder that keeps the embeddings.
            database: SQLAlchemy URL of a PostgreSQL with pgvector that holds the vectors; None keeps them in memory.
        """
        import bm25s

        self._passages = list(passages)
        self._open = np.array([not passage.intents for passage in self._passages], bool)
        self._encoder = encoder
        self._bm25: Any = None
        self._vocabulary: set[str] = set()
        corpus = [
            [*terms(p.title) * _TITLE, *terms(p.text), *(t for q in p.questions for t in terms(q))]
            for p in self._passages
        ]
        if any(corpus):
            self._bm25 = bm25s.BM25()
            self._bm25.index(corpus, show_progress=False)
            self._vocabulary = {term for document in corpus for term in document}
        # several vectors to a passage: its text, its title, and each question that it answers
        owners = np.array([i for i, p in enumerate(self._passages) for _ in range(2 + len(p.questions))], np.int64)
        vectors, digest = self._embedded(cache)
        # Embeddings of short texts crowd in one corner; told apart by where they lie about their mean.
        self._mean = vectors.mean(0) if len(vectors) else np.zeros(1, np.float32)
        vectors = _unit(vectors - self._mean)
        self.vectors = len(vectors)
        self._vectors: VectorStore = MemoryVectors(vectors, owners, len(self._passages))
        if database is not None and len(vectors):
            from kefu.knowledge.pgvector import PgVectors

            self._vectors = PgVectors(database, digest, vectors, owners, len(self._passages))

    @classmethod
    def load(cls, chosen: Settings | None = None) -> Retriever:
        """The index over the data folder's passages, with the encoder and the store of the settings.

        Raises:
            NotFound, DataError: of the data.
            ModelNotFound, ModelCorrupt: of the encoder.
            SettingsError: the vectors are to live in a database that has no pgvector.
        """
        from kefu.strategy.encoder import load_encoder

        chosen = chosen or settings()
        database = chosen.database if chosen.knowledge_store == "pgvector" else None
        return cls(read_passages(chosen.data_dir), load_encoder(chosen.encoder), chosen.cache, database)

    @property
    def passages(self) -> tuple[Passage, ...]:
        """All passages of the index."""
        return tuple(self._passages)

    def search(self, query: str, intent: str | None = None, k: int = 3) -> list[tuple[Passage, float]]:
        """At most ``k`` (passage, score), best first; none that is not about the query."""
        return [(hit.passage, hit.score) for hit in self.hits(query, intent, k)]

    def carried_on(self, text: str, intent: str, matter: str, k: int = 3) -> list[tuple[Passage, float]]:
        """As ``search``, for a message of ``intent`` that only carries ``matter`` on: passages that answer the matter.

        They have to be about the message itself, by the floor for other intents. An order's number or a yes is about
        none: what was asked before has had its passage.
        """
        found = self.search(text, intent, 4 * k)
        return [(p, score) for p, score in found if matter in p.intents or not p.intents][:k]

    def hits(self, query: str, intent: str | None = None, k: int = 3) -> list[Hit]:
        """As ``search``, with the reasons."""
        if not query.strip() or not self._passages:
            return []
        nearest, cosine = self._cosines(query)
        words = self._words(query)
        same = self._same(intent)
        scores = cosine + _WORDS * words + INTENT_BONUS * same
        floor = np.where(same, FLOOR_SAME_INTENT, FLOOR if intent is None else FLOOR_OTHER_INTENT)
        if intent is not None:
            scores += _OPEN_BONUS * self._open
            floor = np.where(self._open, _OPEN_FLOOR, floor)
        kept = np.where(nearest >= floor, scores, -np.inf)
        best = [int(i) for i in np.argsort(-kept, kind="stable")[:k] if kept[i] > -np.inf]
        by_words, by_meaning = _places(words), _places(cosine)
        return [
            Hit(
                self._passages[i],
                float(scores[i]),
                int(by_words[i]) if words[i] > 0 else None,
                int(by_meaning[i]),
                float(cosine[i]),
                bool(same[i]),
            )
            for i in best
        ]

    def search_by(self, ranking: str, query: str, intent: str | None = None, k: int = 3) -> list[tuple[Passage, float]]:
        """As ``search``, by ``words`` or ``meaning`` alone and without floors: to measure what each brings."""
        if not query.strip() or not self._passages:
            return []
        scores = self._words(query) if ranking == "words" else self._cosines(query)[1]
        known = scores > (0 if ranking == "words" else -np.inf)
        scores = np.where(known, scores + INTENT_BONUS * self._same(intent), -np.inf)
        best = [int(i) for i in np.argsort(-scores, kind="stable")[:k] if known[i]]
        return [(self._passages[i], float(scores[i])) for i in best]

    def _same(self, intent: str | None) -> npt.NDArray[np.bool_]:
        return np.array([intent in passage.intents for passage in self._passages], bool)

    def _words(self, query: str) -> Numbers:
        """BM25 scores as shares of the best one, (passages,)."""
        asked = [term for term in dict.fromkeys(terms(query)) if term in self._vocabulary]
        if self._bm25 is None or not asked:
            return np.zeros(len(self._passages))
        scores = np.asarray(self._bm25.get_scores(asked), np.float64)
        shares: Numbers = scores / max(float(scores.max()), 1e-9)
        return shares

    def _cosines(self, query: str) -> tuple[Numbers, Numbers]:
        """Each passage's nearest centred cosine with the query, and what it is ranked by, (passages,) both."""
        vector = _unit(self._encoder.encode([f"query: {query}"]) - self._mean)[0]
        nearest, mean = self._vectors.cosines(vector)
        return nearest, _NEAREST * nearest + _MEAN * mean

    def _embedded(self, cache: Path | None) -> tuple[Vectors, str]:
        """(vectors, dimension), from the cache where the same texts were embedded by the same encoder; their digest."""
        texts = [
            text
            for p in self._passages
            for text in (f"passage: {p.title}：{p.text}", f"query: {p.title}", *(f"query: {q}" for q in p.questions))
        ]
        if not texts:
            return np.zeros((0, 1), np.float32), ""
        name = getattr(self._encoder, "name", type(self._encoder).__name__)
        digest = hashlib.sha256("\x00".join([str(_VERSION), name, *texts]).encode()).hexdigest()[:16]
        file = cache / f"knowledge-{digest}.npy" if cache else None
        if file and file.is_file():
            try:
                stored: Vectors = np.load(file)
                if stored.shape[0] == len(texts):
                    return stored, digest
            except (OSError, ValueError):
                pass  # cut short: made anew below
        vectors = np.asarray(self._encoder.encode(texts), np.float32)
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)
            scratch = file.with_suffix(f".{os.getpid()}.tmp")
            with scratch.open("wb") as out:
                np.save(out, vectors)
            os.replace(scratch, file)
        return vectors, digest


def _places(values: Numbers) -> npt.NDArray[np.int64]:
    """The place of each value, from 1 for the largest."""
    places = np.empty(len(values), np.int64)
    places[np.argsort(-values, kind="stable")] = np.arange(1, len(values) + 1)
    return places
