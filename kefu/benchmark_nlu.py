"""Trains the classifier on a data set and measures it as served: int8 ONNX, one thread, one message at a time."""

from __future__ import annotations

import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from kefu.errors import SettingsError
from kefu.evaluation.datasets import OUT_OF_SCOPE, Dataset, Row
from kefu.evaluation.metrics import accuracy, macro_f1, percentile
from kefu.text_classifier import Classifier, Example, TrainingArguments, save

_TASK = "label"
_WARM_UP = 5  # messages classified before the clock runs
_Item = TypeVar("_Item")
Ranking = Sequence[tuple[str, float]]  # (label, probability), best first


def reduced(dataset: Dataset, limit: int | None, shots: int | None, seed: int) -> Dataset:
    """``dataset`` with at most ``shots`` training rows a label, and then at most ``limit`` rows in every part.

    The rows are drawn at random by ``seed`` and stay in their order.
    """

    def few(rows: Sequence[Row]) -> tuple[Row, ...]:
        if shots is None:
            return tuple(rows)
        groups: dict[str, list[int]] = defaultdict(list)
        for i, (_, label) in enumerate(rows):
            groups[label].append(i)
        draw = random.Random(seed)
        kept = {i for group in groups.values() for i in draw.sample(group, min(shots, len(group)))}
        return tuple(row for i, row in enumerate(rows) if i in kept)

    def limited(rows: Sequence[_Item]) -> tuple[_Item, ...]:
        if limit is None or limit >= len(rows):
            return tuple(rows)
        return tuple(rows[i] for i in sorted(random.Random(seed).sample(range(len(rows)), limit)))

    return replace(
        dataset,
        train=limited(few(dataset.train)),
        valid=None if dataset.valid is None else limited(few(dataset.valid)),
        test=limited(dataset.test),
        out_of_scope=limited(dataset.out_of_scope),
    )


def benchmark(
    dataset: Dataset,
    arguments: TrainingArguments,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """{n_train, n_test, accuracy, macro_f1, train_seconds, latency_ms: {p50, p95}}.

    A set with texts that are out of scope is learned with one more class for them. As the authors of CLINC150 report
    it, accuracy and macro-F1 are then taken on the texts in scope (n_test of them), and the figures gain n_oos_test
    and oos_recall, the share of the others that were found out. Where the set has a validation part with such texts,
    a text is also out of scope if the likeliest label in scope is less likely than ``rejection`` (see ``rejects``).

    Args:
        out: a folder for the classifier that is measured; None keeps nothing of it.

    Raises:
        DataError: fewer than two labels in the training rows.
        ModelError: the encoder is not to be had.
    """
    from kefu.text_classifier import Task, train

    labels = tuple(sorted({label for _, label in dataset.train}))
    held_out = None if dataset.valid is None else _examples(dataset.valid, set(labels))
    started = time.perf_counter()
    trained = train(
        _examples(dataset.train, set(labels)), [Task(_TASK, labels)], arguments, on_epoch=on_epoch, held_out=held_out
    )
    train_seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        classifier = Classifier(save(trained, out or Path(folder), arguments.max_tokens))
        return {**measure(dataset, classifier), "train_seconds": train_seconds}


def measure(dataset: Dataset, classifier: Classifier) -> dict[str, Any]:
    """The figures of a trained classifier; see ``benchmark``."""
    rejection = 0.0
    if dataset.valid is not None and dataset.out_of_scope:
        rankings, _ = _classify(classifier, [text for text, _ in dataset.valid])
        rejection = rejects(rankings, [label for _, label in dataset.valid])
    texts = [*(text for text, _ in dataset.test), *dataset.out_of_scope]
    rankings, milliseconds = _classify(classifier, texts)
    figures = _figures(dataset, [_label(ranking, rejection) for ranking in rankings], milliseconds)
    return {**figures, "rejection": rejection} if rejection else figures


def rejects(rankings: Sequence[Ranking], gold: Sequence[str], loses: float = 0.002) -> float:
    """The probability of the likeliest label in scope below which a text is better taken as out of scope.

    The highest of 0, 0.01, 0.02 … at which accuracy in scope is at most ``loses`` below what it is at 0.
    """

    def right(threshold: float) -> float:
        pairs = [(label, _label(ranking, threshold)) for ranking, label in zip(rankings, gold) if label != OUT_OF_SCOPE]
        return sum(label == said for label, said in pairs) / max(1, len(pairs))

    least = right(0.0) - loses
    return max((i / 100 for i in range(100) if right(i / 100) >= least), default=0.0)


def _label(ranking: Ranking, rejection: float) -> str:
    best, chance = ranking[0]
    return best if chance >= rejection else OUT_OF_SCOPE


def benchmark_stock(dataset: Dataset) -> dict[str, Any]:
    """The same figures of Rasa's own default pipeline (kefu.evaluation.stock)."""
    from kefu.evaluation.stock import stock_rasa

    predicted, train_seconds, milliseconds = stock_rasa(dataset)
    return {**_figures(dataset, predicted, milliseconds), "train_seconds": train_seconds}


def _figures(dataset: Dataset, predicted: Sequence[str], milliseconds: Sequence[float]) -> dict[str, Any]:
    gold = [label for _, label in dataset.test]
    figures = {
        "n_train": len(dataset.train),
        "n_test": len(gold),
        "accuracy": accuracy(gold, predicted[: len(gold)]),
        "macro_f1": macro_f1(gold, predicted[: len(gold)]),
        "latency_ms": {"p50": percentile(milliseconds, 0.5), "p95": percentile(milliseconds, 0.95)},
    }
    if dataset.out_of_scope:
        found = predicted[len(gold) :].count(OUT_OF_SCOPE)
        figures |= {"n_oos_test": len(dataset.out_of_scope), "oos_recall": found / len(dataset.out_of_scope)}
    return figures


def _examples(rows: Sequence[Row], labels: set[str]) -> list[Example]:
    return [Example(text, {_TASK: label}) for text, label in rows if label in labels]


def _classify(classifier: Classifier, texts: Sequence[str]) -> tuple[list[Ranking], list[float]]:
    for text in texts[:_WARM_UP]:
        classifier.predict(text)
    rankings: list[Ranking] = []
    milliseconds: list[float] = []
    for text in texts:
        started = time.perf_counter()
        rankings.append(classifier.predict(text).rankings[_TASK])
        milliseconds.append((time.perf_counter() - started) * 1000)
    return rankings, milliseconds


def arguments_of(**flags: Any) -> TrainingArguments:
    """Training arguments from the flags that were given; None leaves the default.

    Raises:
        SettingsError: there is no argument of that name, or a value has the wrong type or range.
    """
    names = TrainingArguments.__dataclass_fields__
    for name in flags:
        if name not in names:
            raise SettingsError(f"There is no training argument {name!r}. Arguments are: {', '.join(names)}.")
    return TrainingArguments.from_config({name: value for name, value in flags.items() if value is not None})
