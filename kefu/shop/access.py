"""Who may see or change which order.

The full order number alone shows the order's state and logistics, nothing personal. To change an order or open a
request, the order number and the last four digits of the phone must match, or the signed-in customer must own it. A
phone tail alone finds an order for a signed-in customer only. A wrong tail learns that the two do not match, no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kefu.shop.fitting import rank, suits
from kefu.shop.models import Customer, Order
from kefu.shop.terms import terms

FULL, STATE = "full", "state"  # what a located order may be shown of
# So many wrong tails lock an order's tail for so long; four digits would be guessed in 10,000 tries otherwise.
MAX_TAIL_FAILURES = 5
TAIL_LOCK = timedelta(hours=1)


@dataclass(frozen=True)
class Claim:
    """What a customer has said about herself and her order.

    Attributes:
        order_id: 18 digits.
        phone_tail: four digits.
        customer_id: of a signed-in customer, from the channel, which has verified it.
        product: the article named in the message, in her words.
        text: the message, in which articles of her orders are looked for where ``product`` is not known.
        stated: whether order_id was said by her; an order picked for her may be exchanged for one that fits better.
        topic: the intent that the order is looked up for.
    """

    order_id: str | None = None
    phone_tail: str | None = None
    customer_id: str | None = None
    product: str | None = None
    text: str = ""
    stated: bool = True
    topic: str = "ask_order_status"


@dataclass
class Finding:
    """What a business action found out or did, for the slots.

    Attributes:
        outcome: one of kefu.strategy.OUTCOMES.
        facts: keys of kefu/facts.yml with the words an agent says.
        order_id: the order in hand, where one was found.
        subject: what the facts are about: ``order:ID``, ``product:SKU`` or empty for the shop in general.
        waiting_for: what she should say next for this to go on: order_id, phone_tail, confirm, detail or empty.
        options: the articles of the orders it may be about, where it is not clear which order is meant.
    """

    outcome: str = "none"
    facts: dict[str, str] = field(default_factory=dict)
    order_id: str | None = None
    subject: str = ""
    waiting_for: str = ""
    options: tuple[str, ...] = ()


@dataclass
class Located:
    """An order and what may be shown of it; without one, ``finding`` says why."""

    order: Order | None = None
    level: str = ""
    finding: Finding = field(default_factory=Finding)

    @property
    def full(self) -> bool:
        """Whether personal data may be shown and the order may be changed."""
        return self.order is not None and self.level == FULL


def locate(session: Session, claim: Claim, now: datetime, change: bool = False) -> Located:
    """Finds the order that the claim gives access to; ``change`` asks for the right to change it."""
    if claim.customer_id:
        customer = session.get(Customer, claim.customer_id)
        if customer:
            return _locate_own(session, claim, customer, now, change)
    if not claim.order_id:
        return _missing("needs_order_id", waiting_for="order_id")
    return _locate_by_number(session, claim, now, change)


def _missing(outcome: str, policy: str = "", waiting_for: str = "") -> Located:
    facts = {"policy": terms().policy(policy)} if policy else {}
    return Located(finding=Finding(outcome, facts, waiting_for=waiting_for))


def _locate_by_number(session: Session, claim: Claim, now: datetime, change: bool) -> Located:
    order = session.get(Order, claim.order_id)
    if claim.phone_tail:
        if order is not None and _tail_matches(session, order, claim.phone_tail, now):
            return Located(order, FULL)
        return _missing("not_found", "mismatch", waiting_for="phone_tail")
    if order is None:
        return _missing("not_found", "no_such_order", waiting_for="order_id")
    if change:
        return _missing("needs_phone", waiting_for="phone_tail")
    return Located(order, STATE)


def _tail_matches(session: Session, order: Order, tail: str, now: datetime) -> bool:
    if order.tail_failed_at and now - order.tail_failed_at > TAIL_LOCK:
        order.tail_failures = 0
    locked = order.tail_failures >= MAX_TAIL_FAILURES
    if not locked and order.customer.phone_tail == tail:
        order.tail_failures = 0
        return True
    if not locked:
        order.tail_failures += 1
        order.tail_failed_at = now
    session.flush()
    return False


def _locate_own(session: Session, claim: Claim, customer: Customer, now: datetime, change: bool) -> Located:
    if claim.order_id and claim.stated:
        order = session.get(Order, claim.order_id)
        if order is not None and order.customer_id == customer.id:
            return Located(order, FULL)
        return _locate_by_number(session, claim, now, change)
    orders = _orders_of(session, customer)
    tail = claim.phone_tail
    if tail and tail != customer.phone_tail:
        named = [order for order in orders if order.id.endswith(tail)]  # the end of an order number, quoted from memory
        return Located(named[0], FULL) if named else _missing("not_found", "mismatch", waiting_for="order_id")
    return _pick(orders, claim, now, change)


def _orders_of(session: Session, customer: Customer) -> list[Order]:
    newest: Any = Order.created_at
    statement = sa.select(Order).where(Order.customer_id == customer.id).order_by(newest.desc())
    return list(session.scalars(statement).all())


def _pick(orders: list[Order], claim: Claim, now: datetime, change: bool) -> Located:
    """The newest of the best fitting orders. Where something is to be changed, only an unmistakable one is taken."""
    ranked = [(place, order) for order in orders if (place := rank(order, claim.topic, now)) is not None]
    named = [order for order in orders if _names_article(claim, order)]
    if named and not any(order in named for _, order in ranked):
        return Located(named[0], FULL)  # it does not fit, and that is what she wants to be told
    ranked = [(place, order) for place, order in ranked if order in named] or ranked
    ranked = [(place, order) for place, order in ranked if suits(order, claim.text)] or ranked
    if not ranked:
        return _missing("not_found", "nothing_fits", waiting_for="order_id")
    top = min(place for place, _ in ranked)
    best = [order for place, order in ranked if place == top]
    # The order in hand stays it, unless something is to be changed that fits another one better.
    kept = best if change else [order for _, order in ranked]
    in_hand = next((order for order in kept if order.id == claim.order_id), None)
    if in_hand is not None:
        return Located(in_hand, FULL)
    if change and len(best) > 1:
        names = tuple(order.items[0].product.spoken for order in best if order.items)
        return Located(finding=Finding("needs_order_id", waiting_for="order_id", options=names[:3]))
    return Located(best[0], FULL)


def _names_article(claim: Claim, order: Order) -> bool:
    """Whether an article of the order was named: the one recognised in the message, else any that stands in it."""
    said, text = _folded(claim.product or ""), _folded(claim.text)
    names = [_folded(name) for item in order.items for name in (item.product.spoken, *item.product.aliases)]
    if said:
        return any(said in name or name in said for name in names)
    return any(name in text for name in names)


def _folded(text: str) -> str:
    return "".join(text.lower().split())
