"""Strategies that were chosen where several could have been, with what they were chosen from and what came of them.

A choice's moment is rebuilt from the tracker store's events as components.strategy_policy saw it: the messages of the
session, and the slots that tell what business actions found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kefu.feedback.mask import Masker
from kefu.feedback.proof import masked_reply
from kefu.feedback.store import CHOICES, ReviewStore, chunks
from kefu.feedback.tracker import Feedback, clean, is_message
from kefu.feedback.urgency import degree
from kefu.strategy import AGENT, OUTCOMES, USER, History, Message
from kefu.strategy.decisions import Decision, Signals, Weights, decision_of, history_as_dict, reward
from kefu.taxonomy import STRATEGIES

_BATCH = 300


@dataclass
class _Open:
    """A choice whose outcome is still to come."""

    message_id: str
    customer: str
    at: float
    history: History
    replies_left: int
    strategy: str
    propensity: float
    among: list[str]
    explored: bool
    signals: Signals


@dataclass
class _State:
    """A session as far as it was read."""

    messages: list[Message] = field(default_factory=list)
    slots: dict[str, Any] = field(default_factory=dict)
    pending: dict[str, Any] | None = None  # strategy_scores, until the reply is sent
    moment: History | None = None
    turn: list[_Open] = field(default_factory=list)  # the choices since the customer last wrote


def choices_of(
    sender: str, events: Iterable[Mapping[str, Any]], opinions: Mapping[str, Feedback], masker: Masker
) -> list[dict[str, Any]]:
    """The rows of a sender's choices, oldest first; those where only one strategy could have been taken are left out.

    Args:
        opinions: her feedback by message id.
    """
    events = list(events)
    if not any(event.get("event") == "slot" and _tried(event) for event in events):
        return []
    state, found, customer = _State(), [], sender
    for event in events:
        kind = event.get("event")
        if kind in ("session_started", "restart"):
            state = _State()
        elif kind == "reset_slots":
            state.slots = {}
        elif kind == "rewind":
            while state.messages and state.messages.pop().speaker != USER:
                pass
            state.turn = []
        elif kind == "slot":
            _slot(state, event)
        elif kind == "bot" and str(event.get("text") or "").strip():
            made = _reply(state, event, customer, opinions, masker)
            found += [made] if made else []
        elif kind == "user":
            customer = str((event.get("metadata") or {}).get("customer_id") or customer)
            _heard(state, event, masker)
    return [_row(sender, one, masker) for one in found]


def _tried(event: Mapping[str, Any]) -> bool:
    """Whether the event sets the scores of a choice among several strategies."""
    value = event.get("value")
    return event.get("name") == "strategy_scores" and isinstance(value, dict) and len(value.get("among") or ()) > 1


def _slot(state: _State, event: Mapping[str, Any]) -> None:
    name, value = str(event.get("name")), event.get("value")
    state.slots[name] = value
    if name == "strategy_scores":
        state.pending = value if _tried(event) else None
        state.moment = _history(state) if state.pending else None


def _history(state: _State) -> History:
    facts, new = state.slots.get("facts") or {}, state.slots.get("new_facts") or []
    outcome = state.slots.get("outcome")
    return History(
        list(state.messages),
        frozenset(facts),
        frozenset(key for key in new if key in facts),
        outcome if outcome in OUTCOMES else "none",
        order_id=bool(state.slots.get("order_id")),
        phone=bool(state.slots.get("phone_tail")),
        handed_over=bool(state.slots.get("handed_over")),
    )


def _reply(
    state: _State, event: Mapping[str, Any], customer: str, opinions: Mapping[str, Feedback], masker: Masker
) -> _Open | None:
    told = event.get("metadata") or {}
    strategy, propensity, message_id = (told.get(k) for k in ("strategy", "propensity", "message_id"))
    made, pending, moment = None, state.pending, state.moment
    if pending and moment and strategy in STRATEGIES and strategy in pending["among"] and message_id and propensity:
        made = _Open(
            str(message_id),
            customer,
            float(event.get("timestamp") or 0.0),
            moment,
            int(pending.get("replies_left") or 1),
            strategy,
            float(propensity),
            [str(s) for s in pending["among"]],
            pending.get("explored") is True,
            _said(opinions.get(str(message_id))),
        )
        state.turn.append(made)
    state.pending = state.moment = None
    text = _masked(clean(event["text"]).strip(), state.slots.get("facts"), masker)
    state.messages.append(Message(AGENT, text, strategies={strategy: 1.0} if strategy in STRATEGIES else {}))
    return made


def _said(opinion: Feedback | None) -> Signals:
    if opinion is None:
        return Signals()
    corrected = bool(opinion.correction)
    misread = corrected and opinion.target == "meaning"
    return Signals(opinion.thumb, opinion.rating, corrected=corrected and not misread, misread=misread)


def _heard(state: _State, event: Mapping[str, Any], masker: Masker) -> None:
    """A message of the customer: the outcome of the turn before, and the beginning of the next."""
    text = str(event.get("text") or "")
    if text.startswith("/give_feedback"):
        return
    parsed = event.get("parse_data") or {}
    intents = _distribution(parsed.get("intent_ranking"), parsed.get("intent"))
    emotions = _distribution(parsed.get("emotion_ranking"), parsed.get("emotion"))
    message = Message(USER, masker.text(clean(text)) if is_message(event) else "", intents, emotions)
    if is_message(event):
        before = next((m for m in reversed(state.messages) if m.speaker == USER), None)
        for one in state.turn:
            one.signals = _shown(one, before, message)
    state.turn = []
    state.messages.append(message)


def _shown(one: _Open, before: Message | None, after: Message) -> Signals:
    """The signals of a choice with what the customer's next message shows."""
    content = after.intent in ("thank", "goodbye") or (after.intent == "affirm" and one.strategy == "request_feedback")
    return replace(
        one.signals,
        resolved=content,
        wanted_human=after.intent == "contact_human",
        upset=degree(after.emotion) - degree(before.emotion if before else None),
    )


