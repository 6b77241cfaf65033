"""What the shop knows of an order, as facts in an agent's words (keys of kefu/facts.yml)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from kefu.shop import models as m
from kefu.shop.access import Claim, Finding, locate
from kefu.shop.fitting import APPLIANCES, price_gap
from kefu.shop.terms import terms
from kefu.shop.words import at, before, by, day, end_of_day, yuan

ORDER_STATES = {
    m.UNPAID: "待付款",
    m.PAID: "待发货",
    m.SHIPPED: "已发货",
    m.SIGNED: "已签收",
    m.REFUNDING: "退款中",
    m.REFUNDED: "已退款",
    m.CANCELLED: "已取消",
}
REFUND_STATES = {"requested": "退款处理中", "returning": "等待寄回", "inspecting": "仓库验收中", "done": "已退款"}
INVOICE_STATES = {"waiting": "待开票", "done": "已开票", "exchanging": "换开中"}
TICKET_STATES = {m.OPEN: "处理中", m.CLOSED: "已处理完"}
# Working days until a bank shows a refund.
_BANK_DAYS = {"储蓄卡": 3, "信用卡": 5}
Facts = dict[str, str]


def product_words(order: m.Order) -> str:
    """The order's articles as an agent names them, at most three."""
    names = [item.product.spoken for item in order.items]
    return "、".join(names[:3]) + (f"等{len(names)}样" if len(names) > 3 else "")


def base(order: m.Order, now: datetime) -> Facts:
    """Number, state and articles. Nothing personal."""
    facts = {"order_id": order.id, "order_state": ORDER_STATES[order.state], "product": product_words(order)}
    if order.state == m.SHIPPED and order.shipment and order.shipment.state == m.DELIVERING:
        facts["order_state"] = "派送中"
    return facts


def payment(order: m.Order, now: datetime) -> Facts:
    """When and how much was paid."""
    facts = {"amount": yuan(order.amount_fen)}
    if order.paid_at:
        facts["paid_time"] = at(order.paid_at, now)
    return facts


def article(order: m.Order, now: datetime) -> Facts:
    """What exactly was bought, for an order of one line."""
    if len(order.items) != 1:
        return {}
    item = order.items[0]
    return {"quantity": f"{item.quantity}件", **({"sku": item.option} if item.option else {})}


def logistics(order: m.Order, now: datetime) -> Facts:
    """Where the parcel is. Nothing personal: no address, no name."""
    parcel = order.shipment
    if parcel is None:
        return {"ship_by": by(order.ship_by, now)} if order.state == m.PAID and order.ship_by else {}
    facts = {"carrier": parcel.carrier, "tracking_no": parcel.tracking_no}
    if parcel.signed_at:
        facts |= {"signed_time": at(parcel.signed_at, now), "signed_by": parcel.signed_by}
        if parcel.state == m.STATION:
            facts |= {"station": parcel.station, "policy": terms().policy("at_station")}
        return facts
    facts["ship_time"] = at(parcel.shipped_at, now)
    if parcel.events:
        last = parcel.events[-1]
        facts |= {"latest_event": last.text, "event_time": at(last.at, now), "location": last.location}
    if stalled(order, now):
        facts["policy"] = terms().policy("stalled")
    elif parcel.eta:
        facts["eta"] = before(parcel.eta, now) if parcel.state == m.DELIVERING else day(parcel.eta, now)
    if parcel.state == m.DELIVERING:
        facts |= {"courier_phone": parcel.courier_phone, "station": parcel.station}
    return {key: value for key, value in facts.items() if value}


def stalled(order: m.Order, now: datetime) -> bool:
    """Whether the parcel is under way and has had no news for longer than the shop's terms allow."""
    parcel = order.shipment
    if parcel is None or order.state != m.SHIPPED:
        return False
    last = parcel.events[-1].at if parcel.events else parcel.shipped_at
    return now - last > timedelta(hours=terms().stalled_hours)


def refund(order: m.Order, now: datetime) -> Facts:
    """How far the newest refund is."""
    if not order.refunds:
        return {}
    latest = order.refunds[-1]
    facts = {"refund_amount": yuan(latest.amount_fen), "refund_state": REFUND_STATES[latest.state]}
    if latest.refunded_at:
        facts["refund_date"] = day(latest.refunded_at, now)
        arrives = _arrival(latest)
        if arrives is None:
            facts["refund_eta"] = "即时"
        elif arrives < now.date():
            facts["policy"] = terms().policy("refund_overdue")
        else:
            facts["refund_eta"] = "今天内" if arrives == now.date() else f"{day(arrives, now)}前"
    elif latest.due_at:
        facts["refund_eta"] = before(latest.due_at, now)
    return facts


