"""The demo shop and its commands."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from kefu.cli.shop import app
from kefu.settings import settings
from kefu.shop import DEMO, Shop, now, seed, seeded_on
from kefu.shop import models as m
from kefu.shop.lookups import stalled

ROOT = Path(__file__).parents[2]
PRODUCTS = ROOT / "data" / "shop" / "products.yml"
NOW = datetime(2026, 11, 23, 14, 30)


def contents(shop: Shop) -> list[tuple[str, ...]]:
    with shop.session() as session:
        return [(o.id, o.customer_id, o.state) for o in session.scalars(sa.select(m.Order).order_by(m.Order.id)).all()]


@pytest.fixture(scope="module")
def seeded() -> Shop:
    shop = Shop("sqlite://")
    seed(shop, now=NOW, products=PRODUCTS)
    return shop


def test_all_states_are_there_and_the_numbers_have_their_form(seeded):
    with seeded.session() as session:
        orders = session.scalars(sa.select(m.Order)).all()
        states = Counter(o.state for o in orders)
        assert 380 <= len(orders) <= 440 and session.scalar(sa.select(sa.func.count()).select_from(m.Customer)) == 120
        assert set(states) == set(m.ORDER_STATES)
        assert all(len(o.id) == 18 and o.id[:8] == f"{o.created_at:%Y%m%d}" for o in orders)
        assert any(stalled(o, NOW) for o in orders)
        assert any(o.shipment and o.shipment.state == m.STATION for o in orders)


def test_nothing_lies_in_the_future(seeded):
    with seeded.session() as session:
        for order in session.scalars(sa.select(m.Order)).all():
            moments = [order.created_at, order.paid_at, order.signed_at, order.cancelled_at]
            moments += [refund.refunded_at for refund in order.refunds]
            moments += [event.at for event in order.shipment.events] if order.shipment else []
            assert all(moment <= NOW for moment in moments if moment), order
            if order.shipment:
                times = [event.at for event in order.shipment.events]
                assert times == sorted(times) and times[0] >= order.paid_at, order


def test_the_demo_customer_has_one_of_each(seeded):
    with seeded.session() as session:
        demo = session.get(m.Customer, DEMO)
        assert demo.phone_tail == "0816" and 6 <= len(demo.orders) <= 8
        states = {o.state for o in demo.orders}
        parcels = {o.shipment.state for o in demo.orders if o.shipment}
        assert states == {"unpaid", "paid", "shipped", "signed", "refunding", "cancelled"}
        assert {"delivering", "moving", "station", "delivered"} <= parcels
        assert any(stalled(o, NOW) for o in demo.orders)


def test_the_same_seed_makes_the_same_shop_and_seeding_again_adds_nothing(seeded):
    other = Shop("sqlite://")
    first = seed(other, now=NOW, products=PRODUCTS)
    assert contents(other) == contents(seeded)
    assert seed(other, now=NOW + timedelta(days=3), products=PRODUCTS) == first
    assert contents(other) == contents(seeded)
    different = Shop("sqlite://")
    seed(different, seed=8, now=NOW, products=PRODUCTS, customers=4)
    assert not set(contents(different)) & set(contents(seeded))


def test_fresh_moves_the_dates_and_keeps_feedback():
    shop = Shop("sqlite://")
    counts = seed(shop, now=NOW, products=PRODUCTS, customers=4)
    with shop.session() as session:
        session.add(m.Feedback(message_id="m", sender_id="s", kind="thumb", created_at=NOW))
        order = session.get(m.Customer, DEMO).orders[0]
        order.tickets.append(m.Ticket("x", sender_id="s", created_at=NOW, updated_at=NOW, reply_by=NOW))
    assert seed(shop, now=NOW + timedelta(days=3), fresh=True, products=PRODUCTS, customers=4) == counts
    with shop.session() as session:
        assert seeded_on(session) == "2026-11-26"
        assert session.get(m.Customer, DEMO).orders[0].created_at > NOW
        assert session.scalar(sa.select(sa.func.count()).select_from(m.Feedback)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(m.Ticket)) == 0


def test_orders_of(seeded):
    orders = seeded.orders_of(DEMO)
    assert len(orders) == 8 and set(orders[0]) == {"order_id", "order_state", "product"}
    assert orders[0]["order_id"][:8] == "20261123" and seeded.orders_of("nobody") == []


@pytest.fixture
def command(monkeypatch, tmp_path):
    monkeypatch.setenv("KEFU_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("KEFU_DATA_DIR", str(ROOT / "data"))
    settings.cache_clear()

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, list(words), catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    yield run
    settings.cache_clear()


def test_the_commands(command):
    from kefu.errors import NotFound

    with pytest.raises(NotFound, match="kefu shop seed"):
        command("demo")
    assert "120 customers" in command("seed")
    listed = command("demo")
    number = next(line.split()[0] for line in listed.splitlines() if f"{now():%Y%m%d}" in line or "已签收" in line)
    assert "手机尾号 0816" in listed and "三层蒸锅" in listed
    assert f"订单号：{number}" in command("show", number)
    with pytest.raises(NotFound, match="'123'"):
        command("show", "123")
