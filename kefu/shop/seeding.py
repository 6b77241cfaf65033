"""Fills the shop: catalogue, 120 customers with about 400 orders in all states, one customer to try things with."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kefu.settings import settings
from kefu.shop import models as m
from kefu.shop.catalogue import read_products, store_products
from kefu.shop.database import Shop
from kefu.shop.sample import PLACES, Maker, address_in
from kefu.shop.words import now as clock

DEMO = "demo"
CUSTOMERS = 120
_SEEDED_ON = "seeded_on"
_SURNAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林高罗"
# Situation: how many in a hundred, and the age of such an order in hours, from and to.
_MIX: dict[str, tuple[int, int, int]] = {
    "unpaid": (5, 1, 20),
    "paid": (10, 2, 30),
    "moving": (14, 20, 60),
    "delivering": (8, 48, 80),
    "stalled": (6, 120, 190),
    "signed": (32, 200, 2200),
    "station": (6, 90, 200),
    "refunding": (7, 200, 400),
    "refunded": (7, 300, 900),
    "cancelled": (5, 12, 1500),
}
# The demo customer's orders: article, situation, hours since it was placed, at a higher price than today's, channel.
_DEMO_ORDERS = (
    ("QH-BW-01", "unpaid", 1, False, "微信零钱"),
    ("QH-JS-02", "paid", 15, False, "支付宝"),
    ("QH-PB-02", "delivering", 60, False, "尾号7718信用卡"),
    ("QH-SJ-01", "stalled", 140, False, "微信零钱"),
    ("QH-ZG-01", "station", 100, False, "尾号3041储蓄卡"),
    ("QH-WY-01", "signed", 120, True, "支付宝"),
    ("QH-EJ-01", "refunding", 240, False, "尾号3041储蓄卡"),
    ("QH-YS-11", "cancelled", 130, False, "尾号3041储蓄卡"),
)


def seed(
    shop: Shop,
    seed: int = 7,
    now: datetime | None = None,
    fresh: bool = False,
    products: Path | None = None,
    customers: int = CUSTOMERS,
) -> dict[str, int]:
    """Creates the tables and fills them, dates relative to now; the catalogue is brought up to date every time.

    The same seed on the same day gives the same customers and orders. Where the shop has been seeded before nothing
    is added; ``fresh`` throws the seeded customers away first, with their orders and tickets.

    Returns:
        How many products, customers and orders the shop has afterwards.

    Raises:
        NotFound, DataError: products.yml is missing or breaks its format.
        SettingsError: the database cannot be used.
    """
    current = now or clock()
    shop.create_all()
    with shop.session() as session:
        store_products(session, read_products(products or settings().data_dir / "shop" / "products.yml"))
        session.flush()
        if fresh:
            _clear(session)
        if session.get(m.Note, _SEEDED_ON) is None:
            _fill(session, Random(seed), current, customers)
            session.add(m.Note(_SEEDED_ON, f"{current:%Y-%m-%d}"))
        session.flush()
        return {kind.__tablename__: _count(session, kind) for kind in (m.Product, m.Customer, m.Order)}


def seeded_on(session: Session) -> str | None:
    """The day the shop was seeded on, as 2026-11-23; None for a shop that was not."""
    note = session.get(m.Note, _SEEDED_ON)
    return note.value if note else None


def _count(session: Session, kind: Any) -> int:
    return int(session.scalar(sa.select(sa.func.count()).select_from(kind)) or 0)


def _clear(session: Session) -> None:
    """Deletes seeded customers and all that hangs on them; feedback stays."""
    statement = sa.select(m.Customer).where(m.Customer.seeded)
    for customer in session.scalars(statement).all():
        session.execute(sa.delete(m.Ticket).where(m.Ticket.customer_id == customer.id))
        session.delete(customer)
    session.execute(sa.delete(m.Note).where(m.Note.name == _SEEDED_ON))
    session.flush()


def _fill(session: Session, rng: Random, now: datetime, customers: int) -> None:
    products = list(session.scalars(sa.select(m.Product).order_by(m.Product.sku)).all())
    maker = Maker(rng, now)
    with session.no_autoflush:
        _demo(session, maker)
        for number in range(1, customers):
            customer = _customer(number, rng)
            session.add(customer)
            for _ in range(rng.choice((2, 3, 3, 4, 4, 4))):
                _order(maker, customer, products)


def _customer(number: int, rng: Random) -> m.Customer:
    place = rng.choice(PLACES)
    return m.Customer(
        id=f"c{number:04d}",
        name=f"{rng.choice(_SURNAMES)}{rng.choice(('女士', '先生'))}",
        phone=f"1370000{rng.randrange(10**4):04d}",
        province=place.province,
        address=address_in(place, rng),
        level=rng.choice(("普通", "普通", "银卡", "金卡")),
        points=rng.randint(0, 5000),
        balance_fen=rng.choice((0, 0, 0, 5000, 12800)),
        seeded=True,
    )


def _order(maker: Maker, customer: m.Customer, products: list[m.Product]) -> None:
    rng = maker.rng
    situation = rng.choices(list(_MIX), [share for share, _, _ in _MIX.values()])[0]
    _, least, most = _MIX[situation]
    lines = [(product, rng.choice((1, 1, 1, 2))) for product in rng.sample(products, rng.choice((1, 1, 1, 2)))]
    age = timedelta(hours=rng.randint(least, most), minutes=rng.randint(0, 59))
    maker.order(customer, lines, situation, age, paid_more=rng.random() < 0.15)


def _demo(session: Session, maker: Maker) -> None:
    place = PLACES[5]
    customer = m.Customer(
        id=DEMO,
        name="沈女士",
        phone="13700000816",
        province=place.province,
        address=address_in(place, maker.rng),
        level="金卡",
        points=1860,
        balance_fen=12800,
        seeded=True,
    )
    session.add(customer)
    for sku, situation, hours, paid_more, channel in _DEMO_ORDERS:
        product = session.get(m.Product, sku)
        if product is not None:  # a shop with a catalogue of its own
            maker.order(customer, [(product, 1)], situation, timedelta(hours=hours), paid_more, channel)
