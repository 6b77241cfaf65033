"""Which of the shop's services a topic is: one function for each intent that has business."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from actions.turn import Turn
from kefu.shop import (
    Finding,
    add_note,
    cancel_order,
    check_account,
    check_invoice,
    check_order,
    check_product,
    check_ticket,
    complain,
    hand_over,
    modify_order,
    protect_price,
    recommend,
    urge,
)
from kefu.shop.catalogue import named_in
from kefu.shop.wishes import ASK, wish

Service = Callable[[Any, Turn, str, datetime, bool], Finding]
COMPLAINTS = ("complain_product", "complain_delivery", "complain_service", "report_wrong_or_missing")
PRODUCTS = ("ask_product_info", "ask_usage", "ask_authenticity", "ask_stock", "ask_price", "ask_promotion")
SUMMARY = 300  # characters of a ticket's summary


def request_text(turn: Turn, topic: str) -> str:
    """The words that raised the topic: this message, or the earlier one that this one completes."""
    return turn.text if turn.intent == topic else str(turn.slot("request") or turn.text)


def _look_up(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    return check_order(session, turn.claim(topic), now)


def _look_up_if_known(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    """For questions that make sense without an order: nothing is asked for."""
    found = check_order(session, turn.claim(topic), now)
    return found if found.outcome == "found" or turn.slot("order_id") else Finding()


def _general(service: Service) -> Service:
    """A question how something works needs no order number; the shop's knowledge answers it."""

    def answer(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
        found = service(session, turn, topic, now, confirmed)
        question = wish(request_text(turn, topic)) == ASK
        return Finding() if question and found.outcome == "needs_order_id" else found

    return answer


@_general
def _cancel(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    return cancel_order(session, turn.claim(topic), request_text(turn, topic), now, confirmed)


@_general
def _modify(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    return modify_order(session, turn.claim(topic), turn.sender_id, request_text(turn, topic)[:SUMMARY], now)


@_general
def _price(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    return protect_price(session, turn.claim(topic), request_text(turn, topic), now, confirmed)


@_general
def _invoice(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    return check_invoice(session, turn.claim(topic), turn.sender_id, request_text(turn, topic)[:SUMMARY], now)


def _urge(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    return urge(session, turn.claim(topic), turn.sender_id, request_text(turn, topic)[:SUMMARY], now)


def _complain(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    """Asks for the order once; a complaint repeated without it is filed all the same."""
    insist = turn.slot("topic") == topic and bool(turn.slot("asked"))
    return complain(session, turn.claim(topic), turn.sender_id, turn.text[:SUMMARY], now, insist)


def _ticket(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    return check_ticket(session, turn.claim(topic), turn.sender_id, now)


def _hand_over(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    said = [text for text, _ in zip(turn.user_texts(), range(4))]
    summary = " / ".join(reversed(said))[:SUMMARY]
    return hand_over(session, turn.claim(topic), turn.sender_id, f"[{turn.slot('topic') or '-'}] {summary}", now)


def _product(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    """The article named, else the one talked about before, else the one of the order in hand."""
    subject = str(turn.slot("subject") or "")
    sku = subject.removeprefix("product:") if subject.startswith("product:") else None
    said = named_in(session, turn.text)
    names = turn.products or ([said] if said else [])
    if not names and sku is None and subject.startswith("order:"):
        names = [str((turn.slot("facts") or {}).get("product", ""))]
    return check_product(session, [name for name in names if name], sku, topic, now)


def _recommend(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    return recommend(session, turn.products, turn.text, turn.budget_fen, now)


def _account(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool) -> Finding:
    return check_account(session, turn.claim(topic), now)


SERVICES: dict[str, Service] = {
    **dict.fromkeys(
        ("ask_order_status", "payment_issue", "track_delivery", "contact_courier", "ask_refund_status"), _look_up
    ),
    **dict.fromkeys(("ask_delivery_time", "ask_installation"), _look_up_if_known),
    **dict.fromkeys(("request_invoice", "change_invoice"), _invoice),
    **dict.fromkeys(COMPLAINTS, _complain),
    **dict.fromkeys(PRODUCTS, _product),
    "urge_delivery": _urge,
    "cancel_order": _cancel,
    "modify_order": _modify,
    "price_protection": _price,
    "ask_service_ticket": _ticket,
    "contact_human": _hand_over,
    "ask_recommendation": _recommend,
    "account_issue": _account,
}
# Topics that an order number given later carries on.
ORDER_TOPICS = frozenset(SERVICES) - {*PRODUCTS, "ask_recommendation", "account_issue", "contact_human"}


def handle(session: Any, turn: Turn, topic: str, now: datetime, confirmed: bool = False) -> Finding:
    """Carries out the topic; ``confirmed`` means that she has agreed to what was proposed."""
    return SERVICES[topic](session, turn, topic, now, confirmed)


def note(session: Any, turn: Turn, topic: str, now: datetime) -> Finding:
    """Adds what she sent to the ticket on the topic."""
    return add_note(session, turn.claim(topic), turn.sender_id, turn.text[:SUMMARY], now)
