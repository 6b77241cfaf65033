"""Complaints, follow-ups, hand-overs."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from kefu.shop import Claim, check_ticket, complain, hand_over
from kefu.shop import models as m

NOW = datetime(2026, 11, 23, 14, 30)
LATE = datetime(2026, 11, 23, 23, 30)


def count(session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(m.Ticket))


def test_a_complaint_asks_for_the_order_once_then_is_filed_without(shop, counter):
    with shop.session() as session:
        claim = Claim(topic="complain_delivery")
        assert complain(session, claim, "s1", "没收到货", NOW).outcome == "needs_order_id"
        assert count(session) == 0
        filed = complain(session, claim, "s1", "说了没收到", NOW, insist=True)
        assert filed.outcome == "opened" and filed.facts["ticket_id"].startswith("T3")
        assert filed.facts["callback_by"] == "明天14:30" and "24小时内" in filed.facts["policy"]


def test_a_complaint_about_service_needs_no_order(shop):
    with shop.session() as session:
        assert complain(session, Claim(topic="complain_service"), "s1", "没人理我", NOW).outcome == "opened"


def test_the_same_matter_is_followed_up(shop, counter):
    number = counter.order("stalled", hours=150)
    with shop.session() as session:
        claim = Claim(number, topic="complain_delivery")
        first = complain(session, claim, "s1", "三天没动", NOW)
        second = complain(session, claim, "s1", "还是没动", NOW)
        other = complain(session, Claim(number, topic="complain_product"), "s1", "还破了", NOW)
        assert (first.outcome, second.outcome, other.outcome) == ("opened", "found", "opened")
        assert first.facts["ticket_id"] == second.facts["ticket_id"] != other.facts["ticket_id"]
        assert session.get(m.Order, number).tickets[0].notes == ["还是没动"]
        assert first.facts["latest_event"]


def test_a_ticket_filed_before_the_order_was_known_takes_it_up(shop, counter):
    number = counter.order("stalled", hours=150)
    with shop.session() as session:
        complain(session, Claim(topic="complain_delivery"), "s1", "没收到", NOW, insist=True)
        found = complain(session, Claim(number, topic="complain_delivery"), "s1", number, NOW)
        assert found.outcome == "found" and count(session) == 1
        assert session.get(m.Order, number).tickets


def test_another_conversation_has_its_own_ticket(shop):
    with shop.session() as session:
        for sender in ("s1", "s2"):
            assert complain(session, Claim(topic="complain_service"), sender, "没人理", NOW).outcome == "opened"


def test_hand_over_says_whether_somebody_is_there(shop):
    with shop.session() as session:
        day = hand_over(session, Claim(), "s1", "要退款", NOW)
        night = hand_over(session, Claim(), "s1", "人呢", LATE)
        assert count(session) == 1
        assert session.scalars(sa.select(m.Ticket)).one().notes == ["人呢"]
    assert day.outcome == "handed_over"
    assert (day.facts["hotline"], day.facts["hours"]) == ("400-000-6688", "9:00-22:00")
    assert "已转接" in day.facts["policy"] and "不在服务时间" in night.facts["policy"]


def test_a_hand_over_belongs_to_its_conversation(shop, counter):
    number = counter.order("stalled", hours=150)
    with shop.session() as session:
        codes = {
            hand_over(session, Claim(number), s, words, NOW).facts["ticket_id"]
            for s, words in (("s1", "我的地址是"), ("s2", "人呢"), ("s1", "还在吗"))
        }
        assert len(codes) == 2
        assert [t.notes for t in session.scalars(sa.select(m.Ticket)).all()] == [["还在吗"], []]


def test_looking_a_ticket_up(shop, counter):
    number = counter.order("stalled", hours=150)
    with shop.session() as session:
        assert check_ticket(session, Claim(), "s1", NOW).outcome == "needs_order_id"
        filed = complain(session, Claim(number, topic="complain_delivery"), "s1", "没动", NOW).facts["ticket_id"]
        here = check_ticket(session, Claim(), "s1", NOW)
        assert (here.facts["ticket_id"], here.facts["ticket_state"]) == (filed, "处理中")
        assert check_ticket(session, Claim(number), "s1", NOW).facts["ticket_id"] == filed
        assert check_ticket(session, Claim(number), "s2", NOW).outcome == "needs_phone"  # filed by somebody else
        assert check_ticket(session, Claim(number, "0816"), "s2", NOW).facts["ticket_id"] == filed
        assert check_ticket(session, Claim(), "s2", NOW).outcome == "needs_order_id"
        assert check_ticket(session, Claim(number, "1234"), "s2", NOW).outcome == "not_found"
