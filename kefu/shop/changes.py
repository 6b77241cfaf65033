"""What a customer may have done to an order: cancel, modify, urge, price protection."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from kefu.shop import models as m
from kefu.shop.access import Claim, Finding, locate
from kefu.shop.fitting import price_gap
from kefu.shop.lookups import base, facts_for, logistics, price, refund, refund_private, stalled, ticket_facts
from kefu.shop.service import add_refund, cancel_paid, intercept, withdraw
from kefu.shop.terms import terms
from kefu.shop.tickets import file_ticket
from kefu.shop.wishes import ASK, CHECK, DO, WITHDRAW, wants_interception, wish
from kefu.shop.words import end_of_day, yuan

CONFIRM, DETAIL = "confirm", "detail"
# Which orders a message about a cancellation is about, where it does not ask for one.
_MEANT = {CHECK: "check_cancelled", WITHDRAW: "withdraw_request"}


def _finding(outcome: str, order: m.Order, facts: dict[str, str], policy: str = "", waiting_for: str = "") -> Finding:
    if policy:
        facts = facts | {"policy": terms().policy(policy)}
    return Finding(outcome, facts, order.id, f"order:{order.id}", waiting_for)


def cancel_order(session: Session, claim: Claim, text: str, now: datetime, confirmed: bool = False) -> Finding:
    """Cancels, intercepts or withdraws, as the words ask for; a question is answered, ``confirmed`` carries it out."""
    meant = DO if confirmed else wish(text)
    topic = _MEANT.get(meant, claim.topic)
    found = locate(session, replace(claim, topic=topic), now, change=meant != CHECK)
    if found.order is None:
        return found.finding
    order = found.order
    if meant == CHECK:
        return _finding("found", order, facts_for("cancel_order", order, found.full, now))
    if meant == WITHDRAW:
        done = withdraw(session, order, now)
        return _finding("opened" if done else "found", order, base(order, now), "withdrawn" if done else "")
    return _cancel(session, order, meant, confirmed or wants_interception(text), now)


def _cancel(session: Session, order: m.Order, meant: str, stop: bool, now: datetime) -> Finding:
    if order.state in (m.CANCELLED, m.REFUNDING, m.REFUNDED):
        return _finding("found", order, base(order, now) | refund(order, now) | refund_private(order, now))
    if order.state == m.SIGNED:
        return _finding("refused", order, base(order, now) | _signed(order, now), "cancel_signed")
    if order.state == m.SHIPPED and not (stop and meant == DO):
        return _finding("refused", order, base(order, now), "cancel_shipped", CONFIRM)
    if meant == ASK:
        return _finding("found", order, base(order, now), "cancel_open", CONFIRM)
    if order.state == m.UNPAID:
        order.state, order.cancelled_at = m.CANCELLED, now
        policy = "cancelled_unpaid"
    elif order.state == m.PAID:
        cancel_paid(order, now)
        policy = "cancelled"
    else:
        policy = intercept(order, now)
    session.flush()
    return _finding("opened", order, base(order, now) | refund(order, now) | refund_private(order, now), policy)


def _signed(order: m.Order, now: datetime) -> dict[str, str]:
    return {key: text for key, text in logistics(order, now).items() if key == "signed_time"}


def modify_order(session: Session, claim: Claim, sender_id: str, text: str, now: datetime) -> Finding:
    """Registers a change of address, phone or receiver while the order has not been shipped; options cannot change."""
    found = locate(session, claim, now, change=True)
    if found.order is None:
        return found.finding
    order = found.order
    facts = facts_for("modify_order", order, True, now)
    if order.state == m.SHIPPED:
        return _finding("refused", order, facts | logistics(order, now), "modify_shipped")
    if order.state not in (m.PAID, m.UNPAID):
        return _finding("refused", order, base(order, now), "modify_closed")
    if _names_option(text):
        return _finding("refused", order, facts, "modify_options")
    ticket, new = file_ticket(session, "modify_order", sender_id, text, now, order, claim.customer_id)
    facts |= ticket_facts(ticket, now)
    return _finding("opened" if new else "found", order, facts, "modify_open", DETAIL)


def _names_option(text: str) -> bool:
    places = ("地址", "电话", "手机", "收货", "收件", "门牌", "楼", "号码", "address", "phone")
    options = ("颜色", "尺码", "码", "数量", "款式", "型号", "规格", "色", "件", "箱", "size", "colour", "color")
    return any(word in text for word in options) and not any(word in text for word in places)


def urge(session: Session, claim: Claim, sender_id: str, text: str, now: datetime) -> Finding:
    """Urges the warehouse or the carrier: a ticket where something is late or stalled, else only the facts."""
    found = locate(session, claim, now)
    if found.order is None:
        return found.finding
    order = found.order
    facts = facts_for("urge_delivery", order, found.full, now)
    late = order.state == m.PAID and order.ship_by is not None and order.ship_by < now
    overdue = (
        order.state == m.SHIPPED
        and order.shipment is not None
        and bool(order.shipment.eta and order.shipment.eta < now)
    )
    if not (late or overdue or stalled(order, now)):
        return _finding("found", order, facts)
    ticket, new = file_ticket(session, "urge_delivery", sender_id, text, now, order, claim.customer_id)
    return _finding("opened" if new else "found", order, facts | ticket_facts(ticket, now))


def protect_price(session: Session, claim: Claim, text: str, now: datetime, confirmed: bool = False) -> Finding:
    """Refunds the difference to today's prices, once an order; a question gets facts, ``confirmed`` carries it out."""
    apply = confirmed or wish(text) == DO
    found = locate(session, claim, now, change=apply)
    if found.order is None:
        return found.finding
    order = found.order
    facts = base(order, now) | price(order, now)
    refusal = _price_refusal(order, now)
    if refusal:
        return _finding("refused", order, facts, refusal)
    if not apply:
        return _finding("found", order, facts, "price_can", CONFIRM)
    order.price_protected_at = now
    add_refund(order, "price", "requested", now, price_gap(order))
    session.flush()
    return _finding("opened", order, facts | refund(order, now) | refund_private(order, now), "price_open")


