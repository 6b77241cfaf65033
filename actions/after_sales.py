"""The after-sales form: what is still missing for a return, exchange, refund or repair, and the request itself.

A message that answers nothing is rejected, so that rules and the strategy policy take the turn; action_reply then gives
the form the word again (it re-sets the active loop), and the form asks once more, at most twice in this way.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import FollowupAction, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import resources
from actions.business import DEADLINE, BusinessAction, nothing_found, settle
from actions.form_texts import FAREWELL
from actions.guard import guarded
from actions.send import send
from actions.turn import FORM, Turn
from kefu.shop import TOPICS, Finding, fault, find_open, judge, leaves, locate_for, now, open_request, terms
from kefu.shop.lookups import base

Events = list[dict[str, Any]]
MAX_ASKS = 3  # for one slot: the first question and two more
# What ends the form for another action.
_LEAVE_FOR = {"contact_human": "action_handoff", "cancel_order": "action_cancel_order"}
# Questions that may tell a reason, and messages that cannot be one, whatever was asked.
_TELLING = ("ask_usage", "ask_product_info", "ask_authenticity")
_CHATTING = ("affirm", "greet", "thank", "goodbye", "contact_human", "ask_bot_identity")
_NO_REASON = (*_CHATTING, "track_delivery", "urge_delivery")
_NO_ANSWER = ("affirm", "deny", "provide_info", None)
_OWN_SLOTS = ("service", "reason", "form_asks", "form_note", "form_end")


class ValidateAfterSalesForm(Action):
    """Takes up what the message gives, and says what to ask for next."""

    def name(self) -> str:
        """The action's name in domain.yml."""
        return f"validate_{FORM}"

    @guarded(DEADLINE, otherwise=lambda: [SlotSet("form_end", "failed"), SlotSet("requested_slot", None)])
    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """No events reject the form; requested_slot None completes it."""
        return await asyncio.to_thread(self.work, Turn(tracker))

    def work(self, turn: Turn) -> Events:
        """Activation, an answer, or the return from a digression."""
        requested = turn.slot("requested_slot")
        if requested is None:
            reason = turn.text if fault(turn.text) is not None else None
            begun = {"service": turn.service or "return", "reason": reason, "form_asks": 0, "form_end": None}
            return self._next(turn, begun)
        if answered_meanwhile(turn):
            return [SlotSet("form_note", None), SlotSet("requested_slot", requested)]
        ending = _ending(turn)
        if ending:
            return [SlotSet("form_end", ending), SlotSet("requested_slot", None)]
        filled = _filled(turn, requested)
        if filled is None and turn.intent not in _NO_ANSWER:
            return []
        return self._next(turn, filled if filled is not None else {"form_note": "help"})

    def _next(self, turn: Turn, filled: dict[str, Any]) -> Events:
        """The slots now filled, and the one to ask for."""
        turn.tracker.slots.update(filled)
        slots = {"form_note": None, **filled, **self._missing(turn)}
        requested, before = slots["requested_slot"], turn.slot("requested_slot")
        if requested != before:
            slots["form_asks"] = 0
            slots["form_note"] = None if slots["form_note"] == "help" else slots["form_note"]
        elif requested and (turn.slot("form_asks") or 0) >= MAX_ASKS:
            slots |= {"form_end": "unverified", "requested_slot": None}
        return [SlotSet(name, value) for name, value in slots.items()]

    def _missing(self, turn: Turn) -> dict[str, Any]:
        kind = str(turn.slot("service"))
        with resources.shop.get().session() as session:
            found = locate_for(session, turn.claim(TOPICS[kind]), now())
            if found.order is None:
                return _unlocated(turn, found.finding)
            order = found.order
            slots: dict[str, Any] = {"order_id": order.id, "subject": f"order:{order.id}", "facts": base(order, now())}
            slots["order_stated"] = order.id == turn.slot("order_id") and turn.slot("order_stated") is not False
            verdict = judge(order, kind, fault(turn.slot("reason")), now())
            settled = bool(verdict) or find_open(order, kind) is not None
            at_once = kind == "refund" and order.state != "signed"
            ask = not settled and not at_once and not turn.slot("reason")
            return {**slots, "requested_slot": "reason" if ask else None}


