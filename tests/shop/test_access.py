"""Who sees what, and who may change it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from kefu.shop import Claim, cancel_order, check_order, locate, open_request
from kefu.shop import models as m

NOW = datetime(2026, 11, 23, 14, 30)  # as in conftest.py
TAIL = "0816"
PERSONAL = {"phone_tail", "address", "invoice_title", "refund_channel", "amount", "points", "balance"}


def test_the_number_alone_shows_state_and_logistics_but_nothing_personal(shop, counter):
    number = counter.order("delivering", hours=60)
    with shop.session() as session:
        for topic in ("ask_order_status", "track_delivery", "modify_order", "request_invoice", "ask_refund_status"):
            found = check_order(session, Claim(number, topic=topic), NOW)
            assert found.outcome == "found" and found.facts["order_state"] == "派送中"
            assert not PERSONAL & set(found.facts), topic
    with shop.session() as session:
        facts = check_order(session, Claim(number, topic="track_delivery"), NOW).facts
    assert facts["tracking_no"] and facts["latest_event"] == "快递员正在派送"


def test_the_owner_sees_her_own_data(shop, counter):
    number = counter.order("paid", hours=5)
    with shop.session() as session:
        for claim in (Claim(number, TAIL, topic="modify_order"), Claim(number, None, "mei", topic="modify_order")):
            assert check_order(session, claim, NOW).facts["phone_tail"] == TAIL


def test_a_change_needs_the_tail_or_the_owner(shop, counter):
    number = counter.order("paid", hours=5)

    def cancel(claim: Claim):
        with shop.session() as session:
            return cancel_order(session, claim, "帮我取消", NOW)

    assert cancel(Claim(number)).outcome == "needs_phone"
    assert cancel(Claim(number, None, "lan")).outcome == "needs_phone"  # signed in, but not the owner
    assert cancel(Claim(None, TAIL)).outcome == "needs_order_id"  # a tail alone finds nothing for a guest
    assert cancel(Claim(number, "1234")).outcome == "not_found"
    assert cancel(Claim(number, TAIL)).outcome == "opened"


def test_a_wrong_tail_does_not_tell_whether_the_order_exists(shop, counter):
    number = counter.order("signed")
    with shop.session() as session:
        wrong = [check_order(session, Claim(n, "1234"), NOW) for n in (number, "202611010000000000")]
    assert wrong[0] == wrong[1] and wrong[0].outcome == "not_found"
    assert "对不上" in wrong[0].facts["policy"]


def test_a_request_with_a_wrong_tail_opens_nothing(shop, counter):
    number = counter.order("signed", signed_days_ago=2)
    with shop.session() as session:
        assert open_request(session, Claim(number, "1234"), "return", "坏了", NOW).outcome == "not_found"
        assert open_request(session, Claim(number), "return", "坏了", NOW).outcome == "needs_phone"
        assert session.get(m.Order, number).requests == []


def test_guessing_the_tail_is_stopped_for_an_hour(shop, counter):
    number = counter.order("signed")
    for tail in ("1111", "2222", "3333", "4444", "5555"):
        with shop.session() as session:
            locate(session, Claim(number, tail), NOW)
    with shop.session() as session:
        assert locate(session, Claim(number, TAIL), NOW).order is None
        assert locate(session, Claim(number, TAIL), NOW + timedelta(minutes=61)).full


def test_a_signed_in_customer_needs_no_number(shop, counter):
    counter.order("signed", hours=400)
    moving = counter.order("moving", hours=40)
    refunding = counter.order("refunding", hours=300)
    counter.order("moving", hours=20, customer="lan")
    with shop.session() as session:

        def picked(topic: str, **more: str) -> str | None:
            return check_order(session, Claim(customer_id="mei", topic=topic, **more), NOW).order_id

        assert picked("track_delivery") == moving
        assert picked("ask_refund_status") == refunding
        assert picked("track_delivery", phone_tail=TAIL) == moving
        assert picked("track_delivery", phone_tail=refunding[-4:]) == refunding  # the end of the order number
        assert picked("track_delivery", phone_tail="9999") is None


def test_an_order_picked_for_her_gives_way_to_one_that_fits(shop, counter):
    moving, refunding = counter.order("moving", hours=40), counter.order("refunding", hours=300)
    with shop.session() as session:
        loose = Claim(moving, customer_id="mei", stated=False, topic="ask_refund_status")
        firm = Claim(moving, customer_id="mei", stated=True, topic="ask_refund_status")
        assert check_order(session, loose, NOW).order_id == refunding
        assert check_order(session, firm, NOW).order_id == moving


def test_the_article_named_decides_between_orders(shop, counter):
    counter.order("moving", hours=20)
    socks = counter.order("moving", sku="socks", hours=40)
    with shop.session() as session:
        found = check_order(session, Claim(customer_id="mei", product="袜子", topic="track_delivery"), NOW)
    assert found.order_id == socks


def test_a_change_is_not_made_on_a_guess(shop, counter):
    counter.order("paid", hours=5)
    counter.order("paid", sku="socks", hours=9)
    with shop.session() as session:
        unclear = cancel_order(session, Claim(customer_id="mei", topic="cancel_order"), "帮我取消", NOW)
        clear = cancel_order(session, Claim(customer_id="mei", product="袜子", topic="cancel_order"), "帮我取消", NOW)
    assert (unclear.outcome, set(unclear.options)) == ("needs_order_id", {"三层蒸锅", "棉袜五双装"})
    assert clear.outcome == "opened"


def test_an_order_looked_up_before_is_not_changed_where_another_fits_better(shop, counter):
    moving, signed = counter.order("moving", hours=40), counter.order("signed", signed_days_ago=2)
    with shop.session() as session:
        claim = Claim(moving, customer_id="mei", stated=False, topic="request_return")
        assert locate(session, claim, NOW, change=True).order.id == signed
        assert locate(session, claim, NOW).order.id == moving


def test_the_article_named_is_taken_even_where_it_does_not_fit(shop, counter):
    counter.order("signed", hours=100)
    socks = counter.order("refunding", sku="socks", hours=300)
    with shop.session() as session:
        claim = Claim(customer_id="mei", text="袜子降价了 退我差价", topic="price_protection")
        assert locate(session, claim, NOW, change=True).order.id == socks


@pytest.mark.parametrize(
    ("text", "situation"),
    [("显示已签收？我没让放驿站啊", "station"), ("怎么还不发货", "paid"), ("快递员态度太差", "moving")],
)
def test_the_words_tell_between_orders(shop, counter, text, situation):
    numbers = {kind: counter.order(kind, hours=h) for kind, h in (("station", 110), ("moving", 40), ("paid", 9))}
    with shop.session() as session:
        found = check_order(session, Claim(customer_id="mei", text=text, topic="complain_delivery"), NOW)
    assert found.order_id == numbers[situation]


@pytest.mark.parametrize("number", ["202611010000000000", "12345678", "9" * 30])
def test_an_unknown_number_is_not_found(shop, number):
    with shop.session() as session:
        found = check_order(session, Claim(number), NOW)
    assert (found.outcome, found.waiting_for) == ("not_found", "order_id")


def test_a_stranger_who_is_signed_in_counts_as_a_guest(shop, counter):
    with shop.session() as session:
        found = check_order(session, Claim(customer_id="of-another-shop", topic="track_delivery"), NOW)
    assert found.outcome == "needs_order_id"