def _price_refusal(order: m.Order, now: datetime) -> str:
    if order.state in (m.CANCELLED, m.REFUNDED, m.REFUNDING):
        return "order_closed"
    if order.paid_at is None:
        return "price_unpaid"
    if order.price_protected_at is not None:
        return "price_once"
    if now > end_of_day(order.paid_at + timedelta(days=terms().price_protection_days)):
        return "price_late"
    return "" if price_gap(order) > 0 else "price_no_gap"


def check_invoice(session: Session, claim: Claim, sender_id: str, text: str, now: datetime) -> Finding:
    """The invoice's state; for change_invoice a ticket to exchange it, within the days the terms allow."""
    change = claim.topic == "change_invoice"
    found = locate(session, claim, now, change=change)
    if found.order is None:
        return found.finding
    order = found.order
    facts = facts_for(claim.topic, order, found.full, now)
    issued = order.invoice.issued_at if order.invoice else None
    if issued is None:
        return _finding("found", order, facts, "invoice_unsigned")
    if not change:
        return _finding("found", order, facts, "invoice_ready")
    if now - issued > timedelta(days=terms().invoice_exchange_days):
        return _finding("refused", order, facts, "invoice_late")
    ticket, new = file_ticket(session, "change_invoice", sender_id, text, now, order, claim.customer_id)
    return _finding("opened" if new else "found", order, facts | ticket_facts(ticket, now), "invoice_exchange", DETAIL)


def check_account(session: Session, claim: Claim, now: datetime) -> Finding:
    """Points and balance of a signed-in customer; nothing for anybody else."""
    customer = session.get(m.Customer, claim.customer_id) if claim.customer_id else None
    if customer is None:
        return Finding()
    return Finding("found", {"points": f"{customer.points}分", "balance": yuan(customer.balance_fen)})
