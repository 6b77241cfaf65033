"""A passage: a short text of the shop's knowledge that a reply may state."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Passage:
    """One piece of knowledge.

    Attributes:
        id: unique; products are ``product:SKU`` and ``product:SKU:usage``.
        title: what it is about, in a few words.
        text: what a reply may state, in whole sentences.
        intents: the intents it answers.
        questions: how customers ask for it.
    """

    id: str
    title: str
    text: str
    intents: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
