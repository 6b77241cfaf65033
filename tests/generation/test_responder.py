from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kefu.errors import DeadlineExceeded, GenerationError
from kefu.generation import Guard, Responder, Templates, load_responder
from kefu.generation.engine import EngineBusy, LowConfidence
from kefu.generation.templates import bundled_templates
from kefu.knowledge.passage import Passage
from kefu.settings import Settings

FACTS = {"refund_amount": "268元", "refund_channel": "微信零钱"}
GOOD = "{退款金额}退到{退款去向}了，您看一眼。"


def responder(engine):
    return Responder(engine, Guard.load(Path("data")), Templates())


def test_a_good_draft_is_sent(fake_engine, ask):
    engine = fake_engine(GOOD)
    passages = [Passage(str(i), "", f"第{'一二三'[i]}条说的是别的。") for i in range(3)]
    reply = responder(engine).reply(ask(facts=FACTS, passages=passages))
    assert (reply.text, reply.source, reply.refused) == ("268元退到微信零钱了，您看一眼。", "model", ())
    assert reply.passages == ("0", "1")
    assert reply.latency_ms >= 0 and "{退款金额}=268元" in engine.calls[0][0]


def test_a_draft_in_words_of_its_own_is_not_sent(fake_engine, ask):
    passages = [Passage("p", "", "加入购物车不会锁定库存，付款之后库存才算您的，数量看商品页。")]
    invented = "取件用不上，没法连快递，我来帮您办。"
    assert responder(fake_engine(invented, invented)).reply(ask(passages=passages)).source == "template"
    close = "加入购物车不锁库存，付款之后库存才算您的。"
    assert responder(fake_engine(close)).reply(ask(passages=passages)).text == close


def test_a_refused_draft_is_drawn_anew_once(fake_engine, ask):
    engine = fake_engine("三天到账，您放心。", GOOD)
    reply = responder(engine).reply(ask(facts=FACTS))
    assert reply.source == "model" and "number" in reply.refused
    assert [seed for *_, seed in engine.calls] == [0, 1]


def test_of_several_drafts_the_surest_that_may_be_sent_is(fake_engine_of_many, ask):
    other = "{退款金额}已经退到{退款去向}，您查收。"
    engine = fake_engine_of_many((GOOD, -0.3), ("三天到账，您放心。", -0.1), (other, -0.2), (other, -0.25))
    reply = responder(engine).reply(ask(facts=FACTS))
    assert reply.text == "268元已经退到微信零钱，您查收。" and "number" in reply.refused
    assert [seed for *_, seed in engine.calls] == [0, 1, 2]


def test_where_none_of_several_drafts_may_be_sent_the_template_is(fake_engine_of_many, ask):
    engine = fake_engine_of_many(("三天到账，您放心。", -0.1), ("五天到账，您放心。", -0.2))
    reply = responder(engine).reply(ask(facts=FACTS))
    assert reply.source == "template" and "268元" in reply.text
    busy = responder(fake_engine_of_many(EngineBusy("full"))).reply(ask(facts=FACTS))
    assert busy.source == "template" and busy.refused == ("busy",)


@pytest.mark.parametrize(("strategy", "confidence", "source"), [
    ("inform", -0.8, "model"), ("inform", -1.0, "template"), ("verify_identity", -1.0, "model"),
    ("verify_identity", -1.4, "template"),
])  # fmt: skip
def test_each_strategy_asks_for_its_own_confidence(fake_engine_of_many, ask, strategy, confidence, source):
    draft = {"inform": GOOD, "verify_identity": "订单号发我一下，我查查是哪一单。"}[strategy]
    reply = responder(fake_engine_of_many((draft, confidence))).reply(ask(strategy=strategy, facts=FACTS))
    assert reply.source == source and (source == "model" or reply.refused == ("unsure",))


def test_after_two_refused_drafts_the_template_is_sent(fake_engine, ask):
    engine = fake_engine("三天到账，您放心。", "五天到账，您放心。", GOOD)
    reply = responder(engine).reply(ask(facts=FACTS))
    assert reply.source == "template" and "268元" in reply.text
    assert len(engine.calls) == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeadlineExceeded("late"), "deadline"),
        (LowConfidence("guess"), "unsure"),
        (GenerationError("x"), "error"),
        (RuntimeError("bug"), "error"),
    ],
)
def test_no_error_of_the_engine_reaches_the_customer(fake_engine, ask, error, reason):
    reply = responder(fake_engine(error)).reply(ask(facts=FACTS))
    assert reply.source == "template" and reply.text and reply.refused == (reason,)


def test_the_engine_is_given_the_deadline(fake_engine, ask):
    engine = fake_engine(GOOD)
    responder(engine).reply(ask(facts=FACTS, deadline=1.0))
    assert 0.5 < engine.calls[0][2] - time.monotonic() < 1.0


def test_even_broken_templates_give_an_answer(ask):
    class Broken(Templates):
        def reply(self, request):
            raise RuntimeError("bug")

    assert Responder(None, Guard(), Broken()).reply(ask()).text


@pytest.mark.parametrize(
    "changes",
    [
        {"intent": "ask_bot_identity", "turns": [("user", "你是机器人吗")]},
        {"intent": "out_of_scope"},
        {"turns": [("user", " ")]},
        {"turns": []},
        {"turns": [("user", "where is my refund")]},
        {"outcome": "not_found"},
        {"facts": {}},
    ],
)
def test_some_replies_are_hand_written_only(fake_engine, ask, changes):
    engine = fake_engine()
    reply = responder(engine).reply(ask(**{"facts": FACTS, **changes}))
    assert reply.source == "template" and reply.text and not engine.calls


def test_no_generator_means_templates(ask):
    made = load_responder(replace(Settings(), generator="none"))
    reply = made.reply(ask(strategy="greet", facts={}))
    assert reply.source == "template" and reply.text in {t.text for t in bundled_templates()}


def test_a_missing_model_is_logged_in_one_line_with_its_mend(ask, caplog, tmp_path):
    missing = replace(Settings(), generator="bundled:no-such-model", data_dir=Path("data"))
    with caplog.at_level(logging.INFO):
        reply = load_responder(missing).reply(ask())
    assert reply.source == "template"
    errors = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1 and "no-such-model" in errors[0].getMessage() and "bundled" in errors[0].getMessage()
    assert errors[0].exc_info is None


def test_a_damaged_model_is_logged_and_templates_answer(ask, caplog, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with caplog.at_level(logging.ERROR):
        made = load_responder(replace(Settings(), generator=str(tmp_path), adapter="none"))
    assert made.reply(ask()).source == "template"
    assert str(tmp_path) in caplog.text


def test_a_missing_adapter_says_how_to_make_one(ask, caplog, tiny_gemma, tmp_path):
    with caplog.at_level(logging.ERROR):
        load_responder(replace(Settings(), generator=str(tiny_gemma), adapter=str(tmp_path / "none-here")))
    assert "kefu train generator" in caplog.text


@pytest.mark.models
def test_the_bundled_generator_answers_in_time(ask):
    if not Path("actions/adapter/kefu.json").is_file():
        pytest.skip("there is no adapter in actions/adapter; kefu train generator makes it")
    made = load_responder(replace(Settings(), reply_deadline=20.0))
    reply = made.reply(ask(strategy="inform", facts=FACTS, deadline=20.0))
    assert reply.text and reply.latency_ms < 20_000
    assert reply.source == "model" or reply.refused
