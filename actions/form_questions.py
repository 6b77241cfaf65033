"""The questions of the after-sales form, one action for each slot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions.after_sales import MAX_ASKS, answered_meanwhile
from actions.business import DEADLINE
from actions.form_texts import question
from actions.guard import guarded
from actions.send import send
from actions.turn import FORM, Turn


class _Ask(Action, ABC):
    """Asks for one slot; after a digression at most twice, so that nobody is nagged."""

    @property
    @abstractmethod
    def slot(self) -> str:
        """The slot's name; a class attribute will do."""

    strategy = "verify_identity"

    def name(self) -> str:
        """The action's name in domain.yml."""
        return f"action_ask_{FORM}_{self.slot}"

    @guarded(DEADLINE, speaks=True)
    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Sends the question and counts it."""
        turn = Turn(tracker)
        asks = int(turn.slot("form_asks") or 0)
        if asks >= MAX_ASKS and answered_meanwhile(turn):
            return []
        product = str((turn.slot("facts") or {}).get("product") or "")
        service = str(turn.slot("service") or "return")
        text = question(self.slot, service, asks, turn.slot("form_note"), product, turn.language)
        send(dispatcher, text, strategy=self.strategy, source="template", stage="identify")
        return [SlotSet("form_asks", asks + 1), SlotSet("form_note", None)]


class ActionAskOrderId(_Ask):
    """Which order?"""

    slot = "order_id"


class ActionAskPhoneTail(_Ask):
    """Is it hers?"""

    slot = "phone_tail"


class ActionAskReason(_Ask):
    """Why?"""

    slot = "reason"
    strategy = "clarify"
