"""Records what customers think of replies: a thumb, stars, a correction, or typed praise and suggestions."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActiveLoop, FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import resources
from actions.business import DEADLINE
from actions.guard import guarded
from actions.turn import FORM, Turn
from kefu.errors import DataError
from kefu.shop import About, now, record_feedback

logger = logging.getLogger(__name__)
Events = list[dict[str, Any]]
_CLICKED = ("thumb", "rating", "correction")


class ActionRecordFeedback(Action):
    """Stores feedback with the reply it is about; feedback that was clicked gets no answer."""

    def name(self) -> str:
        """The action's name in domain.yml."""
        return "action_record_feedback"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Typed feedback goes on to the strategy policy."""
        turn = Turn(tracker)
        outcome = await self._record(dispatcher, tracker, domain)
        if not turn.silent:
            return outcome
        # Nothing of the talk may change: an interrupted form is given the word again by the customer's next message.
        return [*([ActiveLoop(FORM)] if turn.in_form else []), FollowupAction("action_listen")]

    @guarded(DEADLINE)
    async def _record(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        await asyncio.to_thread(self.store, Turn(tracker))
        return [SlotSet("outcome", "recorded"), SlotSet("new_facts", [])]

    def store(self, turn: Turn) -> None:
        """One row for each kind of feedback in the message."""
        given = _clicked(turn) if turn.silent else {"comment": turn.text}
        about = find_reply(turn, str(given.pop("message_id", "")), given.pop("target", None))
        with resources.shop.get().session() as session:
            for kind, value in given.items():
                try:
                    record_feedback(session, about, kind, str(value), now())
                except DataError as error:
                    logger.warning("Feedback of conversation %r was not kept: %s", turn.sender_id, error)


def _clicked(turn: Turn) -> dict[str, Any]:
    """The feedback of a payload: from the metadata, where the channel has checked it, else from its entities."""
    checked = turn.metadata.get("feedback")
    if not isinstance(checked, dict):
        checked = {e["entity"]: e.get("value") for e in turn.message.get("entities") or [] if "entity" in e}
    return {key: checked[key] for key in ("message_id", "target", *_CLICKED) if checked.get(key) not in (None, "")}


def find_reply(turn: Turn, message_id: str, target: str | None) -> About:
    """The reply with that id, or the last one, and the customer's message that it answered."""
    question: dict[str, Any] = {}
    chosen: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for event in turn.tracker.events:
        if event.get("event") == "user" and not str(event.get("text") or "").startswith("/"):
            question = event.get("parse_data") or {}
        elif event.get("event") == "bot":
            metadata = event.get("metadata") or {}
            known = metadata.get("message_id")
            if known and (known == message_id or not message_id):
                # Typed feedback is itself the last message; the reply before it answered the one before.
                chosen = (metadata, question)
    reply, asked = chosen
    probability = reply.get("probability")
    return About(
        message_id=message_id or str(reply.get("message_id") or ""),
        sender_id=turn.sender_id,
        strategy=reply.get("strategy"),
        probability=float(probability) if isinstance(probability, (int, float)) else None,
        intent=(asked.get("intent") or {}).get("name"),
        emotion=(asked.get("emotion") or {}).get("name"),
        source=reply.get("source"),
        target=target,
    )
