"""Requests after the sale: return, exchange, refund, repair, by the shop's rules."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from kefu.shop import models as m
from kefu.shop.access import Claim, Finding, Located, locate
from kefu.shop.fitting import APPLIANCES, signed_within
from kefu.shop.lookups import base, logistics, refund, refund_private, requests
from kefu.shop.terms import terms
from kefu.shop.wishes import fault
from kefu.shop.words import day

RETURN, EXCHANGE, REFUND, REPAIR = "return", "exchange", "refund", "repair"
KINDS = {
    "request_return": RETURN,
    "request_exchange": EXCHANGE,
    "request_refund": REFUND,
    "request_repair": REPAIR,
}
TOPICS = {kind: topic for topic, kind in KINDS.items()}
_INTIMATE = ("内衣", "袜")
_CLOSED = {
    m.UNPAID: "return_unpaid",
    m.CANCELLED: "order_closed",
    m.REFUNDED: "order_closed",
    m.REFUNDING: "refund_running",
}
_UNSIGNED = {
    RETURN: {m.PAID: "return_unshipped", m.SHIPPED: "not_signed"},
    EXCHANGE: {m.PAID: "modify_options", m.SHIPPED: "not_signed"},
    REFUND: {m.PAID: "", m.SHIPPED: ""},
    REPAIR: {m.PAID: "repair_not_signed", m.SHIPPED: "repair_not_signed"},
}


def judge(order: m.Order, kind: str, faulty: bool | None, now: datetime) -> str | None:
    """Whether the rules allow it: empty for yes, the name of the policy that says no, None where the reason decides.

    Args:
        faulty: the reason is a fault or the shop's mistake; None where no reason is known yet.
    """
    if order.state in _CLOSED:
        return _CLOSED[order.state]
    if order.state in _UNSIGNED[kind]:
        return _UNSIGNED[kind][order.state]
    if kind == REFUND:
        return None if faulty is None else ("" if faulty else "refund_needs_return")
    if kind == REPAIR:
        return _judge_repair(order, now)
    if signed_within(order, terms().return_days, now):
        return ""
    if not signed_within(order, terms().quality_days, now):
        return "quality_late"
    return None if faulty is None else ("" if faulty else f"{kind}_late")


def _judge_repair(order: m.Order, now: datetime) -> str:
    if not any("整机" in item.product.warranty for item in order.items):
        return "repair_no_warranty"
    return "" if signed_within(order, round(terms().warranty_months * 30.5), now) else "repair_late"


def find_open(order: m.Order, kind: str) -> m.ServiceRequest | None:
    """The request of that kind that is open on the order."""
    return next((r for r in order.requests if r.kind == kind and r.state == m.OPEN), None)


def locate_for(session: Session, claim: Claim, now: datetime) -> Located:
    """The order that a request would be opened on."""
    return locate(session, claim, now, change=True)


def open_request(session: Session, claim: Claim, kind: str, reason: str, now: datetime) -> Finding:
    """Opens the request if the rules allow it; a second one for the same matter finds the first."""
    found = locate_for(session, claim, now)
    if found.order is None:
        return found.finding
    order = found.order
    subject = f"order:{order.id}"
    if find_open(order, kind):
        return Finding("found", _facts(order, kind, now), order.id, subject)
    faulty = bool(fault(reason))
    refusal = judge(order, kind, faulty, now)
    if refusal:
        facts = base(order, now) | _when(order, now) | {"policy": terms().policy(refusal)}
        return Finding("refused", facts, order.id, subject)
    policy = _open(session, order, kind, reason, faulty, now)
    return Finding("opened", _facts(order, kind, now) | {"policy": terms().policy(policy)}, order.id, subject)


def _when(order: m.Order, now: datetime) -> dict[str, str]:
    return {key: text for key, text in logistics(order, now).items() if key in ("signed_time", "ship_by", "eta")}


def _facts(order: m.Order, kind: str, now: datetime) -> dict[str, str]:
    facts = base(order, now) | requests(order, now)
    if kind in (RETURN, REFUND):
        facts |= refund(order, now) | refund_private(order, now)
    if kind in (RETURN, EXCHANGE):
        opened = find_open(order, kind)
        start = opened.created_at if opened else now
        facts["return_deadline"] = day(start + timedelta(days=terms().return_days), now)
    return facts


def _open(session: Session, order: m.Order, kind: str, reason: str, faulty: bool, now: datetime) -> str:
    """Writes the request and what follows from it; returns the name of the policy that says how it goes on."""
    if kind == REFUND and order.state == m.PAID:
        cancel_paid(order, now)
        session.flush()
        return "cancelled"
    order.requests.append(m.ServiceRequest(kind=kind, reason=reason[:200], fault=faulty, created_at=now))
    policy = _proceed(order, kind, faulty, now)
    session.flush()
    return policy


def _proceed(order: m.Order, kind: str, faulty: bool, now: datetime) -> str:
    if kind == REPAIR:
        return "repair_home" if _has(order, APPLIANCES) else "repair_mail"
    if kind == EXCHANGE:
        return "exchange_free" if faulty else "exchange_own"
    if kind == REFUND and order.state == m.SHIPPED:
        return intercept(order, now)
    add_refund(order, kind, "returning" if kind == RETURN else "requested", now)
    order.state = m.REFUNDING
    if kind == REFUND:
        return "refund_review"
    return "return_free" if faulty else _return_policy(order)


def _return_policy(order: m.Order) -> str:
    if any(word in item.product.name for item in order.items for word in _INTIMATE):
        return "return_intimate"
    for category, policy in (("食品", "return_food"), ("数码", "return_digital")):
        if _has(order, category):
            return policy
    return "return_own"


def _has(order: m.Order, category: str) -> bool:
    return any(item.product.category == category for item in order.items)


def add_refund(order: m.Order, kind: str, state: str, now: datetime, amount_fen: int | None = None) -> m.Refund:
    """Starts a refund to the channel the order was paid by; the whole amount unless another is given."""
    hours = {"cancel": terms().cancel_refund_hours, "price": terms().cancel_refund_hours}.get(kind)
    made = m.Refund(
        kind=kind,
        state=state,
        amount_fen=order.amount_fen if amount_fen is None else amount_fen,
        channel=order.channel,
        requested_at=now,
        due_at=now + timedelta(hours=hours) if hours else None,
    )
    order.refunds.append(made)
    return made


def cancel_paid(order: m.Order, now: datetime) -> None:
    """Cancels an order that has not been shipped; the money goes back."""
    order.state, order.cancelled_at = m.CANCELLED, now
    add_refund(order, "cancel", "requested", now)


def intercept(order: m.Order, now: datetime) -> str:
    """Has the parcel stopped on its way; the money goes back once it has returned. Returns the policy's name."""
    order.state = m.REFUNDING
    if order.shipment:
        order.shipment.state = m.RETURNING
    add_refund(order, REFUND, "returning", now)
    return "intercepting"


def withdraw(session: Session, order: m.Order, now: datetime) -> bool:
    """Takes back the open request and its refund, as long as no goods have come in; False where there is none."""
    opened = next((r for r in reversed(order.requests) if r.state == m.OPEN), None)
    pending = [r for r in order.refunds if r.kind in (RETURN, REFUND) and r.state in ("requested", "returning")]
    arrived = any(r.state == "inspecting" for r in order.refunds)
    if arrived or (opened is None and not pending):
        return False
    if opened is not None:
        opened.state = m.WITHDRAWN
    for started in pending:
        order.refunds.remove(started)
    if order.state == m.REFUNDING and pending:
        order.state = m.SIGNED if order.signed_at else m.SHIPPED
        if order.shipment and order.shipment.state == m.RETURNING:
            order.shipment.state = m.MOVING
    session.flush()
    return True
