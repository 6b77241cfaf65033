"""Carries a topic on with what the customer gives later: the order number, the phone tail, a yes, an address."""

from __future__ import annotations

import re
from typing import Any

from rasa_sdk.events import SlotSet

from actions import resources
from actions.business import BusinessAction, settle
from actions.desk import COMPLAINTS, ORDER_TOPICS, PRODUCTS, handle, note
from actions.turn import Turn
from kefu.shop import Finding, now

_EXPLICIT = re.compile(
    r"取消|拦|截|申请|退|办|弄|确认|要的|需要|就这样|麻烦|帮|yes|sure|please|go ahead", re.IGNORECASE
)
_QUESTION = re.compile(r"[?？吗呢]\s*$|要不要|是否|需不需要|可以吗")
_NEEDS = {"order_id": "needs_order_id", "phone_tail": "needs_phone"}


class ActionContinueTopic(BusinessAction):
    """Runs the topic's service again with the new entities; does nothing where nothing was waited for."""

    action_name = "action_continue_topic"
    topics = ("ask_order_status",)

    def work(self, turn: Turn) -> list[dict[str, Any]]:
        """The slots of this turn; none while the form is asking."""
        if turn.in_form:
            return []
        topic = str(turn.slot("topic") or "")
        waiting = turn.slot("waiting_for")
        if waiting == "confirm" and turn.intent == "affirm":
            return self._carry_out(turn, topic)
        with resources.shop.get().session() as session:
            if turn.order_id or turn.phone_tail or (turn.products and turn.customer_id and topic in ORDER_TOPICS):
                wanted = topic if topic in ORDER_TOPICS else self.topics[0]
                return settle(turn, handle(session, turn, wanted, now()), wanted)
            if turn.products and topic in PRODUCTS:
                return settle(turn, handle(session, turn, topic, now()), topic)
            if turn.intent == "affirm" or not waiting:
                return []
            if waiting == "detail":
                return settle(turn, note(session, turn, topic, now()), topic)
            if topic in COMPLAINTS:
                return settle(turn, handle(session, turn, topic, now()), topic)
        return settle(turn, Finding(_NEEDS.get(waiting, "none"), waiting_for=waiting), topic or None)

    def _carry_out(self, turn: Turn, topic: str) -> list[dict[str, Any]]:
        """What was proposed, if the yes is one to it and not just 'I see'."""
        if topic not in ORDER_TOPICS or not agrees(turn):
            return [SlotSet("waiting_for", None)]
        with resources.shop.get().session() as session:
            return settle(turn, handle(session, turn, topic, now(), confirmed=True), topic)


def agrees(turn: Turn) -> bool:
    """Whether a yes says what to do, or answers a question."""
    if _EXPLICIT.search(turn.text):
        return True
    replies = (e.get("text") or "" for e in reversed(turn.tracker.events) if e.get("event") == "bot")
    return bool(_QUESTION.search(str(next(replies, "")).strip()))
