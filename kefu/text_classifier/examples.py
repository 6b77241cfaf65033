"""Labelled messages, and how they are split."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kefu.dialogues import Dialogue
from kefu.text_classifier.text import history


@dataclass(frozen=True)
class Example:
    """A message with its label for each task that labels it, and the turns before, joined by ``text.history``."""

    text: str
    labels: Mapping[str, str] = field(default_factory=dict)
    context: str | None = None


def from_dialogues(dialogues: Iterable[Dialogue]) -> list[Example]:
    """The customers' turns that carry an intent and an emotion, each with the turns before it."""
    examples = []
    for dialogue in dialogues:
        agent = customer = None
        for turn in dialogue.turns:
            if turn.speaker == "agent":
                agent = turn.text
                continue
            if turn.intent and turn.emotion:
                labels = {"intent": turn.intent, "emotion": turn.emotion}
                examples.append(Example(turn.text, labels, history(agent, customer)))
            customer = turn.text
    return examples


def stratified_split(
    examples: Sequence[Example], task: str, share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """(rest, held-out) with about ``share`` of every label of ``task`` held out.

    What becomes of an example is drawn from its own text, so that it stays on its side when others are added or go: an
    encoder adapted to the rest may be trained further without having seen what it is judged by. Of each label with
    five examples or more at least one is held out; a share of 0 holds nothing out.
    """
    if share == 0:
        return list(examples), []
    groups: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for i, example in enumerate(examples):
        groups[example.labels.get(task, "")].append((_draw(example.text, seed), i))
    held: set[int] = set()
    for draws in groups.values():
        chosen = {i for draw, i in draws if draw < share}
        if not chosen and len(draws) >= 5:
            chosen = {min(draws)[1]}
        held |= chosen
    rest = [e for i, e in enumerate(examples) if i not in held]
    return rest, [e for i, e in enumerate(examples) if i in held]


def _draw(text: str, seed: int) -> float:
    """A number in [0, 1) that a text always draws; equal texts draw alike, whatever their context."""
    digest = hashlib.blake2b(f"{seed}\0{text}".encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
