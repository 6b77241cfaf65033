"""Pictures of a measurement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def confusion_matrix(pairs: Sequence[tuple[str, str]], labels: Sequence[str], file: Path) -> None:
    """Draws (gold, predicted) ``pairs`` as a matrix: a row a gold label, shares as shades, counts written."""
    from matplotlib.figure import Figure

    counts = Counter(pairs)
    matrix = np.array([[counts[gold, said] for said in labels] for gold in labels])
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = 2.5 + 0.55 * len(labels)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("chosen")
    axes.set_ylabel("right")
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            shade = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=shade, fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def curves(series: Mapping[str, Sequence[float]], across: str, file: Path) -> None:
    """Draws each of ``series`` over 1, 2, 3 … in a field of its own, ``across`` under all of them."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    fields = max(1, len(series))
    figure = Figure(figsize=(3.6 * fields, 3.0), layout="constrained")
    for place, (name, values) in enumerate(series.items(), 1):
        axes = figure.add_subplot(1, fields, place)
        axes.plot(range(1, len(values) + 1), values, marker="o")
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(across)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
