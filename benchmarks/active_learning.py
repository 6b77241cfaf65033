"""Is the order in which `kefu feedback review` asks worth more than chance? Macro-F1 reached with N labelled examples.

    .venv/bin/python benchmarks/active_learning.py [--data data/nlu] [--seeds 3] [--json]

A fifth of the examples is the test set, the rest is what customers might ask. From a start of 400 labelled turns a
stand-in classifier (TF-IDF of characters and pairs, logistic regression; seconds instead of minutes) is trained, ranks
the turns that wait, and learns those that come first: at random, by the model's doubt alone, or by doubt, novelty and
repetition as the review list ranks them. Two queues: every text once, as data/nlu has them; and 5,000 turns drawn with
a few questions asked very often (Zipf's law), each with a tenth of its characters mistyped. Means over the seeds.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from kefu.dataset import NluExample, read_nlu
from kefu.evaluation import macro_f1
from kefu.evaluation.noise import spoil
from kefu.feedback.novelty import document, newness
from kefu.feedback.urgency import doubt, urgency

SIZES = (400, 600, 800, 1200, 1600)
TURNS = 5000
TYPOS = ("homophone", "swap", "drop")
ORDERS = {"random": "at random", "doubt": "doubt alone", "review": "as the review list ranks"}
QUEUES = {"once": "every text once", "often": "some asked very often, mistyped"}


@dataclass
class Queue:
    """Turns that wait for labels, and the test set. Labels are what a reviewer would say."""

    documents: list[str]
    vectors: Any
    intents: Any
    emotions: Any
    test_vectors: Any
    test_intents: list[str]


def queue_of(examples: Sequence[NluExample], kind: str, seed: int) -> Queue:
    """A queue drawn from the examples; its first turns, SIZES[0] of them, are those labelled at the start."""
    draw = random.Random(seed)
    shuffled = draw.sample(list(examples), len(examples))
    test, pool = shuffled[: len(shuffled) // 5], shuffled[len(shuffled) // 5 :]
    turns = [(e.text, e) for e in pool]
    if kind == "often":
        drawn = draw.choices(pool, weights=[1 / (rank + 1) for rank in range(len(pool))], k=TURNS)
        turns = [(spoil(e.text, TYPOS, 0.1, n), e) for n, e in enumerate(drawn)]
    documents = [document(text) for text, _ in turns]
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True, lowercase=False)
    return Queue(
        documents,
        vectorizer.fit_transform(documents),
        np.array([e.intent for _, e in turns]),
        np.array([e.emotion for _, e in turns]),
        vectorizer.transform([document(e.text) for e in test]),
        [e.intent for e in test],
    )


def learn(queue: Queue, order: str) -> list[float]:
    """Intent macro-F1 on the test set at each of SIZES."""
    labelled, waiting = list(range(SIZES[0])), list(range(SIZES[0], len(queue.documents)))
    reached = []
    for size, following in zip(SIZES, (*SIZES[1:], SIZES[-1])):
        intent = _fitted(queue.vectors[labelled], queue.intents[labelled])
        reached.append(macro_f1(queue.test_intents, list(intent.predict(queue.test_vectors))))
        if order == "random":
            ranked = waiting
        else:
            emotion = _fitted(queue.vectors[labelled], queue.emotions[labelled])
            sure = [m.predict_proba(queue.vectors[waiting]).max(axis=1) for m in (intent, emotion)]
            ranked = _ranked(queue, labelled, waiting, [doubt(i, e) for i, e in zip(*sure)], order)
        taken = set(ranked[: following - size])
        labelled += sorted(taken)
        waiting = [turn for turn in waiting if turn not in taken]
    return reached


def _fitted(vectors: Any, labels: Any) -> Any:
    return LogisticRegression(solver="liblinear", C=20).fit(vectors, labels)


def _ranked(queue: Queue, labelled: list[int], waiting: list[int], doubts: list[float], order: str) -> list[int]:
    """The waiting turns as `kefu.feedback.novelty.rank` and the review store put them."""
    doubt_of = dict(zip(waiting, doubts))
    doubtful = sorted(waiting, key=lambda turn: (-doubt_of[turn], turn))
    if order == "doubt":
        return doubtful
    trained, reviewed = labelled[: SIZES[0]], labelled[SIZES[0] :]
    seen = newness([queue.documents[t] for t in (*reviewed, *doubtful)], [queue.documents[t] for t in trained])
    news = zip(doubtful, seen[len(reviewed) :])
    score = {turn: urgency(doubt_of[turn], new.novelty, new.repeats is not None) for turn, new in news}
    return sorted(waiting, key=lambda turn: (-score[turn], turn))


def main() -> None:
    """Prints a table for each queue, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/nlu"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    examples = [e for e in read_nlu([chosen.data]) if e.emotion]
    started = time.perf_counter()
    found: dict[str, dict[str, list[float]]] = {}
    for kind in QUEUES:
        queues = [queue_of(examples, kind, seed) for seed in range(chosen.seeds)]
        found[kind] = {o: np.mean([learn(queue, o) for queue in queues], axis=0).tolist() for o in ORDERS}
    seconds = time.perf_counter() - started
    if chosen.json:
        print(json.dumps({"sizes": SIZES, "seeds": chosen.seeds, "macro_f1": found, "seconds": seconds}))
        return
    for kind, by_order in found.items():
        table = Table("labelled", *map(str, SIZES), title=f"intent macro-F1, {QUEUES[kind]}")
        for order, reached in by_order.items():
            table.add_row(ORDERS[order], *(f"{value:.3f}" for value in reached))
        Console().print(table)
    print(f"{len(examples)} examples, {chosen.seeds} seeds, {seconds:.0f} s")


if __name__ == "__main__":
    main()
