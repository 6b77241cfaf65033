"""Labelled messages, and how they are split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Example:
    """A message with a label for each task that it is labelled for, and the other side's previous turn where known."""

    text: str
    labels: Mapping[str, str] = field(default_factory=dict)
    context: str | None = None


def stratified_split(
    examples: Sequence[Example], task: str, share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """(rest, held-out) with ``share`` of every label of ``task`` held out.

    Of each label with five examples or more at least one is held out; a share of 0 holds nothing out.
    """
    if share == 0:
        return list(examples), []
    groups: dict[str, list[int]] = defaultdict(list)
    for i, example in enumerate(examples):
        groups[example.labels.get(task, "")].append(i)
    generator = np.random.default_rng(seed)
    held: set[int] = set()
    for _, indices in sorted(groups.items()):
        count = max(round(len(indices) * share), 1 if len(indices) >= 5 else 0)
        held.update(generator.permutation(indices)[:count].tolist())
    rest = [e for i, e in enumerate(examples) if i not in held]
    return rest, [e for i, e in enumerate(examples) if i in held]