def answered_meanwhile(turn: Turn) -> bool:
    """Whether something else was answered since the customer's message, so that the form only has to ask again."""
    for event in reversed(turn.tracker.events):
        if event.get("event") == "user":
            return False
        if event.get("event") == "action" and event.get("name") not in (FORM, "action_listen"):
            return True
    return False


def _ending(turn: Turn) -> str | None:
    if turn.service:
        return None
    if turn.intent == "contact_human":
        return _LEAVE_FOR["contact_human"]
    if leaves(turn.text) or turn.intent == "goodbye":
        return "cancelled"
    return _LEAVE_FOR.get(turn.intent or "")


def _filled(turn: Turn, requested: str) -> dict[str, Any] | None:
    """What the message gives to the form; None where it gives nothing."""
    filled: dict[str, Any] = {}
    if turn.service and turn.service != turn.slot("service"):
        filled |= {"service": turn.service, "reason": None}
    if _tells_reason(turn, requested):
        filled["reason"] = turn.text
    named = requested == "order_id" and bool(turn.customer_id and turn.products)
    if filled or turn.order_id or turn.phone_tail or named:
        return filled
    return None


def _tells_reason(turn: Turn, requested: str) -> bool:
    """A fault or a change of mind tells one at any time; where it was asked for, any statement does."""
    intent = turn.intent or ""
    if intent in _NO_REASON or (intent.startswith("ask_") and intent not in _TELLING):
        return False
    if fault(turn.text) is not None:
        return True
    statement = bool(turn.text) and not intent.startswith("ask_") and not turn.service and not turn.order_id
    return requested == "reason" and statement


def _unlocated(turn: Turn, finding: Finding) -> dict[str, Any]:
    if finding.waiting_for == "phone_tail":
        note = "mismatch" if finding.outcome == "not_found" else None
        return {"phone_tail": None, "requested_slot": "phone_tail", **({"form_note": note} if note else {})}
    note = "no_such_order" if finding.outcome == "not_found" and turn.slot("order_id") else None
    slots: dict[str, Any] = {"order_id": None, "requested_slot": "order_id"}
    if finding.options:
        return {**slots, "form_note": "、".join(finding.options)}
    return {**slots, **({"form_note": note} if note else {})}


class ActionSubmitService(BusinessAction):
    """Opens the request that the form has collected, or ends the form politely."""

    action_name = "action_submit_service"
    topics = tuple(TOPICS.values())

    @guarded(DEADLINE, otherwise=lambda: nothing_found() + [SlotSet(name, None) for name in _OWN_SLOTS])
    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Speaks only to say that the matter was dropped; else the strategy policy answers."""
        turn = Turn(tracker)
        cleared = [SlotSet(name, None) for name in _OWN_SLOTS]
        end = turn.slot("form_end")
        if end == "cancelled":
            send(dispatcher, FAREWELL[turn.language], strategy="continue_relationship", source="template")
            return [*nothing_found(), SlotSet("topic", None), *cleared, FollowupAction("action_listen")]
        if end == "failed":
            return [*nothing_found(), *cleared]
        if end in _LEAVE_FOR.values():
            return [*nothing_found(), *cleared, FollowupAction(end)]
        return await asyncio.to_thread(self._submit, turn, end) + cleared

    def _submit(self, turn: Turn, end: str | None) -> Events:
        kind = str(turn.slot("service") or "return")
        topic = TOPICS[kind]
        if end == "unverified":
            rules = terms()
            told = any(re.search(r"\d{8}", text) for text in turn.user_texts())
            why = "mismatch" if turn.slot("order_id") else "no_such_order" if told else "no_order_number"
            facts = {"policy": rules.policy(why), "hotline": rules.hotline, "hours": rules.hours}
            return settle(turn, Finding("not_found", facts, waiting_for="phone_tail"), topic)
        with resources.shop.get().session() as session:
            reason = str(turn.slot("reason") or "")
            return settle(turn, open_request(session, turn.claim(topic), kind, reason, now()), topic)
