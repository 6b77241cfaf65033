"""Cancelling, modifying, urging, price protection, invoices."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from kefu.shop import Claim, add_note, cancel_order, check_account, check_invoice, modify_order, protect_price, urge
from kefu.shop import models as m

NOW = datetime(2026, 11, 23, 14, 30)


@pytest.fixture
def cancel(shop):
    def call(number: str, text: str = "帮我取消", confirmed: bool = False):
        with shop.session() as session:
            found = cancel_order(session, Claim(number, "0816", topic="cancel_order"), text, NOW, confirmed)
            return found, session.get(m.Order, number).state

    return call


def test_a_paid_order_is_cancelled_and_refunded(counter, cancel):
    found, state = cancel(counter.order("paid", hours=5))
    assert (found.outcome, state) == ("opened", "cancelled")
    assert found.facts["refund_amount"] == "129.00元" and found.facts["refund_eta"] == "明天14:30前"
    assert "24小时内" in found.facts["policy"]


def test_an_unpaid_order_is_cancelled_without_a_refund(shop, counter, cancel):
    number = counter.order("unpaid", hours=1)
    found, state = cancel(number)
    assert (found.outcome, state) == ("opened", "cancelled") and "refund_amount" not in found.facts


def test_a_question_changes_nothing_until_she_agrees(counter, cancel):
    number = counter.order("paid", hours=5)
    asked, state = cancel(number, "还没发货能取消吗")
    assert (asked.outcome, asked.waiting_for, state) == ("found", "confirm", "paid")
    done, state = cancel(number, "还没发货能取消吗", confirmed=True)
    assert (done.outcome, state) == ("opened", "cancelled")


def test_asking_whether_it_is_cancelled_cancels_nothing(counter, cancel):
    found, state = cancel(counter.order("paid", hours=5), "取消成功了吗")
    assert (found.outcome, state) == ("found", "paid") and found.facts["order_state"] == "待发货"


def test_a_shipped_order_is_intercepted_only_when_she_says_so(counter, cancel):
    number = counter.order("moving", hours=30)
    refused, state = cancel(number)
    assert (refused.outcome, refused.waiting_for, state) == ("refused", "confirm", "shipped")
    found, state = cancel(number, "帮我拦截一下快递")
    assert (found.outcome, state) == ("opened", "refunding") and "拦截" in found.facts["policy"]


def test_a_signed_order_cannot_be_cancelled(counter, cancel):
    found, state = cancel(counter.order("signed"))
    assert (found.outcome, state) == ("refused", "signed") and "退货" in found.facts["policy"]


def test_cancelling_twice_finds_the_first(counter, cancel):
    number = counter.order("paid", hours=5)
    cancel(number)
    found, _ = cancel(number)
    assert found.outcome == "found" and found.facts["order_state"] == "已取消"


def test_a_request_is_withdrawn(shop, counter, cancel):
    from kefu.shop import open_request

    number = counter.order("signed", signed_days_ago=2)
    with shop.session() as session:
        open_request(session, Claim(number, "0816"), "return", "坏了", NOW)
    found, state = cancel(number, "不退了 帮我撤销")
    assert (found.outcome, state) == ("opened", "signed")
    with shop.session() as session:
        order = session.get(m.Order, number)
        assert [r.state for r in order.requests] == ["withdrawn"] and order.refunds == []
    assert cancel(number, "撤销退货")[0].outcome == "found"


def test_withdrawing_and_checking_find_their_order_by_themselves(shop, counter):
    counter.order("paid", hours=5)
    refunding, cancelled = counter.order("refunding", hours=300), counter.order("cancelled", hours=30)
    with shop.session() as session:
        claim = Claim(customer_id="mei", topic="cancel_order")
        assert cancel_order(session, claim, "不退了 撤销吧", NOW).order_id == refunding
        assert cancel_order(session, claim, "取消成功了吗", NOW).order_id == cancelled


def test_goods_that_are_being_checked_cannot_be_withdrawn_from(shop, counter, cancel):
    number = counter.order("refunding", hours=300)
    found, state = cancel(number, "不退了 帮我撤销")
    assert (found.outcome, state) == ("found", "refunding")
    with shop.session() as session:
        assert [r.state for r in session.get(m.Order, number).requests] == ["open"]


@pytest.mark.parametrize(
    ("situation", "text", "outcome", "words"),
    [
        ("paid", "地址写错了 帮我改成3栋", "opened", "已登记"),
        ("paid", "颜色换成黑色", "refused", "取消重拍"),
        ("moving", "改个地址", "refused", "改派"),
        ("signed", "改个地址", "refused", "不能再改"),
    ],
)
def test_modifying(shop, counter, situation, text, outcome, words):
    number = counter.order(situation, hours=30)
    with shop.session() as session:
        found = modify_order(session, Claim(number, "0816", topic="modify_order"), "s1", text, NOW)
        assert (found.outcome, words in found.facts["policy"]) == (outcome, True)
        tickets = session.get(m.Order, number).tickets
        assert len(tickets) == (outcome == "opened")
        if tickets:
            assert tickets[0].summary == text and found.waiting_for == "detail"
            stranger = Claim(number, topic="modify_order")
            assert add_note(session, stranger, "s2", "朝阳路12号", NOW).facts == {}
            owner = Claim(number, "0816", topic="modify_order")
            assert add_note(session, owner, "s1", "武汉市桂语里9栋", NOW).outcome == "found"
            assert tickets[0].notes == ["武汉市桂语里9栋"]


def test_only_what_is_late_is_urged_with_a_ticket(shop, counter):
    fresh, stalled = counter.order("moving", hours=30), counter.order("stalled", hours=150)
    late = counter.order("paid", hours=5)
    with shop.session() as session:
        session.get(m.Order, late).ship_by = NOW - timedelta(hours=3)
        session.flush()
        calls = [urge(session, Claim(n, topic="urge_delivery"), "s1", "催一下", NOW) for n in (fresh, stalled, late)]
        again = urge(session, Claim(stalled, topic="urge_delivery"), "s1", "再催催", NOW)
    assert [c.outcome for c in calls] == ["found", "opened", "opened"]
    assert "ticket_id" not in calls[0].facts and calls[1].facts["callback_by"] == "明天14:30"
    assert again.outcome == "found" and again.facts["ticket_id"] == calls[1].facts["ticket_id"]


def test_price_protection_once_and_within_its_days(shop, counter):
    number = counter.order("signed", hours=100, dear=True)
    claim = Claim(number, "0816", topic="price_protection")
    with shop.session() as session:
        asked = protect_price(session, claim, "这单在不在价保期内吗", NOW)
        assert (asked.outcome, asked.waiting_for, asked.facts["price_gap"]) == ("found", "confirm", "30.00元")
        assert session.get(m.Order, number).refunds == []
        done = protect_price(session, claim, "退我差价", NOW)
        assert done.outcome == "opened" and done.facts["refund_amount"] == "30.00元"
        again = protect_price(session, claim, "退我差价", NOW)
        assert again.outcome == "refused" and "只有一次" in again.facts["policy"]


@pytest.mark.parametrize(
    ("situation", "hours", "dear", "words"),
    [("signed", 24 * 17, True, "过期"), ("signed", 100, False, "没有差价"), ("unpaid", 1, True, "还没付款")],
)
def test_price_protection_refused(shop, counter, situation, hours, dear, words):
    number = counter.order(situation, hours=hours, dear=dear)
    with shop.session() as session:
        found = protect_price(session, Claim(number, "0816", topic="price_protection"), "退我差价", NOW)
    assert found.outcome == "refused" and words in found.facts["policy"]


def test_invoices(shop, counter):
    done, waiting = counter.order("signed", hours=300), counter.order("paid", hours=5)
    with shop.session() as session:

        def call(number: str, topic: str, now: datetime = NOW):
            return check_invoice(session, Claim(number, "0816", topic=topic), "s1", "抬头开错了", now)

        assert "下载" in call(done, "request_invoice").facts["policy"]
        assert call(waiting, "request_invoice").facts["invoice_state"] == "待开票"
        assert call(done, "change_invoice").outcome == "opened"
        assert call(done, "change_invoice", NOW + timedelta(days=31)).outcome == "refused"


def test_the_account_is_for_the_signed_in_customer_only(shop):
    with shop.session() as session:
        assert check_account(session, Claim(customer_id="mei"), NOW).facts == {"points": "1860分", "balance": "5.00元"}
        assert check_account(session, Claim(phone_tail="0816"), NOW).facts == {}
