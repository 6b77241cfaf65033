"""How well the shop's passages are found: by words and meaning together, by each alone, with and without the intent."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kefu.errors import DataError
from kefu.evaluation.rows import read_rows
from kefu.knowledge.passage import Passage
from kefu.taxonomy import INTENTS

DEPTH = 10  # places that the mean reciprocal rank looks at
WAYS = {"hybrid": "", "words alone": "words", "meaning alone": "meaning"}


class Searcher(Protocol):
    """What is needed of kefu.knowledge.Retriever."""

    def search(self, query: str, intent: str | None, k: int) -> list[tuple[Passage, float]]:
        """At most ``k`` (passage, score), best first."""

    def search_by(self, ranking: str, query: str, intent: str | None, k: int) -> list[tuple[Passage, float]]:
        """The same by ``words`` or ``meaning`` alone."""


@dataclass(frozen=True)
class RetrievalRow:
    """A question, the intent that it has where that is known, and the ids of all passages that answer it."""

    question: str
    intent: str | None
    passages: frozenset[str]


def read_retrieval_rows(path: Path, known: Collection[str] | None = None) -> list[RetrievalRow]:
    """Rows {question, intent?, passage: [ids]} of a .jsonl file.

    Args:
        known: the ids of the passages that there are; None takes any.

    Raises:
        NotFound: no such file.
        DataError: a row breaks the format or names no passage of ``known``; the message names line, key and value.
    """
    return [_row(raw, where, known) for where, raw in read_rows(path)]


def _row(raw: dict[str, Any], where: str, known: Collection[str] | None) -> RetrievalRow:
    question, intent, ids = raw.get("question"), raw.get("intent"), raw.get("passage")
    if not isinstance(question, str) or not question.strip():
        raise DataError(f"{where}: 'question' must be a text. But it was: {question!r}")
    if intent is not None and intent not in INTENTS:
        raise DataError(f"{where}: the intent {intent!r} does not stand in taxonomy.yml.")
    if not isinstance(ids, list) or not ids or not all(isinstance(i, str) for i in ids):
        raise DataError(f"{where}: 'passage' must be a list of ids, one at least. But it was: {ids!r}")
    if known is not None and (wrong := [i for i in ids if i not in known]):
        raise DataError(f"{where}: there is no passage {wrong[0]!r}.")
    return RetrievalRow(question, intent, frozenset(ids))


def evaluate_retrieval(retriever: Searcher, rows: Sequence[RetrievalRow]) -> dict[str, dict[str, Any]]:
    """{way: figures}. The hybrid is what a reply gets, its floors included; the other two are rankings without floors.

    ``recall@k`` is the share of questions with an answering passage among the first k; ``mrr`` the mean of 1 / the rank
    of the first of them, 0 beyond the tenth place. Times, milliseconds for one search with the embedding of its
    question, are of the first line: later ones meet embeddings that the encoder remembers.
    """
    figures: dict[str, dict[str, Any]] = {}
    for way, ranking in WAYS.items():
        for suffix, chosen in (
            (", intent", [row for row in rows if row.intent is not None]),
            ("", list(rows)),
        ):
            if chosen:
                figures[way + suffix] = _figures(_finder(retriever, ranking, bool(suffix)), chosen, timed=not figures)
    return figures


def _finder(retriever: Searcher, ranking: str, with_intent: bool) -> Callable[[RetrievalRow], list[str]]:
    def find(row: RetrievalRow) -> list[str]:
        intent = row.intent if with_intent else None
        if ranking:
            found = retriever.search_by(ranking, row.question, intent, DEPTH)
        else:
            found = retriever.search(row.question, intent, DEPTH)
        return [passage.id for passage, _ in found]

    return find


def _figures(find: Callable[[RetrievalRow], list[str]], rows: Sequence[RetrievalRow], timed: bool) -> dict[str, Any]:
    ranks, times = [], []
    for row in rows:
        began = time.perf_counter()
        found = find(row)
        times.append((time.perf_counter() - began) * 1000)
        ranks.append(next((rank for rank, name in enumerate(found, 1) if name in row.passages), 0))
    share = 1 / len(rows)
    figures: dict[str, Any] = {
        "questions": len(rows),
        "recall@1": sum(rank == 1 for rank in ranks) * share,
        "recall@3": sum(1 <= rank <= 3 for rank in ranks) * share,
        "mrr": sum(1 / rank for rank in ranks if rank) * share,
    }
    if timed:
        figures |= {"p50_ms": float(np.percentile(times, 50)), "p95_ms": float(np.percentile(times, 95))}
    return figures
