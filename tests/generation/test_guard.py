from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kefu.dialogues import read_dialogues
from kefu.errors import NotFound
from kefu.generation.examples import examples_of
from kefu.generation.guard import Guard, read_words, writes_english
from kefu.knowledge.passage import Passage

REFUND = {"refund_amount": "268元", "refund_channel": "微信零钱"}
POLICY = Passage("p", "", "退货到仓验收通过后48小时内退款，信用卡不支持加急。")


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard.load(Path("data"))


def reasons(guard, draft, request):
    return set(guard.check(draft, request).reasons)


def test_a_good_draft_passes_filled_in(guard, ask):
    verdict = guard.check("{退款金额}退到{退款去向}了，您看一眼。", ask(facts=REFUND))
    assert verdict.passed and verdict.text == "268元退到微信零钱了，您看一眼。"


def test_a_placeholder_without_a_fact_is_refused(guard, ask):
    assert reasons(guard, "{退款日期}退到{退款去向}了。", ask(facts=REFUND)) == {"placeholder"}


@pytest.mark.parametrize(
    "draft",
    [
        "{退款金额}三天内退到{退款去向}。",
        "{退款金额}两个工作日到账。",
        "退款298元到{退款去向}了。",
        "{退款金额}会在11月20日到{退款去向}。",
        "{退款金额}退了，单号R88401。",
        "{退款金额}退了，有事打13700001111。",
    ],
)
def test_a_number_that_stands_in_no_source_is_refused(guard, ask, draft):
    assert "number" in reasons(guard, draft, ask(facts=REFUND))


def test_numbers_of_facts_and_passages_pass(guard, ask):
    request = ask(facts=REFUND, passages=[POLICY])
    assert guard.check("验收后四十八小时内退款，一共268元。", request).passed


def test_the_customers_own_duration_may_be_said_back_but_her_amount_proves_nothing(guard, ask):
    request = ask(strategy="manage_emotion", turns=[("user", "五天了 299元还没退")])
    assert guard.check("等了五天还没着落，换谁都急。", request).passed
    stating = ask(facts=REFUND, turns=[("user", "五天了 299元还没退")])
    assert "number" in reasons(guard, "299元退到{退款去向}了。", stating)


def test_a_number_of_an_earlier_message_is_not_her_last_words(guard, ask):
    turns = [("user", "等了五天了"), ("agent", "我看看。"), ("user", "快点")]
    assert "number" in reasons(guard, "等了五天，换谁都急。", ask(strategy="manage_emotion", turns=turns))


@pytest.mark.parametrize(
    "draft",
    [
        "您放心，这事我保证给您办妥。",
        "我马上给您退款，别着急。",
        "已经为您取消了，您看下订单页。",
        "您的申请已提交，耐心等等。",
        "已登记，会有同事跟进的。",
        "这次我们赔偿您的损失。",
        "专员会第一时间联系您。",
        "改好了，您核对一下。",
        "已帮您转接人工，别走开。",
    ],
)
def test_promises_and_deeds_without_a_fact_are_refused(guard, ask, draft):
    assert "promise" in reasons(guard, draft, ask(strategy="suggest"))


@pytest.mark.parametrize(
    ("draft", "facts"),
    [
        ("已登记，工单号{工单号}。", {"ticket_id": "T20931"}),
        ("{补偿}给您当补偿，放到账户里了。", {"compensation": "20元券"}),
        ("已经为您取消了，现在是{订单状态}。", {"order_state": "已取消"}),
        ("改好了，{送达时长}到。", {"delivery_time": "明天上午"}),
    ],
)
def test_the_same_deeds_pass_with_their_fact(guard, ask, draft, facts):
    assert guard.check(draft, ask(strategy="resolve", intent=None, facts=facts)).passed


@pytest.mark.parametrize(
    "draft", ["这件事还没登记，缺您的订单号。", "要是取消了，款会原路退。", "我不敢给您保证，怕哄了您。"]
)
def test_what_is_denied_or_put_as_a_condition_is_no_promise(guard, ask, draft):
    assert "promise" not in reasons(guard, draft, ask(strategy="suggest"))


def test_a_state_of_the_order_needs_a_fact(guard, ask):
    assert "promise" in reasons(guard, "已经发货了，您再等等。", ask(strategy="suggest"))
    facts = {"ship_time": "今天10:00"}
    assert guard.check("已经发货了，{发货时间}出的库。", ask(strategy="suggest", facts=facts)).passed


def test_what_the_passages_deny_cannot_be_affirmed(guard, ask):
    request = ask(passages=[POLICY])
    assert "contradiction" in reasons(guard, "信用卡支持加急，验收通过后48小时内退款。", request)
    assert guard.check("信用卡不支持加急，验收通过后48小时内退款。", request).passed


