"""Facts in an agent's words."""

from __future__ import annotations

from datetime import datetime

import pytest

from kefu.facts import names
from kefu.shop import Claim, check_order, facts_for
from kefu.shop import models as m
from kefu.shop.lookups import _TOPICS
from kefu.shop.sample import SITUATIONS

NOW = datetime(2026, 11, 23, 14, 30)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_fact_has_a_known_key_and_words(shop, counter, situation):
    number = counter.order(situation, sku="air", hours=12 if situation in ("unpaid", "paid") else 100)
    with shop.session() as session:
        order = session.get(m.Order, number)
        for topic in [*_TOPICS, ""]:
            facts = facts_for(topic, order, True, NOW)
            assert set(facts) <= set(names()), topic
            assert all(isinstance(text, str) and text for text in facts.values()), topic


def facts(shop, number: str, topic: str) -> dict[str, str]:
    with shop.session() as session:
        return check_order(session, Claim(number, "0816", topic=topic), NOW).facts


def test_an_order_on_its_way(shop, counter):
    found = facts(shop, counter.order("delivering", hours=60), "track_delivery")
    assert found["order_state"] == "派送中"
    assert found["eta"] == "今天20:00前"
    assert found["event_time"].startswith("今天")
    assert found["carrier"] == "中通" and len(found["courier_phone"]) == 11


def test_a_stalled_parcel_says_since_when_and_names_the_policy(shop, counter):
    found = facts(shop, counter.order("stalled", hours=150), "track_delivery")
    assert found["location"] == "武汉转运中心" and found["event_time"].startswith("11月")
    assert "超过两天" in found["policy"] and "eta" not in found


def test_a_parcel_at_a_station(shop, counter):
    found = facts(shop, counter.order("station", hours=120), "complain_delivery")
    assert found["signed_by"].endswith("驿站") and found["station"] == found["signed_by"]
    assert "signed_time" in found


def test_an_order_that_waits_to_be_shipped(shop, counter):
    found = facts(shop, counter.order("paid", hours=20), "urge_delivery")
    assert (found["order_state"], found["ship_by"]) == ("待发货", "今天24:00")


@pytest.mark.parametrize(
    ("channel", "refunded", "eta"),
    [
        ("微信零钱", datetime(2026, 11, 20, 9), "即时"),
        ("尾号3041储蓄卡", datetime(2026, 11, 20, 9), "11月25日前"),  # a Friday; three working days
        ("尾号7718信用卡", datetime(2026, 11, 20, 9), "11月27日前"),
        ("尾号3041储蓄卡", datetime(2026, 11, 18, 9), "今天内"),
        ("尾号3041储蓄卡", datetime(2026, 11, 10, 9), None),
    ],
)
def test_when_a_refund_arrives(shop, counter, channel, refunded, eta):
    number = counter.order("refunded", hours=300, channel=channel)
    with shop.session() as session:
        session.get(m.Order, number).refunds[-1].refunded_at = refunded
    found = facts(shop, number, "ask_refund_status")
    assert found.get("refund_eta") == eta and ("查流水" in found.get("policy", "")) is (eta is None)
    assert found["refund_channel"] == channel
    assert (found["refund_state"], found["refund_amount"]) == ("已退款", "129.00元")


def test_the_price_difference(shop, counter):
    found = facts(shop, counter.order("signed", hours=100, dear=True), "price_protection")
    assert (found["old_price"], found["price"], found["price_gap"]) == ("159.00元", "129.00元", "30.00元")
    assert found["deadline"] == "12月4日"


def test_installation_of_a_large_appliance(shop, counter):
    found = facts(shop, counter.order("signed", sku="air", hours=90), "ask_installation")
    assert found["install_time"] and found["install_fee"] == "安装费免"


def test_an_invoice(shop, counter):
    found = facts(shop, counter.order("signed", hours=300), "request_invoice")
    assert (found["invoice_state"], found["invoice_type"], found["invoice_title"]) == ("已开票", "电子普通发票", "个人")
