"""Finds messages that are nearly the same: Jaccard similarity of their sets of character bigrams."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from kefu.dataset.problems import folded


def bigrams(text: str) -> frozenset[str]:
    """The pairs of neighbouring characters of the folded text; a text of one character is its own pair."""
    flat = folded(text)
    return frozenset(flat[i : i + 2] for i in range(len(flat) - 1)) or frozenset([flat])


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Share of common pairs, 0.0 to 1.0."""
    return len(one & other) / len(one | other) if one or other else 0.0


def similar_pairs(
    left: Sequence[str], right: Sequence[str] | None, threshold: float
) -> Iterator[tuple[int, int, float]]:
    """(i, j, similarity) of all pairs at or above ``threshold``: left against right, or left within itself (i < j).

    Only texts that share one of their rarest pairs can be that similar (prefix filtering, Chaudhuri et al. 2006), so
    most texts are never compared.
    """
    sets = [bigrams(t) for t in left]
    others = sets if right is None else [bigrams(t) for t in right]
    frequency = Counter(pair for s in ([*sets, *others] if right is not None else sets) for pair in s)
    index: dict[str, list[int]] = defaultdict(list)
    for j, other in enumerate(others):
        for pair in _prefix(other, frequency, threshold):
            index[pair].append(j)
    for i, one in enumerate(sets):
        candidates = {j for pair in _prefix(one, frequency, threshold) for j in index.get(pair, ())}
        for j in sorted(candidates):
            if right is None and j <= i:
                continue
            if min(len(one), len(others[j])) < threshold * max(len(one), len(others[j])):
                continue
            score = jaccard(one, others[j])
            if score >= threshold:
                yield i, j, score


def _prefix(pairs: frozenset[str], frequency: Counter[str], threshold: float) -> list[str]:
    ordered = sorted(pairs, key=lambda p: (frequency[p], p))
    return ordered[: len(ordered) - math.ceil(threshold * len(ordered) - 1e-9) + 1]
