"""What is read from a message."""

from __future__ import annotations

import pytest

from actions.turn import Turn


@pytest.mark.parametrize(
    ("text", "entities", "order_id"),
    [
        ("202611187734920615", {"order_id": "202611187734920615"}, "202611187734920615"),
        ("单号2026111877 34920615呢", {}, "202611187734920615"),
        ("２０２６１１１８７７３４９２０６１５", {}, "202611187734920615"),
        ("单号 12345678", {"order_id": "12345678"}, "12345678"),
        ("手机13700000816", {"phone": "13700000816"}, None),
    ],
)
def test_order_numbers(tracker, text, entities, order_id):
    assert Turn(tracker(text, "provide_info", entities)).order_id == order_id


@pytest.mark.parametrize(
    ("text", "entities", "slots", "tail"),
    [
        ("尾号0816", {"phone_tail": "0816"}, {}, "0816"),
        ("13700000816", {"phone": "137 0000 0816"}, {}, "0816"),
        ("后四位九零二三", {}, {}, "9023"),
        ("202611185101867205 尾号 0816", {}, {}, "0816"),
        ("手机尾号是0816的", {}, {}, "0816"),
        ("尾号是幺二零二", {}, {}, "1202"),
        ("我记得是 0816 吧", {}, {"requested_slot": "phone_tail"}, "0816"),
        ("我记得是 0816 吧", {}, {"waiting_for": "phone_tail"}, "0816"),
        ("便宜了 1299 呢", {}, {}, None),
        ("没有", {}, {"requested_slot": "phone_tail"}, None),
    ],
)
def test_phone_tails(tracker, text, entities, slots, tail):
    assert Turn(tracker(text, "provide_info", entities, slots)).phone_tail == tail


def test_feedback_that_was_clicked_says_nothing(tracker):
    turn = Turn(tracker('/give_feedback{"message_id": "m"}', "give_feedback", {"order_id": "202611187734920615"}))
    assert turn.silent and turn.order_id is None


@pytest.mark.parametrize(
    ("said", "language"),
    [
        (["where is my parcel"], "en"),
        (["my order number please", "ok"], "en"),
        (["where is my parcel", "算了说中文吧"], "zh"),
        (["AX3000路由器有货吗"], "zh"),
        (["ok"], "zh"),
        (["/give_feedback{}"], "zh"),
    ],
)
def test_the_language_is_that_of_the_newest_message_that_tells(tracker, said, language):
    *before, last = said
    events = [{"event": "user", "text": text} for text in before]
    assert Turn(tracker(last, events=events)).language == language


def test_who_is_signed_in_comes_from_the_channel_only(tracker):
    assert Turn(tracker("x", metadata={"customer_id": "demo"})).claim("track_delivery").customer_id == "demo"
    assert Turn(tracker("x", slots={"customer_id": "demo"})).claim("track_delivery").customer_id is None


def test_budget(tracker):
    assert Turn(tracker("200块以内", entities={"amount": "200块"})).budget_fen == 20000
