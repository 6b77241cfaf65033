"""Reviewed items as Rasa NLU examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from kefu.feedback.store import ReviewItem
from kefu.taxonomy import INTENTS

_SPACE = re.compile(r"\s+")
_MARKUP = re.compile(r"\](?=[({])")  # a customer who types [x](y) annotates nothing
_RANK = {name: n for n, name in enumerate(INTENTS)}


@dataclass(frozen=True)
class Example:
    """One example; ``marked`` is the text with entities in Rasa's markup."""

    intent: str
    marked: str
    emotion: str
    context: str | None
    text: str

    @property
    def labels(self) -> tuple[str, str]:
        """(intent, emotion)."""
        return self.intent, self.emotion

    def __lt__(self, other: Example) -> bool:
        def rank(e: Example) -> tuple[int, str, str]:
            return _RANK.get(e.intent, len(_RANK)), e.marked, e.context or ""

        return rank(self) < rank(other)


def example_of(item: ReviewItem) -> Example | None:
    """The example that a reviewed item gives; None where it lacks a label or has no text."""
    intent, emotion, _ = item.labels
    marked = _one_line(_marked(item))
    if not intent or not emotion or not marked:
        return None
    context = _one_line(item.context) if item.context else None
    return Example(intent, marked, emotion, context or None, _one_line(item.text))


def nlu_yaml(examples: Iterable[Example]) -> str:
    """The examples in the shape of data/nlu, grouped by intent."""
    lines = [
        "# Written by `kefu feedback export` from reviewed feedback; the next export overwrites it.",
        'version: "3.1"',
        "nlu:",
    ]
    for intent, group in groupby(sorted(examples), key=lambda e: e.intent):
        lines += [f"- intent: {intent}", "  examples:"]
        for example in group:
            context = f", context: {json.dumps(example.context, ensure_ascii=False)}" if example.context else ""
            lines += [
                "  - text: |",
                f"      {example.marked}",
                f"    metadata: {{emotion: {example.emotion}{context}}}",
            ]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return _SPACE.sub(" ", text).strip()


def _marked(item: ReviewItem) -> str:
    """The text with products, colours and sizes annotated as they were recognised."""
    out, position = "", 0
    for entity in sorted(item.entities, key=lambda e: (e["start"], -e["end"])):
        start, end = int(entity["start"]), int(entity["end"])
        value = item.text[start:end].strip()
        if start < position or not value or any(c in value for c in "[](){}\n"):
            continue
        out += _MARKUP.sub("] ", item.text[position:start]) + f"[{value}]({entity['entity']})"
        position = end
    return out + _MARKUP.sub("] ", item.text[position:])
