"""What a training leaves to look at: curves, a confusion matrix and a table by label for every task, TensorBoard's log.

>>> write_report(trained, Path("var/report/nlu"))     # then: tensorboard --logdir var/report/nlu
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kefu.evaluation.metrics import f1_by_label
from kefu.evaluation.picture import confusion_matrix, curves

_BESIDE = ("epoch", "seconds")  # figures of an epoch that are no score


def write_report(trained: Any, folder: Path) -> list[Path]:
    """Writes curves.png, TASK_confusion.png, TASK_labels.csv and events for TensorBoard; returns the first three kinds.

    Args:
        trained: a trainer.Trained. Matrices and tables are of its held-out examples; without such there are none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    history: Sequence[Mapping[str, float]] = trained.history
    written = [folder / "curves.png"]
    names = [name for name in history[0] if name not in _BESIDE] if history else []
    curves({name: [figures[name] for figures in history] for name in names}, "epoch", written[0])
    for task, (gold, said) in trained.judged.items():
        if not gold:
            continue
        written += [folder / f"{task}_confusion.png", folder / f"{task}_labels.csv"]
        confusion_matrix(list(zip(gold, said)), sorted(set(gold) | set(said)), written[-2])
        _table(gold, said, written[-1])
    _events(history, folder)
    return written


def _table(gold: Sequence[str], said: Sequence[str], file: Path) -> None:
    hits = Counter(g for g, s in zip(gold, said) if g == s)
    right, told = Counter(gold), Counter(said)
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["label", "examples", "precision", "recall", "f1"])
        for label, f1 in f1_by_label(gold, said).items():
            precision = hits[label] / told[label] if told[label] else 0.0
            figures = (precision, hits[label] / right[label], f1)
            table.writerow([label, right[label], *(f"{value:.3f}" for value in figures)])


def _events(history: Sequence[Mapping[str, float]], folder: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as log:
        for figures in history:
            for name, value in figures.items():
                if name != "epoch":
                    log.add_scalar(name, value, int(figures["epoch"]))