def test_what_the_passages_leave_open_cannot_be_denied(guard, ask):
    request = ask(passages=[Passage("p", "", "信用卡支持分期，是否免息以结算页为准。")])
    assert "contradiction" in reasons(guard, "信用卡支持分期，没免息。", request)
    assert guard.check("信用卡支持分期，是否免息看结算页。", request).passed


def test_a_statement_of_fact_needs_something_to_stand_on(guard, ask):
    assert "ungrounded" in reasons(guard, "面料是纯棉的，穿着很软和。", ask(facts=REFUND))
    assert guard.check("这个我查不到，不敢乱说。", ask()).passed


@pytest.mark.parametrize("draft", ["您这人怎么这么无理取闹。", "加我微信，我私下给您处理。"])
def test_insults_and_lures_are_refused(guard, ask, draft):
    assert "sensitive" in reasons(guard, draft, ask(strategy="suggest"))


def test_ordinary_words_that_hold_an_insult_by_chance_pass(guard, ask):
    assert "sensitive" not in reasons(guard, "滚筒洗衣机当妈的用着省心。", ask(strategy="suggest"))


@pytest.mark.parametrize("draft", ["客户：好的", "资料：退款两天", "好的【信息传达】", "好的|平静"])
def test_marks_of_the_prompt_are_refused(guard, ask, draft):
    assert "leak" in reasons(guard, draft, ask(strategy="suggest"))


def test_half_a_pair_of_quotes_is_refused(guard, ask):
    assert "broken" in reasons(guard, "您点开“我的订单看一眼。", ask(strategy="suggest"))
    assert guard.check("您点开“我的订单”看一眼。", ask(strategy="suggest")).passed


def test_a_fact_is_not_named_twice(guard, ask):
    assert "repetition" in reasons(guard, "{退款金额}，这笔{退款金额}退了。", ask(facts=REFUND))


def test_the_reply_keeps_the_customers_language(guard, ask):
    assert "language" in reasons(guard, "Sorry, please wait a moment.", ask(strategy="suggest"))
    english = ask(strategy="suggest", turns=[("user", "where is my refund")])
    assert "language" in reasons(guard, "您稍等，我看一下。", english)


def test_english_is_told_from_a_chinese_hello():
    assert writes_english([("user", "where is my parcel")])
    assert not writes_english([("user", "hello")])
    assert writes_english([("user", "where is my parcel"), ("agent", "One moment."), ("user", "ok")])
    assert not writes_english([("user", "我的iPhone壳到哪了")])


def test_saying_the_same_again_is_refused(guard, ask):
    said = [("user", "快点"), ("agent", "让您久等了，我这就去看看情况。"), ("user", "快点啊")]
    request = ask(strategy="manage_emotion", turns=said)
    assert "repetition" in reasons(guard, "让您久等了，我这就去看看情况。", request)
    assert "repetition" in reasons(guard, "让您费心了真的对不住，让您费心了真的对不住。", request)
    assert guard.check("催得您心里冒火，是我们慢了。", request).passed


@pytest.mark.parametrize("draft", ["好。", "嗯" * 121])
def test_too_short_and_too_long(guard, ask, draft):
    assert "length" in reasons(guard, draft, ask(strategy="suggest"))


@pytest.mark.parametrize(
    ("strategy", "draft"),
    [
        ("greet", "您好，您的{退款金额}在路上了。"),
        ("verify_identity", "这件事您先别着急呀。"),
        ("clarify", "好的，我明白了。"),
        ("request_feedback", "祝您生活愉快。"),
        ("thank_and_close", "那您的订单号是多少？"),
    ],
)
def test_a_draft_that_does_something_else_than_its_strategy_is_refused(guard, ask, strategy, draft):
    assert "strategy" in reasons(guard, draft, ask(strategy=strategy, facts=REFUND))


def test_it_never_poses_as_a_person(guard, ask):
    assert "identity" in reasons(guard, "我是真人客服，您放心说。", ask(strategy="other"))
    assert "identity" not in reasons(guard, "我是智能客服，不是真人。", ask(strategy="other"))


def test_reasons_are_counted(ask):
    guard = Guard(())
    guard.check("好的。", ask(strategy="suggest"))
    guard.check("要不先看看订单页上的进度。", ask(strategy="suggest"))
    assert guard.counts == {"length": 1, "passed": 1}


def test_the_word_list_is_editable_and_its_absence_is_named(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("# 说明\n坏话  # 为什么\n\nBad\n", encoding="utf-8")
    assert read_words(file) == ("坏话", "bad")
    with pytest.raises(NotFound, match=r"none\.txt"):
        read_words(tmp_path / "none.txt")


def test_hand_written_replies_pass(guard):
    """The guard must not refuse what a good agent writes: a false alarm costs a template."""
    examples = examples_of(read_dialogues([Path("data/dialogues")]))
    verdicts = [guard.check(e.reply, replace(e.request, facts={**e.earlier, **e.request.facts})) for e in examples]
    assert sum(v.passed for v in verdicts) / len(verdicts) >= 0.95
