"""Keeps one customer from rewriting the training data: limits to a sender's share of an export."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from kefu.errors import SettingsError
from kefu.feedback.store import ReviewItem


@dataclass(frozen=True)
class Limits:
    """How much of an export may come from one sender.

    Attributes:
        most: items at most.
        share: part of all exported items at most, 0 to 1. With too few senders for that (fewer than 1 / share) each of
            them still gives one item.
    """

    most: int = 20
    share: float = 0.2

    def __post_init__(self) -> None:
        if self.most < 1:
            raise SettingsError(f"--max-per-sender must be at least 1. But it was: {self.most}.")
        if not 0 < self.share <= 1:
            raise SettingsError(f"--max-share must be above 0 and at most 1. But it was: {self.share}.")


def allowance(counts: Iterable[int], limits: Limits) -> int:
    """Items that each sender may give, at least 1; ``counts`` are the items that each has."""
    held = list(counts)
    for cap in range(min(limits.most, max(held, default=1)), 1, -1):
        total = sum(min(n, cap) for n in held)
        if cap <= limits.share * total:
            return cap
    return 1


def limited(items: Iterable[ReviewItem], limits: Limits) -> tuple[list[ReviewItem], dict[str, int]]:
    """(items within the limits in their order, {sender: items held back}). A sender's most urgent items go first."""
    listed = list(items)
    of_sender: dict[str, list[ReviewItem]] = defaultdict(list)
    for item in listed:
        of_sender[item.sender_id].append(item)
    cap = allowance((len(own) for own in of_sender.values()), limits)
    chosen = {i.id for own in of_sender.values() for i in sorted(own, key=lambda i: (-i.priority, i.id))[:cap]}
    back = Counter(i.sender_id for i in listed if i.id not in chosen)
    return [i for i in listed if i.id in chosen], dict(sorted(back.items()))
