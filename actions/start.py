"""Begins a turn: forgets what the last one learned and takes up the order number and phone tail in the message.

Rasa runs it on every message before anything is predicted, as the custom mapping of the slot new_facts (domain.yml), so
that a turn without a business action does not see the facts of an earlier one as new.
"""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.business import DEADLINE, FREE_TEXTS, nothing_found
from actions.guard import guarded
from actions.turn import Turn


class ActionStartTurn(Action):
    """Resets new_facts and outcome, drops the free texts from facts, and changes the order in hand."""

    def name(self) -> str:
        """The action's name in domain.yml."""
        return "action_start_turn"

    @guarded(DEADLINE, otherwise=nothing_found)
    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Feedback that was clicked changes nothing."""
        turn = Turn(tracker)
        return [] if turn.silent else [SlotSet(name, value) for name, value in start(turn).items()]


def start(turn: Turn) -> dict[str, Any]:
    """The slots to set."""
    slots: dict[str, Any] = {"new_facts": [], "outcome": "none"}
    facts: dict[str, str] = turn.slot("facts") or {}
    kept = {key: text for key, text in facts.items() if key not in FREE_TEXTS}
    if kept != facts:
        slots["facts"] = kept
    if turn.slot("waiting_for") == "confirm" and turn.intent != "affirm":
        slots["waiting_for"] = None  # a yes to something else must not carry it out
    order_id = turn.order_id
    if order_id and order_id != turn.slot("order_id"):
        slots |= {"order_id": order_id, "order_stated": True, "phone_tail": None, "facts": {}, "subject": None}
        if turn.slot("waiting_for") in ("confirm", "detail"):
            slots["waiting_for"] = None
    elif order_id:
        slots["order_stated"] = True
    if turn.phone_tail:
        slots["phone_tail"] = turn.phone_tail
    return slots
