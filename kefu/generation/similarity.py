"""How alike two short texts are, by their pairs of neighbouring characters."""

from __future__ import annotations

import re


def bigrams(text: str) -> set[str]:
    """Pairs of neighbouring Chinese characters, letters or digits."""
    kept = re.findall(r"[\u3400-\u9fffA-Za-z0-9]+", text)
    return {run[i : i + 2] for run in kept for i in range(len(run) - 1)}


def similar(one: str, other: str) -> float:
    """Share of the smaller text's bigrams that the other holds, 0 to 1; whole match for short texts."""
    first, second = bigrams(one), bigrams(other)
    smaller = min(len(first), len(second))
    if smaller < 4:
        return float(one.strip() == other.strip())
    return len(first & second) / smaller
