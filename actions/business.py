"""What all business actions share: they look something up or do it, and put what came of it into the slots."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import resources
from actions.desk import handle
from actions.guard import guarded
from actions.turn import Turn
from kefu.shop import Finding, now

Events = list[dict[str, Any]]
DEADLINE = 8.0  # seconds; a lookup takes milliseconds, an unreachable database gives up after 3
UNANSWERED = ("needs_order_id", "needs_phone")
FREE_TEXTS = ("policy", "product_info")


def nothing_found() -> Events:
    """The slots of a turn whose business action could not be carried out."""
    return [SlotSet("outcome", "none"), SlotSet("new_facts", [])]


def settle(turn: Turn, finding: Finding, topic: str | None) -> Events:
    """The slots that carry a finding to the strategy policy, the reply and the next turn."""
    known: dict[str, str] = turn.slot("facts") or {}
    if finding.subject and finding.subject != turn.slot("subject"):
        known = {}
    kept = {key: text for key, text in known.items() if key not in FREE_TEXTS}
    slots: dict[str, Any] = {
        "facts": {**kept, **finding.facts},
        "new_facts": list(finding.facts),
        "outcome": finding.outcome,
    }
    if turn.in_form:  # the form goes on with its own order afterwards
        return [SlotSet(name, value) for name, value in slots.items()]
    if finding.subject:
        slots["subject"] = finding.subject
    slots |= {"topic": topic, "waiting_for": finding.waiting_for or None, **_order(turn, finding)}
    if turn.intent == topic:
        slots["request"] = turn.text
    asked = turn.slot("asked") or 0 if turn.slot("topic") == topic else 0
    slots["asked"] = asked + 1 if finding.outcome in UNANSWERED else 0
    return [SlotSet(name, value) for name, value in slots.items()]


def _order(turn: Turn, finding: Finding) -> dict[str, Any]:
    if finding.order_id:
        stated = finding.order_id == turn.slot("order_id") and turn.slot("order_stated") is not False
        return {"order_id": finding.order_id, "order_stated": stated}
    if finding.outcome == "not_found":  # what did not match is asked for anew
        lost = {"phone_tail": "phone_tail", "order_id": "order_id"}.get(finding.waiting_for)
        return {lost: None} if lost else {}
    return {}


class BusinessAction(Action, ABC):
    """Carries out the topic that the customer's message is about; says nothing.

    Attributes:
        topics: the intents it serves; the first stands in where it is run for another reason.
    """

    topics: tuple[str, ...] = ()

    @property
    @abstractmethod
    def action_name(self) -> str:
        """The action's name in domain.yml; a class attribute will do."""

    def name(self) -> str:
        """The action's name in domain.yml."""
        return self.action_name

    @guarded(DEADLINE, otherwise=nothing_found)
    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Looks up or carries out in a thread, so that a slow database holds nobody else up."""
        return await asyncio.to_thread(self.work, Turn(tracker))

    def work(self, turn: Turn) -> Events:
        """The slots of this turn."""
        topic = turn.intent if turn.intent in self.topics else self.topics[0]
        with resources.shop.get().session() as session:
            return settle(turn, handle(session, turn, topic, now()), topic)
