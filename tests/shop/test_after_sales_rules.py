"""Returns, exchanges, refunds and repairs by the shop's rules."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from kefu.shop import Claim, check_order, open_request
from kefu.shop import models as m
from kefu.shop.wishes import fault, leaves, wish

NOW = datetime(2026, 11, 23, 14, 30)
FAULTY, CHANGED = "用两天就不转了", "买多了用不上"


def ask(shop, number: str, kind: str, reason: str):
    with shop.session() as session:
        return open_request(session, Claim(number, "0816"), kind, reason, NOW)


@pytest.mark.parametrize(
    ("kind", "days", "reason", "outcome", "policy"),
    [
        ("return", 6.9, CHANGED, "opened", "运费自理"),
        ("return", 7.1, CHANGED, "refused", "超过7天"),
        ("return", 7.1, FAULTY, "opened", "来回运费我们出"),
        ("return", 15.1, FAULTY, "refused", "超过15天"),
        ("exchange", 6.9, "尺码小了换大一码", "opened", "来回运费自理"),
        ("exchange", 7.1, "尺码小了换大一码", "refused", "不能再换尺码"),
        ("exchange", 14, FAULTY, "opened", "来回运费我们出"),
        ("exchange", 14, "就是想换", "refused", "超过7天"),
        ("refund", 2, "少发了一件", "opened", "仅退款"),
        ("refund", 2, CHANGED, "refused", "少件、破损"),
    ],
)
def test_days_and_reasons_decide(shop, counter, kind, days, reason, outcome, policy):
    found = ask(shop, counter.order("signed", hours=24 * days + 80, signed_days_ago=days), kind, reason)
    assert found.outcome == outcome and policy in found.facts["policy"]
    assert "signed_time" in found.facts if outcome == "refused" else "order_id" in found.facts


@pytest.mark.parametrize(
    ("situation", "kind", "outcome", "policy"),
    [
        ("moving", "return", "refused", "还没签收"),
        ("paid", "return", "refused", "直接取消"),
        ("unpaid", "return", "refused", "还没付款"),
        ("cancelled", "return", "refused", "已经取消"),
        ("refunding", "exchange", "refused", "已经在办"),
        ("paid", "exchange", "refused", "取消重拍"),
        ("moving", "repair", "refused", "还没签收"),
        ("paid", "refund", "opened", "24小时内"),
        ("moving", "refund", "opened", "拦截"),
    ],
)
def test_the_state_decides(shop, counter, situation, kind, outcome, policy):
    found = ask(shop, counter.order(situation, hours=30), kind, FAULTY)
    assert found.outcome == outcome and policy in found.facts["policy"]


def test_repairs_go_by_the_warranty(shop, counter):
    air = ask(shop, counter.order("signed", "air", 2000, signed_days_ago=80), "repair", "不制冷")
    assert air.outcome == "opened" and "上门" in air.facts["policy"] and air.facts["repair_id"].startswith("W")
    old = ask(shop, counter.order("signed", "earphones", 9600, signed_days_ago=390), "repair", "充不进电")
    assert old.outcome == "refused" and "整机保修期" in old.facts["policy"]
    pot = ask(shop, counter.order("signed", "pot", 900, signed_days_ago=30), "repair", "锅底凸了")
    assert pot.outcome == "refused" and "没有整机保修" in pot.facts["policy"]


@pytest.mark.parametrize(("sku", "word"), [("nuts", "食品"), ("socks", "贴身"), ("earphones", "没激活")])
def test_goods_with_conditions_say_them(shop, counter, sku, word):
    found = ask(shop, counter.order("signed", sku, signed_days_ago=2), "return", CHANGED)
    assert found.outcome == "opened" and word in found.facts["policy"]


def test_an_opened_return_can_be_looked_up_and_is_not_opened_twice(shop, counter):
    number = counter.order("signed", signed_days_ago=2)
    first, second = ask(shop, number, "return", FAULTY), ask(shop, number, "return", FAULTY)
    assert (first.outcome, second.outcome) == ("opened", "found")
    assert first.facts["return_id"] == second.facts["return_id"]
    assert (first.facts["refund_state"], first.facts["return_deadline"]) == ("等待寄回", "11月30日")
    with shop.session() as session:
        assert len(session.get(m.Order, number).requests) == 1
        status = check_order(session, Claim(number, "0816", topic="ask_refund_status"), NOW).facts
    assert (status["order_state"], status["refund_amount"]) == ("退款中", "129.00元")


def test_the_letters_of_the_numbers(shop, counter):
    number = counter.order("signed", signed_days_ago=2)
    with shop.session() as session:
        order = session.get(m.Order, number)
        for kind in ("return", "exchange", "refund", "repair"):
            order.requests.append(m.ServiceRequest(kind=kind, created_at=NOW))
        session.flush()
        assert [r.code[0] for r in order.requests] == ["R", "E", "F", "W"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("涂层掉了", True),
        ("给我发错颜色了", True),
        ("收到就是碎的", True),
        ("it arrived broken", True),
        ("有点大，想换小一码", False),
        ("卫衣有点大想退货", False),
        ("不想要了", False),
        ("家里人已经买了", None),
        ("", None),
    ],
)
def test_what_counts_as_a_fault(text, expected):
    assert fault(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("刚拍的那单不要了 帮我取消", "do"),
        ("取消取消 小孩乱点买的", "do"),
        ("不想要了还没发货的话帮我取消", "do"),
        ("还没发货能取消吗", "ask"),
        ("怎么取消订单呀 我翻了半天只看到再次购买", "ask"),
        ("取消申请交了俩小时没反应 过没过啊", "check"),
        ("我取消订单你们那边看到了没", "check"),
        ("先不退了 帮我把单子关了", "withdraw"),
        ("那个退货申请帮我撤销", "withdraw"),
        ("三天前还跟你们确认是最低价 今天一看少了八十 退我差价", "do"),
        ("保价不", "ask"),
    ],
)
def test_how_a_request_is_meant(text, expected):
    assert wish(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("算了", True), ("那算了吧", True), ("不退了", True), ("不想要了", False)]
)
def test_dropping_the_matter(text, expected):
    assert leaves(text) is expected


def test_timedelta_of_the_deadline_counts_from_the_request(shop, counter):
    number = counter.order("signed", signed_days_ago=1)
    ask(shop, number, "exchange", FAULTY)
    with shop.session() as session:
        later = open_request(session, Claim(number, "0816"), "exchange", FAULTY, NOW + timedelta(days=2))
    assert later.facts["return_deadline"] == "11月30日"
