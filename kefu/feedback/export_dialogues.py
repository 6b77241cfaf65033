"""Reviewed items as dialogues: the conversation up to the reviewed reply, with the reviewed labels and reply in it.

Turns that nobody reviewed are there as history. They are left out, with everything before them, where they would teach
something wrong: the customer disliked the reply, a label is missing, or a number has no proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kefu.dataset.problems import folded
from kefu.errors import DataError
from kefu.facts import fill
from kefu.feedback.passages import texts_of
from kefu.feedback.proof import prove, stated
from kefu.feedback.store import ReviewItem, ReviewStore
from kefu.taxonomy import EMOTIONS, INTENTS, STRATEGIES

HISTORY = 6  # unreviewed messages of the customer before the first reviewed one
_SCENE = "客户反馈"


class _Unusable(Exception):
    """A turn that must not be taught; the text says why."""


def dialogues_of(
    store: ReviewStore, items: Sequence[ReviewItem], passages: Mapping[str, str], secret: frozenset[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """(dialogues, reasons of refusal), oldest conversation first.

    Args:
        items: reviewed items within the senders' limits.
        passages: the shop's knowledge by id.
        secret: folded messages of the held-out sets.
    """
    trusted = {i.id: i for i in items}
    dialogues: dict[str, dict[str, Any]] = {}
    refused: list[str] = []
    done: set[tuple[str, Any]] = set()
    for item in items:
        session = (item.sender_id, item.session_at)
        if session in done:
            continue
        done.add(session)
        pieces, reasons = _pieces(store.conversation(item), trusted, passages, secret)
        refused += reasons
        for turns in pieces:
            name = "feedback_" + hashlib.sha256(repr(turns).encode()).hexdigest()[:12]
            dialogues.setdefault(name, {"id": name, "scene": _SCENE, "turns": turns})
    return list(dialogues.values()), refused


def _pieces(
    conversation: Sequence[ReviewItem],
    trusted: Mapping[int, ReviewItem],
    passages: Mapping[str, str],
    secret: frozenset[str],
) -> tuple[list[list[dict[str, Any]]], list[str]]:
    """The conversation's stretches that end with a reviewed reply and have nothing unusable in them."""
    pieces: list[list[dict[str, Any]]] = []
    refused: list[str] = []
    turns: list[dict[str, Any]] = []
    good = 0  # length of ``turns`` up to the last reviewed reply

    def close() -> None:
        nonlocal turns, good
        if good:
            pieces.append(turns[:good])
        turns, good = [], 0

    first = next((n for n, i in enumerate(conversation) if i.id in trusted), len(conversation))
    said = [i.text for i in conversation[: max(first - HISTORY, 0)]]
    for item in conversation[max(first - HISTORY, 0) :]:
        said.append(item.text)
        try:
            if folded(item.text) in secret:
                raise _Unusable("held out")
            turns.append(_user_turn(item))
            agent = _agent_turns(item, item.id in trusted, passages, said, turns)
        except _Unusable as reason:
            if item.id in trusted and str(reason) != "held out":
                refused.append(f"item {item.id}: {reason}")
            close()
            continue
        turns += agent
        if agent and item.id in trusted:
            good = len(turns)
    close()
    return pieces, refused


def _user_turn(item: ReviewItem) -> dict[str, Any]:
    intent, emotion, _ = item.labels
    if intent not in INTENTS or emotion not in EMOTIONS:
        raise _Unusable(f"{item.text!r} has no intent or emotion.")
    return {"user": " ".join(item.text.split()), "intent": intent, "emotion": emotion}


def _from_template(item: ReviewItem, strategy: str, before: Sequence[Mapping[str, Any]]) -> str:
    """What the assistant says without a draft: the reviewer named the strategy and no words for it."""
    from kefu.generation import ReplyRequest, Templates

    said = [("user", t["user"]) if "user" in t else ("agent", fill(t["agent"], t.get("facts") or {})) for t in before]
    intent, emotion, _ = item.labels
    return Templates().reply(ReplyRequest(strategy, intent, emotion, None, stated(item.facts), (), said))


def _agent_turns(
    item: ReviewItem,
    trusted: bool,
    passages: Mapping[str, str],
    said: Iterable[str],
    before: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    if not trusted and item.disliked:
        raise _Unusable("the customer disliked the reply and nobody reviewed it.")
    turns: list[dict[str, Any]] = []
    listed = item.replies or ([{"message_id": item.message_id}] if item.reviewed_reply else [])
    for reply in listed:
        foremost = reply.get("message_id") == item.message_id
        strategy, text = reply.get("strategy"), reply.get("template") or ""
        facts = stated(item.facts)
        if trusted and foremost:
            facts.update(item.reviewed_facts or {})
            if item.reviewed_reply:
                text = item.reviewed_reply
            elif item.reviewed_strategy is not None and item.reviewed_strategy != strategy:
                text = _from_template(item, item.reviewed_strategy, [*before, *turns])
            strategy = item.reviewed_strategy
        elif reply.get("thumb") == "down" or reply.get("corrected") or (reply.get("rating") or 5) <= 2:
            continue  # a second reply that the customer disliked and nobody mended
        if strategy not in STRATEGIES or not text:
            raise _Unusable("the reply has no strategy.")
        known = texts_of(reply.get("passages") or (), passages)
        try:
            template, used = prove(text, facts, known, said)
        except DataError as error:
            raise _Unusable(str(error)) from None
        turns.append({"agent": template, "strategy": strategy, **({"facts": used} if used else {})})
    return turns
