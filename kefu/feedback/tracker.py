"""Reads conversations out of Rasa's SQL tracker store (table ``events``), event by event, without importing Rasa."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from kefu.errors import DataError
from kefu.settings import PROBE
from kefu.taxonomy import EMOTIONS, STRATEGIES

_EVENTS = sa.table(
    "events",
    *(sa.column(name) for name in ("id", "sender_id", "type_name", "timestamp", "data")),
)
_KINDS = ("user", "bot", "slot", "session_started", "restart", "reset_slots", "rewind")
MAX_TEXT = 2000  # characters; what is longer is no message for a training set
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")  # PostgreSQL and UTF-8 refuse some of these


@dataclass(frozen=True)
class Feedback:
    """What a customer thinks of one reply.

    Attributes:
        at: seconds since 1970.
        target: what a correction is about: ``meaning`` (what she had meant) or ``reply`` (what should be answered).
    """

    message_id: str
    sender_id: str
    at: float
    thumb: str | None = None
    rating: int | None = None
    correction: str | None = None
    target: str | None = None


@dataclass
class Reply:
    """One message of the assistant, with what it was chosen and made from.

    Attributes:
        probability: what the strategy model gave the strategy.
        propensity: how likely the strategy was to be taken, trying others included; None in older records.
        explored: whether it was tried in place of the best.
    """

    text: str
    message_id: str | None = None
    strategy: str | None = None
    stage: str | None = None
    probability: float | None = None
    propensity: float | None = None
    explored: bool = False
    source: str | None = None
    passages: tuple[str, ...] = ()


@dataclass
class UserTurn:
    """One message of the customer and what came of it.

    Attributes:
        session: when the conversation's session began, in seconds since 1970.
        timestamp: when the message came, likewise.
        context: the agent's previous turn in this session.
        facts: all facts known to the assistant when the turn was over.
        next_emotion: the emotion of the customer's next message in this session.
    """

    sender_id: str
    session: float
    timestamp: float
    message_id: str | None
    text: str
    context: str | None
    intent: str | None
    intent_confidence: float
    emotion: str | None
    emotion_confidence: float
    entities: list[dict[str, Any]]
    replies: list[Reply] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    handed_over: bool = False
    next_emotion: str | None = None


def senders_since(engine: Engine, event_id: int) -> tuple[list[str], int]:
    """(senders with events after ``event_id``, the newest event's id); senders that only try the server are left out.

    Raises:
        DataError: the database is not a tracker store.
    """
    try:
        with engine.connect() as connection:
            newest = connection.execute(sa.select(sa.func.max(_EVENTS.c.id))).scalar()
            if newest is not None and newest < event_id:  # the store was emptied and counts from 1 again
                event_id = 0
            sender = _EVENTS.c.sender_id
            query = sa.select(sender).where(_EVENTS.c.id > event_id, sender.notlike(f"{PROBE}%")).distinct()
            return sorted(connection.execute(query).scalars()), int(newest or 0)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise DataError(
            f"{engine.url!r} is not a tracker store of Rasa ({reason}). Start the assistant once."
        ) from None


def events_of(engine: Engine, sender_id: str) -> Iterator[dict[str, Any]]:
    """The sender's events, oldest first, as Rasa wrote them."""
    query = sa.select(_EVENTS.c.data).where(_EVENTS.c.sender_id == sender_id, _EVENTS.c.type_name.in_(_KINDS))
    with engine.connect() as connection:
        for (data,) in connection.execute(query.order_by(_EVENTS.c.id)):
            yield json.loads(data)


def read_conversation(
    sender_id: str, events: Sequence[Mapping[str, Any]] | Iterator[Mapping[str, Any]]
) -> tuple[list[UserTurn], list[Feedback]]:
    """The customer's turns, oldest first, and the feedback she gave with /give_feedback."""
    turns: list[UserTurn] = []
    feedback: list[Feedback] = []
    session = 0.0
    facts: dict[str, str] = {}
    last_reply: Reply | None = None
    open_turn: UserTurn | None = None
    for event in events:
        kind, at = event.get("event"), float(event.get("timestamp") or 0.0)
        session = session or at
        if kind in ("session_started", "restart"):
            session, facts, last_reply, open_turn = at, {}, None, None
        elif kind == "reset_slots":
            facts = {}
        elif kind == "slot":
            facts = _slot(event, facts, open_turn)
        elif kind == "bot" and str(event.get("text") or "").strip():
            last_reply = _reply(event)
            if open_turn is not None:
                open_turn.replies.append(last_reply)
        elif kind == "user":
            given = _feedback(sender_id, event, last_reply)
            if given is not None:
                feedback.append(given)
            if is_message(event):
                turn = _turn(sender_id, session, event, last_reply)
                if open_turn is not None:
                    open_turn.next_emotion = turn.emotion
                open_turn = turn
                turn.facts = facts
                turns.append(turn)
    return turns, feedback


def _slot(event: Mapping[str, Any], facts: dict[str, str], turn: UserTurn | None) -> dict[str, str]:
    name, value = event.get("name"), event.get("value")
    if name == "handed_over" and value is True and turn is not None:
        turn.handed_over = True
    if name != "facts":
        return facts
    known = {str(k): str(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else {}
    if turn is not None:
        turn.facts = known
    return known


def clean(text: Any) -> str:
    """Cut to MAX_TEXT; what cannot be stored becomes a space, so that entities keep their places."""
    return _UNSTORABLE.sub(" ", str(text)[:MAX_TEXT])


def is_message(event: Mapping[str, Any]) -> bool:
    """Whether a user event is something said; /intent{...} is a payload."""
    text = str(event.get("text") or "").strip()
    return bool(text) and not text.startswith("/")


def _labelled(value: Any) -> tuple[str | None, float]:
    if not isinstance(value, dict) or not value.get("name"):
        return None, 0.0
    return str(value["name"]), float(value.get("confidence") or 0.0)


def _turn(sender_id: str, session: float, event: Mapping[str, Any], before: Reply | None) -> UserTurn:
    parsed = event.get("parse_data") or {}
    intent, intent_confidence = _labelled(parsed.get("intent"))
    emotion, emotion_confidence = _labelled(parsed.get("emotion"))
    if emotion is None:
        emotion = next((e.get("value") for e in parsed.get("entities") or [] if e.get("entity") == "emotion"), None)
    return UserTurn(
        sender_id=sender_id,
        session=session,
        timestamp=float(event.get("timestamp") or 0.0),
        message_id=event.get("message_id"),
        text=clean(event["text"]),
        context=before.text if before else None,
        intent=intent,
        intent_confidence=intent_confidence,
        emotion=emotion if emotion in EMOTIONS else None,
        emotion_confidence=emotion_confidence,
        entities=[e for e in parsed.get("entities") or [] if isinstance(e, dict)],
    )


def _reply(event: Mapping[str, Any]) -> Reply:
    metadata = event.get("metadata") or {}
    strategy, probability, propensity = (metadata.get(k) for k in ("strategy", "probability", "propensity"))
    return Reply(
        text=clean(event["text"]).strip(),
        message_id=metadata.get("message_id"),
        strategy=strategy if strategy in STRATEGIES else None,
        stage=metadata.get("stage"),
        probability=float(probability) if probability is not None else None,
        propensity=float(propensity) if propensity is not None else None,
        explored=metadata.get("explored") is True,
        source=metadata.get("source"),
        passages=tuple(str(p) for p in metadata.get("passages") or ()),
    )


def _feedback(sender_id: str, event: Mapping[str, Any], last_reply: Reply | None) -> Feedback | None:
    """The feedback of a /give_feedback payload; it is about the last reply where it names none."""
    parsed = event.get("parse_data") or {}
    if (parsed.get("intent") or {}).get("name") != "give_feedback":
        return None
    said = (event.get("metadata") or {}).get("feedback")  # checked by the channel
    if not isinstance(said, dict):
        said = {e.get("entity"): e.get("value") for e in parsed.get("entities") or [] if isinstance(e, dict)}
    about = said.get("message_id") or (last_reply.message_id if last_reply else None)
    thumb = said.get("thumb") if said.get("thumb") in ("up", "down") else None
    stars = str(said.get("rating") or "").strip()
    rating = int(stars) if stars in ("1", "2", "3", "4", "5") else None
    correction = clean(said["correction"]).strip() if said.get("correction") else None
    if not about or not (thumb or rating or correction):
        return None
    target = said.get("target") if said.get("target") in ("meaning", "reply") else None
    return Feedback(str(about), sender_id, float(event.get("timestamp") or 0.0), thumb, rating, correction, target)
