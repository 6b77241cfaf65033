"""Hands the conversation over to a person."""

from __future__ import annotations

from typing import Any

from rasa_sdk.events import SlotSet

from actions.business import BusinessAction
from actions.turn import Turn


class ActionHandoff(BusinessAction):
    """Opens a ticket with what has been said, and sets handed_over with hotline and hours as facts."""

    action_name = "action_handoff"
    topics = ("contact_human",)

    def work(self, turn: Turn) -> list[dict[str, Any]]:
        """The slots of this turn. The topic stays, so that the talk can go on meanwhile."""
        topic, waiting = turn.slot("topic"), turn.slot("waiting_for")
        kept = [SlotSet("topic", topic), SlotSet("waiting_for", waiting), SlotSet("handed_over", True)]
        return super().work(turn) + kept
