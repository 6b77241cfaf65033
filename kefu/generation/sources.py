"""Which knowledge a reply may draw on: what answers the message, or the matter that it carries on."""

from __future__ import annotations

from typing import Protocol

from kefu.generation.request import CARRIED_ON
from kefu.knowledge.passage import Passage

Found = list[tuple[Passage, float]]


class Search(Protocol):
    """What is needed of kefu.knowledge.Retriever."""

    def search(self, query: str, intent: str | None = None, k: int = 3) -> Found:
        """At most ``k`` (passage, score), best first."""

    def carried_on(self, text: str, intent: str, matter: str, k: int = 3) -> Found:
        """As ``search``, for a message that only carries ``matter`` on."""


def passages_for(
    retriever: Search, text: str, intent: str | None, matter: tuple[str, str] | None, learned: bool
) -> list[Passage]:
    """The passages for a reply, best first.

    Args:
        matter: (intent, the words that raised it) of the matter in hand.
        learned: whether the message brought facts; what was asked before is then answered with its rule beside them.
    """
    if matter is None or intent is None or intent not in CARRIED_ON:
        found = retriever.search(text, intent)
    elif learned:
        found = retriever.search(matter[1], matter[0])
    else:
        found = retriever.carried_on(text, intent, matter[0])
    return [passage for passage, _ in found]