def _masked(text: str, facts: Any, masker: Masker) -> str:
    known = {str(k): str(v) for k, v in facts.items() if v is not None} if isinstance(facts, dict) else {}
    return masked_reply(text, known, {k: masker.fact(k, v) for k, v in known.items()}, masker)[1]


def _distribution(ranking: Any, best: Any) -> dict[str, float]:
    ranked = ranking or ([best] if best else [])
    return {r["name"]: float(r.get("confidence") or 0.0) for r in ranked if isinstance(r, dict) and r.get("name")}


def _row(sender: str, one: _Open, masker: Masker) -> dict[str, Any]:
    key = hashlib.sha256(f"{sender}\0{one.message_id}".encode("utf-8", "surrogatepass")).hexdigest()
    choice = {
        "key": key,
        "customer": masker.pseudonym(one.customer),
        "at": one.at,
        "history": history_as_dict(one.history),
        "replies_left": one.replies_left,
        "strategy": one.strategy,
        "propensity": one.propensity,
        "among": one.among,
    }
    row = {"key": key, "at": one.at, "explored": one.explored, "choice": choice}
    return {**row, "signals": asdict(one.signals)}


def save_choices(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Stores rows of ``choices_of``; those that are there already take the later news."""
    for batch in chunks(list({row["key"]: row for row in rows}.values()), _BATCH):
        connection.execute(sa.delete(CHOICES).where(CHOICES.c.key.in_([row["key"] for row in batch])))
        connection.execute(sa.insert(CHOICES), batch)


def stored_decisions(store: ReviewStore, weights: Weights | None = None) -> list[Decision]:
    """All choices in the store with their rewards, oldest first.

    Raises:
        DataError: a row is no decision.
    """
    query = sa.select(CHOICES.c.choice, CHOICES.c.signals).order_by(CHOICES.c.at, CHOICES.c.key)
    with store.engine.connect() as connection:
        return [
            decision_of({**choice, "reward": reward(Signals(**signals), weights)})
            for choice, signals in connection.execute(query)
        ]