def _arrival(refund: m.Refund) -> date | None:
    """The working day by which the bank shows the money; None for channels that show it at once."""
    days = next((count for kind, count in _BANK_DAYS.items() if kind in refund.channel), 0)
    if not days or refund.refunded_at is None:
        return None
    current = refund.refunded_at.date()
    while days:
        current += timedelta(days=1)
        days -= current.weekday() < 5
    return current


def refund_private(order: m.Order, now: datetime) -> Facts:
    """Where the refund goes: names a payment account, so only for the customer herself."""
    return {"refund_channel": order.refunds[-1].channel} if order.refunds else {}


def price(order: m.Order, now: datetime) -> Facts:
    """What was paid for the articles, what they cost now, and until when the difference can be claimed."""
    if order.paid_at is None or order.state in (m.CANCELLED, m.REFUNDED):
        return {}
    paid = sum(item.price_fen * item.quantity for item in order.items)
    current = sum(item.product.price_fen * item.quantity for item in order.items)
    last = end_of_day(order.paid_at + timedelta(days=terms().price_protection_days))
    facts = {"old_price": yuan(paid), "price": yuan(current), "deadline": day(last, now)}
    gap = price_gap(order)
    return facts | ({"price_gap": yuan(gap)} if gap else {})


def invoice(order: m.Order, now: datetime) -> Facts:
    """The invoice's kind and state."""
    if order.invoice is None:
        return {}
    facts = {"invoice_type": order.invoice.kind, "invoice_state": INVOICE_STATES[order.invoice.state]}
    if order.invoice.state == "waiting" and order.signed_at:
        due = order.signed_at + timedelta(hours=24)
        facts["invoice_eta"] = by(due, now) if due > now else "24小时内"
    return facts


def invoice_private(order: m.Order, now: datetime) -> Facts:
    """Whose name the invoice bears."""
    return {"invoice_title": order.invoice.title} if order.invoice else {}


def install(order: m.Order, now: datetime) -> Facts:
    """When the fitter comes, for large appliances."""
    if not any(item.product.category == APPLIANCES for item in order.items):
        return {}
    facts = {"install_fee": "安装费免", "policy": terms().policy("install")}
    return facts | ({"install_time": at(order.install_at, now)} if order.install_at else {})


def requests(order: m.Order, now: datetime) -> Facts:
    """The numbers of what is open on this order."""
    keys = {"return": "return_id", "exchange": "exchange_id", "repair": "repair_id"}
    facts = {keys[r.kind]: r.code for r in order.requests if r.state == m.OPEN and r.kind in keys}
    for ticket in order.tickets:
        if ticket.state == m.OPEN:
            facts |= ticket_facts(ticket, now)
    return facts


def ticket_facts(ticket: m.Ticket, now: datetime) -> Facts:
    """A ticket's number and state, and by when a person replies."""
    facts = {"ticket_id": ticket.code, "ticket_state": TICKET_STATES[ticket.state]}
    if ticket.state == m.OPEN and ticket.reply_by > now:
        facts["callback_by"] = by(ticket.reply_by, now)
    return facts


def personal(order: m.Order, now: datetime) -> Facts:
    """Whose order it is and where it goes."""
    return {"phone_tail": order.customer.phone_tail, "address": order.address}


Section = Callable[[m.Order, datetime], Facts]
# What a topic wants to know, then what it adds for the customer herself.
_TOPICS: dict[str, tuple[tuple[Section, ...], tuple[Section, ...]]] = {
    "ask_order_status": ((base, logistics, refund), (payment, article, requests)),
    "payment_issue": ((base,), (payment, refund)),
    "track_delivery": ((base, logistics), ()),
    "ask_delivery_time": ((base, logistics), ()),
    "urge_delivery": ((base, logistics), (requests,)),
    "contact_courier": ((base, logistics), ()),
    "complain_delivery": ((base, logistics), (requests,)),
    "ask_refund_status": ((base, refund), (refund_private, requests)),
    "price_protection": ((base, price), (payment,)),
    "request_invoice": ((base, invoice), (invoice_private, payment)),
    "change_invoice": ((base, invoice), (invoice_private,)),
    "ask_installation": ((base, logistics, install), ()),
    "modify_order": ((base,), (personal, article)),
    "cancel_order": ((base,), (payment, refund)),
    "ask_service_ticket": ((base,), (requests,)),
}


def facts_for(topic: str, order: m.Order, full: bool, now: datetime) -> Facts:
    """The order's facts that matter to the topic; ``full`` adds those for the customer herself."""
    common, private = _TOPICS.get(topic, ((base,), (requests,)))
    facts: Facts = {}
    for section in common + (private if full else ()):
        facts |= section(order, now)
    return facts


def check_order(session: Session, claim: Claim, now: datetime) -> Finding:
    """Looks the claim's order up for its topic."""
    found = locate(session, claim, now)
    if found.order is None:
        return found.finding
    facts = facts_for(claim.topic, found.order, found.full, now)
    return Finding("found", facts, found.order.id, f"order:{found.order.id}")
