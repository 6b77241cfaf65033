"""Pairs of replies to one request, the better and the worse, out of feedback: food for `kefu train preferences`.

A reviewer's better reply against the one that was sent; a reply that a customer praised against one that a customer
blamed, where the request was the same. The better one must pass the generator's guard for the request.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kefu.dataset.problems import folded
from kefu.feedback.export import held_out_texts
from kefu.feedback.guard import Limits, limited
from kefu.feedback.passages import read_passages
from kefu.feedback.proof import stated
from kefu.feedback.store import SKIPPED, STATUSES, ReviewItem, ReviewStore
from kefu.generation.guard import Guard, read_words
from kefu.generation.preferences import Pair
from kefu.generation.prompt import format_prompt, with_names
from kefu.generation.request import AGENT, USER, ReplyRequest
from kefu.knowledge.passage import Passage

FILE = "preferences.jsonl"
# How often a pair is shown: a reviewer weighs her words, a thumb is a moment's.
CORRECTION, THUMBS = 2, 1


@dataclass
class Pairs:
    """The pairs, why others are none, and {sender: items above the sender's share}."""

    pairs: list[Pair] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    held_back: dict[str, int] = field(default_factory=dict)


def preference_pairs(store: ReviewStore, data: Path, limits: Limits | None = None) -> Pairs:
    """All pairs that the feedback so far yields, without those of the held-out sets.

    Args:
        data: the hand-written data: passages, held-out sets, sensitive words.
        limits: on one sender's share of the items that pairs are made of.

    Raises:
        DataError: a passage breaks the format.
    """
    secret, passages = held_out_texts(data / "heldout"), read_passages(data)
    words = data / "shop" / "sensitive_words.txt"
    guard = Guard(read_words(words) if words.is_file() else ())
    judged = store.items([s for s in STATUSES if s != SKIPPED], by_priority=False)
    made = Pairs()
    telling = [i for i in judged if (i.reviewed_reply or i.thumb) and folded(i.text) not in secret]
    items, made.held_back = limited(telling, limits or Limits())
    praised: dict[tuple[str, str, str | None], list[str]] = defaultdict(list)
    for item in items:
        if item.thumb == "up" and (text := _sent(item)) and text not in praised[_about(item)]:
            praised[_about(item)].append(text)
    seen: set[tuple[str, str, str]] = set()
    for item in items:
        better = [(item.reviewed_reply, CORRECTION, "correction")] if item.reviewed_reply else []
        if item.thumb == "down" and not better:
            better = [(text, THUMBS, "thumbs") for text in praised.get(_about(item), ())]
        sent = _sent(item)
        if not better or not sent or item.labels[2] is None:
            continue
        request = _request(item, store.conversation(item), passages)
        prompt, worse = format_prompt(request), with_names(sent)
        for text, weight, source in better:
            chosen = with_names(str(text))
            if chosen == worse or (prompt, chosen, worse) in seen:
                continue
            seen.add((prompt, chosen, worse))
            verdict = guard.check(chosen, request)
            if verdict.passed:
                made.pairs.append(Pair(prompt, chosen, worse, weight, source))
            else:
                made.refused.append(f"item {item.id}: {text!r} would not be sent: {'; '.join(verdict.details)}")
    return made


def write_pairs(pairs: Iterable[Pair], path: Path) -> None:
    """One JSON object a line, replacing an earlier file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text("".join(json.dumps(p.as_dict(), ensure_ascii=False) + "\n" for p in pairs), encoding="utf-8")
    os.replace(draft, path)


def _about(item: ReviewItem) -> tuple[str, str, str | None]:
    """What makes two requests the same."""
    return folded(item.text), folded(item.context) if item.context else "", item.labels[2]


def _foremost(item: ReviewItem) -> dict[str, Any]:
    return next((r for r in item.replies if r.get("message_id") == item.message_id), {})


def _sent(item: ReviewItem) -> str:
    """What was sent, with the keys of facts in braces; empty where nothing was."""
    return str(_foremost(item).get("template") or "")


def _request(item: ReviewItem, conversation: Sequence[ReviewItem], passages: Mapping[str, str]) -> ReplyRequest:
    """The request that the item's foremost reply answered, with the reviewed labels and facts."""
    turns: list[tuple[str, str]] = []
    for earlier in conversation:
        turns.append((USER, earlier.text))
        for reply in earlier.replies:
            if earlier.id == item.id and reply.get("message_id") == item.message_id:
                break
            turns.append((AGENT, str(reply.get("text") or "")))
        if earlier.id == item.id:
            break
    intent, emotion, strategy = item.labels
    reply = _foremost(item)
    known = [Passage(str(i), "", passages[i]) for i in reply.get("passages") or () if i in passages]
    facts = {**stated(item.facts), **(item.reviewed_facts or {})}
    return ReplyRequest(str(strategy), intent, emotion, reply.get("stage"), facts, known, tuple(turns), deadline=0.0)
