"""Slots that business actions set, topics that go on, hand-over, tickets."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
import sqlalchemy as sa
from rasa_sdk.executor import CollectingDispatcher

from actions.guard import guarded
from kefu.shop import models as m

DEMO = {"customer_id": "demo"}
MUG, HUMIDIFIER, BLENDER = "500毫升不锈钢保温杯", "迷你桌面加湿器", "静音破壁机"


@pytest.fixture
def start(run, tracker):
    return lambda *args, **more: run("action_start_turn", tracker(*args, **more))[0]


def test_a_turn_begins_with_nothing_new(start):
    slots = start("谢谢", "thank", slots={"facts": {"eta": "明天", "policy": "x", "product_info": "y"}})
    assert slots == {"new_facts": [], "outcome": "none", "facts": {"eta": "明天"}}


def test_another_order_forgets_what_was_known_of_the_last(start):
    known = {"order_id": "1" * 18, "phone_tail": "0816", "facts": {"eta": "明天"}, "waiting_for": "confirm"}
    slots = start("那202611187734920615呢", "track_delivery", {"order_id": "202611187734920615"}, slots=known)
    assert (slots["order_id"], slots["phone_tail"], slots["facts"]) == ("202611187734920615", None, {})
    assert slots["waiting_for"] is None and slots["order_stated"] is True


def test_a_tail_in_the_same_message_belongs_to_the_new_order(start):
    given = {"order_id": "202611187734920615", "phone_tail": "0816"}
    assert start("202611187734920615 尾号0816", "provide_info", given)["phone_tail"] == "0816"


def test_the_same_order_again_changes_nothing(start):
    number = "202611187734920615"
    slots = start(number, "provide_info", {"order_id": number}, slots={"order_id": number, "phone_tail": "0816"})
    assert slots == {"new_facts": [], "outcome": "none", "order_stated": True}


def test_a_proposal_lapses_with_the_next_message_that_is_no_yes(start):
    waiting = {"waiting_for": "confirm"}
    assert start("运费谁出", "ask_return_policy", slots=waiting)["waiting_for"] is None
    assert "waiting_for" not in start("好的", "affirm", slots=waiting)


def test_clicked_feedback_changes_nothing(start):
    assert start('/give_feedback{"thumb": "up"}', "give_feedback", slots={"facts": {"policy": "x"}}) == {}


def test_facts_add_up_for_one_order_and_are_dropped_with_it(run, tracker, orders):
    first, *_ = run("action_check_logistics", tracker("到哪了", "track_delivery", metadata=DEMO))
    known = {**first, "facts": {**first["facts"], "ticket_id": "T1"}}
    same, *_ = run("action_check_order", tracker("什么状态", "ask_order_status", metadata=DEMO, slots=known))
    assert same["facts"]["ticket_id"] == "T1" and "ticket_id" not in same["new_facts"]
    other, *_ = run("action_check_refund", tracker("退款呢", "ask_refund_status", metadata=DEMO, slots=known))
    assert other["subject"] != first["subject"] and "ticket_id" not in other["facts"]


def test_a_product_question_drops_the_orders_facts_but_not_the_order(run, tracker, orders):
    first, *_ = run("action_check_logistics", tracker("到哪了", "track_delivery", metadata=DEMO))
    second, *_ = run("action_check_product", tracker("空气炸锅多少钱", "ask_price", slots=first))
    assert second["facts"]["price"] == "269.00元" and "tracking_no" not in second["facts"]
    assert "order_id" not in second and second["subject"] == "product:QH-AF-01"
    third, *_ = run("action_check_product", tracker("有货吗", "ask_stock", slots={**first, **second}))
    assert third["facts"]["product"] == second["facts"]["product"]


def test_the_article_of_the_order_in_hand_is_meant_where_none_is_named(run, tracker):
    first, *_ = run("action_check_logistics", tracker("到哪了", "track_delivery", metadata=DEMO))
    asked, *_ = run("action_check_product", tracker("这个怎么清洗", "ask_usage", slots=first))
    assert asked["facts"]["product"] == first["facts"]["product"] == BLENDER


def test_a_mismatch_asks_for_the_tail_anew(run, tracker, orders):
    given = {"order_id": orders[HUMIDIFIER], "phone_tail": "1234"}
    slots, *_ = run("action_cancel_order", tracker("帮我取消", "cancel_order", slots=given))
    assert (slots["outcome"], slots["waiting_for"], slots["phone_tail"]) == ("not_found", "phone_tail", None)


@pytest.mark.parametrize(
    ("action", "intent", "text"),
    [
        ("action_cancel_order", "cancel_order", "怎么取消订单"),
        ("action_check_price_protection", "price_protection", "价保是几天呢？"),
        ("action_check_logistics", "ask_delivery_time", "拍下多久能到"),
        ("action_check_installation", "ask_installation", "安装收费吗"),
        ("action_check_invoice", "request_invoice", "怎么开发票"),
    ],
)
def test_a_general_question_of_a_guest_asks_for_no_number(run, tracker, action, intent, text):
    slots, *_ = run(action, tracker(text, intent))
    assert (slots["outcome"], slots["waiting_for"]) == ("none", None)


def last_said(text: str) -> list[dict]:
    return [{"event": "bot", "text": text, "metadata": {}}]


@pytest.mark.parametrize(
    ("before", "answer", "cancelled"),
    [
        ("可以取消，要我现在取消吗？", "好的", True),
        ("可以取消的。", "好的", False),
        ("可以取消的。", "那帮我取消", True),
    ],
)
def test_only_a_yes_to_the_proposal_carries_it_out(run, tracker, orders, shop, before, answer, cancelled):
    number = orders[HUMIDIFIER]
    slots, *_ = run("action_cancel_order", tracker("还没发货能取消吗", "cancel_order", metadata=DEMO))
    assert (slots["waiting_for"], slots["order_id"]) == ("confirm", number)
    after, *_ = run(
        "action_continue_topic",
        tracker(answer, "affirm", slots=slots, metadata=DEMO, events=last_said(before)),
    )
    with shop.session() as session:
        assert (session.get(m.Order, number).state == "cancelled") is cancelled
    assert after.get("outcome") == ("opened" if cancelled else None)


def test_a_topic_goes_on_with_the_tail(run, tracker, orders, shop):
    slots = {"order_id": orders[HUMIDIFIER]}
    first, *_ = run("action_cancel_order", tracker("帮我取消", "cancel_order", slots=slots))
    assert first["outcome"] == "needs_phone"
    given = {**slots, **first, "phone_tail": "0816"}
    second, *_ = run(
        "action_continue_topic", tracker("0816", "provide_info", slots={**given, "waiting_for": "phone_tail"})
    )
    assert second["outcome"] == "opened" and second["topic"] == "cancel_order"


def test_information_that_is_not_what_was_asked_for_keeps_waiting(run, tracker):
    waiting = {"topic": "track_delivery", "waiting_for": "order_id", "asked": 1}
    slots, *_ = run("action_continue_topic", tracker("找不到订单号", "provide_info", slots=waiting))
    assert (slots["outcome"], slots["waiting_for"], slots["asked"]) == ("needs_order_id", "order_id", 2)
    assert run("action_continue_topic", tracker("好的", "affirm", slots=waiting))[0] == {}
    assert run("action_continue_topic", tracker("我姓马", "provide_info"))[0] == {}


def test_an_order_number_out_of_the_blue_is_looked_up(run, tracker, orders):
    number = orders[BLENDER]
    given = {"order_id": number}
    slots, *_ = run("action_continue_topic", tracker(number, "provide_info", given, slots=given))
    assert (slots["outcome"], slots["topic"]) == ("found", "ask_order_status")


def test_a_new_address_goes_to_the_ticket(run, tracker, orders, shop):
    slots, *_ = run(
        "action_modify_order", tracker("地址写错了帮我改", "modify_order", {"product": "加湿器"}, metadata=DEMO)
    )
    assert (slots["outcome"], slots["waiting_for"]) == ("opened", "detail")
    later, *_ = run("action_continue_topic", tracker("武汉市桂语里9栋", "provide_info", slots=slots, metadata=DEMO))
    assert later["outcome"] == "found" and "补进工单" in later["facts"]["policy"]
    with shop.session() as session:
        assert session.scalars(sa.select(m.Ticket)).one().notes == ["武汉市桂语里9栋"]


def test_a_complaint_is_filed_at_the_second_word(run, tracker):
    first, *_ = run("action_open_ticket", tracker("没收到货", "complain_delivery"))
    assert first["outcome"] == "needs_order_id"
    second, *_ = run("action_open_ticket", tracker("我说了没收到", "complain_delivery", slots=first))
    assert second["outcome"] == "opened" and second["facts"]["ticket_id"]


def test_handing_over_keeps_the_topic(run, tracker, shop):
    before = {"topic": "track_delivery", "waiting_for": "order_id"}
    slots, *_ = run("action_handoff", tracker("转人工", "contact_human", slots=before))
    assert slots["handed_over"] is True and slots["outcome"] == "handed_over"
    assert (slots["topic"], slots["waiting_for"]) == ("track_delivery", "order_id")
    with shop.session() as session:
        assert "track_delivery" in session.scalars(sa.select(m.Ticket)).one().summary


def test_feedback_finds_its_reply_and_the_question(run, tracker, shop):
    question = {
        "event": "user",
        "text": "到哪了",
        "parse_data": {"intent": {"name": "track_delivery"}, "emotion": {"name": "anxious"}},
    }
    told = {"strategy": "inform", "probability": 0.4, "source": "model"}
    replies = [{"event": "bot", "text": str(n), "metadata": {**told, "message_id": f"m{n}"}} for n in range(2)]
    given = {"message_id": "m0", "rating": 2, "correction": "先道歉", "target": "reply"}
    said = tracker("/give_feedback{}", "give_feedback", events=[question, *replies], metadata={"feedback": given})
    _, messages, events = run("action_record_feedback", said)
    assert messages == [] and [e["name"] for e in events] == ["action_listen"]
    run("action_record_feedback", tracker("讲得清楚", "give_feedback", events=[question, *replies]))
    with shop.session() as session:
        rows = session.scalars(sa.select(m.Feedback).order_by(m.Feedback.id)).all()
    assert [(r.kind, r.message_id, r.rating or r.correction or r.text) for r in rows] == [
        ("rating", "m0", 2),
        ("correction", "m0", "先道歉"),
        ("comment", "m1", "讲得清楚"),
    ]
    assert {(r.strategy, r.probability, r.intent, r.emotion) for r in rows} == {
        ("inform", 0.4, "track_delivery", "anxious")
    }
    assert rows[1].target == "reply"


def test_feedback_with_a_wrong_value_is_dropped_and_logged(run, tracker, shop, caplog):
    said = tracker('/give_feedback{"rating": 9}', "give_feedback", {"message_id": "m", "rating": 9, "thumb": "up"})
    run("action_record_feedback", said)
    with shop.session() as session:
        assert [r.kind for r in session.scalars(sa.select(m.Feedback)).all()] == ["thumb"]
    assert "'9'" in caplog.text


def test_an_action_that_takes_too_long_is_given_up(tracker, caplog):
    class Slow:
        def name(self) -> str:
            return "action_slow"

        @guarded(0.05, otherwise=lambda: [{"event": "slot"}])
        async def run(self, dispatcher, tracker, domain):
            await asyncio.sleep(5)

    started = time.monotonic()
    with caplog.at_level(logging.ERROR):
        events = asyncio.run(Slow().run(CollectingDispatcher(), tracker("x"), {}))
    assert events == [{"event": "slot"}] and time.monotonic() - started < 2
    assert "action_slow" in caplog.text and "'s1'" in caplog.text
