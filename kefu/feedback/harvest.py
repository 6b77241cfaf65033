"""Turns what customers wrote, and what they thought of the replies, into review items."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from kefu.errors import DataError
from kefu.feedback.choices import choices_of, save_choices
from kefu.feedback.database import name_of
from kefu.feedback.mask import Masker
from kefu.feedback.novelty import rank
from kefu.feedback.proof import masked_reply
from kefu.feedback.store import ITEMS, MARKS, OPEN, ReviewStore, chunks, existing, moment, now
from kefu.feedback.tracker import Feedback, Reply, UserTurn, events_of, read_conversation, senders_since
from kefu.feedback.urgency import doubt, upset

# Ids are drawn before a transaction commits, so that a few below the mark may have come after it.
_OVERLAP = 200
_SENDERS = 50  # in one transaction
_ENTITIES = ("product", "color", "size")  # annotated in the training data
_FROZEN = ("message_id", "reply", "strategy", "probability", "source", "facts", "priority")  # once reviewed
_CHINA = timezone(timedelta(hours=8))


@dataclass(frozen=True)
class Harvest:
    """What one harvest did: conversations read, items added, items that new feedback changed."""

    conversations: int
    added: int
    changed: int

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return dict(vars(self))


def harvest(
    store: ReviewStore, tracker: Engine, masker: Masker, everything: bool = False, known: Iterable[str] = ()
) -> Harvest:
    """Reads the conversations with news since the last harvest. A second harvest right after adds and changes nothing.

    Args:
        tracker: Rasa's SQL tracker store.
        everything: from the first event on, whatever was harvested before.
        known: what is trained on (``trained_texts``); an item that is like it is less worth a reviewer's look.

    Raises:
        DataError: the tracker is no tracker store, or another harvest ran at the same time.
    """
    source = name_of(str(tracker.url))
    with store.engine.connect() as connection:
        mark = connection.execute(sa.select(MARKS).where(MARKS.c.source == source)).mappings().first()
    if everything:
        mark = None
    senders, newest = senders_since(tracker, max(int(mark["event_id"]) - _OVERLAP, 0) if mark else 0)
    of_sender: dict[str, list[Feedback]] = defaultdict(list)
    for one in _shop_feedback(store.engine):
        of_sender[one.sender_id].append(one)
    since = mark["harvested_at"] - timedelta(hours=1) if mark else None
    recent = {s for s, given in of_sender.items() if since and any(moment(f.at) >= since for f in given)}
    added = changed = 0
    try:
        for batch in chunks(sorted(recent.union(senders)), _SENDERS):
            rows, choices = [], []
            for sender in batch:
                events = list(events_of(tracker, sender))
                turns, feedback = read_conversation(sender, events)
                opinions = merged([*feedback, *of_sender.get(sender, ())])
                rows += [_row(turn, opinions, masker) for turn in turns]
                choices += choices_of(sender, events, opinions, masker)
            with store.engine.begin() as connection:
                more, other = _save(connection, rows)
                save_choices(connection, choices)
            added, changed = added + more, changed + other
        with store.engine.begin() as connection:
            connection.execute(sa.delete(MARKS).where(MARKS.c.source == source))
            connection.execute(sa.insert(MARKS).values(source=source, event_id=newest, harvested_at=now()))
    except IntegrityError:
        raise DataError("Another harvest is running at the same time; run this one again when it is done.") from None
    rank(store, known)
    return Harvest(len(senders), added, changed)


def merged(feedback: Iterable[Feedback]) -> dict[str, Feedback]:
    """One opinion a reply, {message_id: Feedback} of one sender: what she said last of each kind counts, once."""
    opinions: dict[str, Feedback] = {}
    for one in sorted(feedback, key=lambda f: f.at):
        before = opinions.get(one.message_id, one)
        opinions[one.message_id] = replace(
            one,
            thumb=one.thumb or before.thumb,
            rating=one.rating or before.rating,
            correction=one.correction or before.correction,
            target=one.target or before.target,
        )
    return opinions


def _shop_feedback(engine: Engine) -> list[Feedback]:
    """The shop's ``feedback`` table, where there is one."""
    if not sa.inspect(engine).has_table("feedback"):
        return []
    table = sa.Table("feedback", sa.MetaData(), autoload_with=engine)
    found = []
    with engine.connect() as connection:
        for row in connection.execute(sa.select(table)).mappings():
            thumb, rating, correction, created = (row[n] for n in ("thumb", "rating", "correction", "created_at"))
            if row["message_id"] and (thumb or rating or correction):
                at = created.replace(tzinfo=_CHINA).timestamp() if isinstance(created, datetime) else 0.0
                about = (row["message_id"], row["sender_id"])
                found.append(Feedback(*about, at, thumb, rating, correction, row.get("target")))
    return found


