"""Tickets: matters that a person takes up. An open ticket on the same matter is followed up, not opened again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kefu.shop import models as m
from kefu.shop.access import Claim, Finding, locate
from kefu.shop.lookups import facts_for, ticket_facts
from kefu.shop.terms import terms

HANDOFF = "contact_human"
MAX_NOTES = 50


def file_ticket(
    session: Session,
    kind: str,
    sender_id: str,
    summary: str,
    now: datetime,
    order: m.Order | None,
    customer_id: str | None,
) -> tuple[m.Ticket, bool]:
    """The ticket on this matter, and whether it is a new one; a matter that is open already gets a note.

    A matter is a topic with an order, or a topic in a conversation that knows no order yet. A hand-over belongs to its
    conversation, whatever the order.
    """
    known = _same_matter(session, kind, sender_id, order)
    if known is not None:
        if summary and len(known.notes) < MAX_NOTES:
            known.notes = [*known.notes, summary]
        known.order = known.order or order
        known.updated_at = now
        session.flush()
        return known, False
    owner = customer_id if customer_id and session.get(m.Customer, customer_id) else None
    ticket = m.Ticket(
        kind=kind,
        sender_id=sender_id,
        customer_id=owner,
        summary=summary,
        created_at=now,
        updated_at=now,
        reply_by=now + timedelta(hours=terms().ticket_reply_hours),
        order=order,
    )
    session.add(ticket)
    session.flush()
    return ticket, True


def _same_matter(session: Session, kind: str, sender_id: str, order: m.Order | None) -> m.Ticket | None:
    newest: Any = m.Ticket.id
    same: Any = m.Ticket.sender_id == sender_id
    if order is not None and kind != HANDOFF:
        same = sa.or_(sa.and_(same, _unbound()), m.Ticket.order_id == order.id)
    statement = sa.select(m.Ticket).where(m.Ticket.kind == kind, m.Ticket.state == m.OPEN, same).order_by(newest.desc())
    found: m.Ticket | None = session.scalars(statement).first()
    return found


def _unbound() -> Any:
    column: Any = m.Ticket.order_id
    return column.is_(None)


def complain(
    session: Session, claim: Claim, sender_id: str, summary: str, now: datetime, insist: bool = False
) -> Finding:
    """Files a complaint with its order. Where the order is not known it is asked for once, then filed without.

    A ticket changes nothing about an order and shows nothing of it, so the order number alone is enough here.
    """
    found = locate(session, claim, now)
    if found.order is None and not insist and claim.topic != "complain_service":
        return found.finding
    ticket, new = file_ticket(session, claim.topic, sender_id, summary, now, found.order, claim.customer_id)
    facts = facts_for(claim.topic, found.order, found.full, now) if found.order else {}
    facts |= ticket_facts(ticket, now)
    if new:
        facts["policy"] = terms().policy("ticket")
    subject = f"order:{found.order.id}" if found.order else ""
    return Finding("opened" if new else "found", facts, found.order.id if found.order else None, subject)


def hand_over(session: Session, claim: Claim, sender_id: str, summary: str, now: datetime) -> Finding:
    """Calls a person: hotline, hours, and a ticket with what has been said so far."""
    found = locate(session, claim, now) if claim.order_id else None
    order = found.order if found else None
    ticket, _ = file_ticket(session, HANDOFF, sender_id, summary, now, order, claim.customer_id)
    rules = terms()
    there = rules.opens <= now.hour < rules.closes
    facts = {"hotline": rules.hotline, "hours": rules.hours} | ticket_facts(ticket, now)
    facts["policy"] = rules.policy("human_on" if there else "human_off")
    return Finding("handed_over", facts, order.id if order else None, f"order:{order.id}" if order else "")


def check_ticket(session: Session, claim: Claim, sender_id: str, now: datetime) -> Finding:
    """The newest ticket of this conversation, of the signed-in customer or of the order she may see."""
    found = locate(session, claim, now) if claim.order_id else None
    if found and found.order is None:
        return found.finding
    order = found.order if found else None
    tickets = _visible(session, claim, sender_id, order, found is not None and found.full)
    if tickets:
        latest = tickets[0]
        facts = facts_for("", latest.order, False, now) if latest.order else {}
        subject = f"order:{latest.order_id}" if latest.order_id else ""
        return Finding("found", facts | ticket_facts(latest, now), latest.order_id, subject)
    if order is not None and found is not None:
        if not found.full:
            return Finding("needs_phone", waiting_for="phone_tail")
        facts = facts_for("ask_service_ticket", order, found.full, now)
        return Finding("found" if len(facts) > 3 else "not_found", facts, order.id, f"order:{order.id}")
    return Finding("needs_order_id", waiting_for="order_id")


def _visible(session: Session, claim: Claim, sender_id: str, order: m.Order | None, full: bool) -> list[m.Ticket]:
    """Newest first. The order number alone shows the tickets that this conversation filed on the order, no others."""
    newest: Any = m.Ticket.id
    if order is not None:
        allowed: Any = m.Ticket.order_id == order.id
        if not full:
            allowed = sa.and_(allowed, m.Ticket.sender_id == sender_id)
    else:
        allowed = m.Ticket.sender_id == sender_id
        if claim.customer_id:
            allowed = sa.or_(allowed, m.Ticket.customer_id == claim.customer_id)
    statement = sa.select(m.Ticket).where(allowed, m.Ticket.kind != HANDOFF).order_by(newest.desc())
    return list(session.scalars(statement).all())


def add_note(session: Session, claim: Claim, sender_id: str, note: str, now: datetime) -> Finding:
    """Adds what the customer sent later, such as the new address, to the open ticket on the claim's topic.

    It may say where an order goes, so it takes the right to change the order.
    """
    kind, order_id = claim.topic, claim.order_id
    order = locate(session, claim, now, change=True).order if order_id else None
    if order_id and order is None:
        return Finding()
    known = _same_matter(session, kind, sender_id, order)
    if known is None:
        return Finding()
    file_ticket(session, kind, sender_id, note, now, order, None)
    facts = ticket_facts(known, now) | {"policy": terms().policy("noted")}
    return Finding("found", facts, order_id, f"order:{order_id}" if order_id else "")
