"""Figures of merit, on plain lists of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def accuracy(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of equal positions; 0.0 for no examples."""
    return sum(g == p for g, p in zip(gold, predicted)) / len(gold) if gold else 0.0


def f1_by_label(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, float]:
    """F1 of every label that stands in ``gold``."""
    hits = Counter(g for g, p in zip(gold, predicted) if g == p)
    in_gold, in_predicted = Counter(gold), Counter(predicted)
    return {label: 2 * hits[label] / (in_gold[label] + in_predicted[label]) for label in sorted(in_gold)}


def macro_f1(gold: Sequence[str], predicted: Sequence[str]) -> float:
    """Mean F1 over the labels in ``gold``; 0.0 for no examples."""
    scores = f1_by_label(gold, predicted)
    return sum(scores.values()) / len(scores) if scores else 0.0


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool], bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by their sizes (Naeini et al. 2015)."""
    total, error = len(confidences), 0.0
    for b in range(bins):
        members = [i for i, c in enumerate(confidences) if b / bins < c <= (b + 1) / bins]
        if members:
            gap = sum(confidences[i] for i in members) / len(members) - sum(correct[i] for i in members) / len(members)
            error += abs(gap) * len(members) / total
    return error


def percentile(values: Sequence[float], q: float) -> float:
    """The ``q`` quantile (0 to 1) by linear interpolation; 0.0 for no values."""
    if not values:
        return 0.0
    ordered = sorted(values)
    position = q * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