def priority(turn: UserTurn, opinion: Feedback | None) -> float:
    """How much a reviewer's look is worth: a correction, then a bad mark, then a customer more upset, then doubt."""
    score = doubt(turn.intent_confidence, turn.emotion_confidence)
    if opinion is not None:
        score += 8.0 if opinion.correction else 0.0
        score += 4.0 if opinion.thumb == "down" or (opinion.rating or 5) <= 2 else 0.0
        score += 1.0 if opinion.rating == 3 else 0.0
    score += 0.5 * upset(turn.emotion, turn.next_emotion)
    score += 0.0 if turn.replies else 1.0
    return round(score, 4)


def _foremost(turn: UserTurn, opinions: Mapping[str, Feedback]) -> tuple[Reply | None, Feedback | None]:
    """The reply to review: the one with the worst feedback, else the last."""
    rated = [(r, opinions[r.message_id]) for r in turn.replies if r.message_id is not None and r.message_id in opinions]
    if rated:
        return max(rated, key=lambda pair: priority(turn, pair[1]))
    return (turn.replies[-1] if turn.replies else None), None


def _key(turn: UserTurn) -> str:
    return hashlib.sha256(f"{turn.sender_id}\0{turn.timestamp!r}\0{turn.message_id}".encode()).hexdigest()


def _row(turn: UserTurn, opinions: Mapping[str, Feedback], masker: Masker) -> dict[str, Any]:
    facts = {k: masker.fact(k, v) for k, v in turn.facts.items()}
    masked = masker.mask(turn.text)
    reply, opinion = _foremost(turn, opinions)
    shown = {id(r): _shown(r, turn.facts, facts, opinions, masker) for r in turn.replies}
    return {
        "key": _key(turn),
        "sender_id": turn.sender_id,
        "session_at": moment(turn.session),
        "asked_at": moment(turn.timestamp),
        "text": masked.text,
        "context": masker.text(turn.context) if turn.context else None,
        "intent": turn.intent,
        "intent_confidence": turn.intent_confidence,
        "emotion": turn.emotion,
        "emotion_confidence": turn.emotion_confidence,
        "entities": [
            {"entity": e["entity"], "start": place[0], "end": place[1]}
            for e in turn.entities
            if e.get("entity") in _ENTITIES and "start" in e and (place := masked.moved(e["start"], e["end"]))
        ],
        "replies": list(shown.values()),
        "facts": facts,
        "message_id": reply.message_id if reply else None,
        "reply": shown[id(reply)]["text"] if reply else None,
        "strategy": reply.strategy if reply else None,
        "probability": reply.probability if reply else None,
        "source": reply.source if reply else None,
        "thumb": opinion.thumb if opinion else None,
        "rating": opinion.rating if opinion else None,
        "correction": masker.text(opinion.correction) if opinion and opinion.correction else None,
        "correction_target": opinion.target if opinion and opinion.correction else None,
        "next_emotion": turn.next_emotion,
        "handed_over": turn.handed_over,
        "priority": priority(turn, opinion),
        "status": OPEN,
    }


def _shown(
    reply: Reply,
    facts: Mapping[str, str],
    masked_facts: Mapping[str, str],
    opinions: Mapping[str, Feedback],
    masker: Masker,
) -> dict[str, Any]:
    """A reply for storing."""
    template, text = masked_reply(reply.text, facts, masked_facts, masker)
    opinion = opinions.get(reply.message_id or "")
    return {
        "message_id": reply.message_id,
        "template": template,
        "text": text,
        "strategy": reply.strategy,
        "stage": reply.stage,
        "probability": reply.probability,
        "propensity": reply.propensity,
        "explored": reply.explored,
        "source": reply.source,
        "passages": list(reply.passages),
        "thumb": opinion.thumb if opinion else None,
        "rating": opinion.rating if opinion else None,
        "corrected": bool(opinion and opinion.correction),
    }


def _save(connection: Connection, rows: list[dict[str, Any]]) -> tuple[int, int]:
    """(added, changed). A reviewed item keeps what the reviewer saw; news of it still come in."""
    known = existing(connection, [row["key"] for row in rows])
    fresh = list({row["key"]: row for row in rows if row["key"] not in known}.values())
    if fresh:
        connection.execute(sa.insert(ITEMS), fresh)
    changed = 0
    for row in rows:
        before = known.get(row["key"])
        if before is None:
            continue
        mutable = set(row) - {"key", "sender_id", "session_at", "asked_at", "status", "text", "context", "entities"}
        if before["status"] != OPEN:
            mutable -= set(_FROZEN)
            if row["message_id"] != before["message_id"]:
                mutable -= {"thumb", "rating", "correction", "correction_target"}
        news = {name: row[name] for name in mutable if row[name] != before[name]}
        if news:
            connection.execute(sa.update(ITEMS).where(ITEMS.c.id == before["id"]).values(**news))
            changed += 1
    return len(fresh), changed
