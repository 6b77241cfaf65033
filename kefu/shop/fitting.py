"""Which of a customer's orders a topic is about, when she names none."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from kefu.shop.models import CANCELLED, OPEN, PAID, REFUNDED, REFUNDING, SHIPPED, SIGNED, UNPAID, Order
from kefu.shop.terms import terms

APPLIANCES = "大家电"
# Topics in which the order's state decides: the states in order of preference.
_BY_STATE: dict[str, tuple[tuple[str, ...], ...]] = {
    "track_delivery": ((SHIPPED,), (PAID,), (SIGNED,)),
    "ask_delivery_time": ((SHIPPED,), (PAID,)),
    "urge_delivery": ((SHIPPED, PAID),),
    "contact_courier": ((SHIPPED,), (SIGNED,)),
    "complain_delivery": ((SHIPPED,), (SIGNED,), (PAID,)),
    "cancel_order": ((PAID,), (UNPAID,), (SHIPPED,)),
    "check_cancelled": ((CANCELLED,), (REFUNDING,), (PAID,), (SHIPPED,)),
    "modify_order": ((PAID, UNPAID), (SHIPPED,)),
    "payment_issue": ((UNPAID,), (PAID,)),
    "request_invoice": ((SIGNED,), (SHIPPED, PAID)),
    "change_invoice": ((SIGNED,),),
    "request_repair": ((SIGNED,),),
    "report_wrong_or_missing": ((SIGNED,), (SHIPPED,)),
    "complain_product": ((SIGNED,),),
}


def rank(order: Order, topic: str, now: datetime) -> int | None:
    """How well the order fits the topic, 0 best; None where it does not fit."""
    if topic in _BY_STATE:
        return next((place for place, states in enumerate(_BY_STATE[topic]) if order.state in states), None)
    special = _SPECIAL.get(topic)
    return special(order, now) if special else 0


def suits(order: Order, text: str) -> bool:
    """Whether the order is in the state that the words speak of; False where they speak of none."""
    if re.search(r"签收|驿站|代收|放门口", text):
        return order.signed_at is not None
    if re.search(r"发货|出库|出仓", text) and not re.search(r"已发货|发货(了|后)", text):
        return order.state == PAID
    return False


def price_gap(order: Order) -> int:
    """By how many fen today's prices lie below the paid ones, over all items that became cheaper."""
    return sum(max(item.price_fen - item.product.price_fen, 0) * item.quantity for item in order.items)


def signed_within(order: Order, days: int, now: datetime) -> bool:
    """Whether the order was signed for and that is at most ``days`` days ago."""
    return order.signed_at is not None and now - order.signed_at <= timedelta(days=days)


def _return(order: Order, now: datetime) -> int | None:
    if order.state != SIGNED:
        return 3 if order.state in (SHIPPED, PAID) else None
    if signed_within(order, terms().return_days, now):
        return 0
    return 1 if signed_within(order, terms().quality_days, now) else 2


def _refund(order: Order, now: datetime) -> int | None:
    places = {PAID: 0, SHIPPED: 1, SIGNED: 2}
    return places.get(order.state)


def _refund_status(order: Order, now: datetime) -> int | None:
    if order.state == REFUNDING:
        return 0
    return 1 if order.refunds or order.state in (REFUNDED,) else None


def _price(order: Order, now: datetime) -> int | None:
    if order.paid_at is None or order.state in (CANCELLED, REFUNDING, REFUNDED):
        return None
    fresh = now - order.paid_at <= timedelta(days=terms().price_protection_days)
    if fresh and price_gap(order) > 0 and order.price_protected_at is None:
        return 0
    return 1 if fresh else 2


def _install(order: Order, now: datetime) -> int | None:
    if order.state in (UNPAID, CANCELLED, REFUNDED):
        return None
    return 0 if any(item.product.category == APPLIANCES for item in order.items) else None


def _withdraw(order: Order, now: datetime) -> int | None:
    return 0 if order.state == REFUNDING or any(request.state == OPEN for request in order.requests) else None


_SPECIAL: dict[str, Callable[[Order, datetime], int | None]] = {
    "request_return": _return,
    "request_exchange": _return,
    "request_refund": _refund,
    "ask_refund_status": _refund_status,
    "withdraw_request": _withdraw,
    "price_protection": _price,
    "ask_installation": _install,
}
