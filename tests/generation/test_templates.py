from __future__ import annotations

import pytest

from kefu.errors import DataError
from kefu.facts import fill, names
from kefu.generation.excerpt import excerpt, sentences
from kefu.generation.guard import Guard
from kefu.generation.quantities import quantities
from kefu.generation.templates import EMPTY, Templates, bundled_templates, read_templates
from kefu.knowledge.passage import Passage
from kefu.taxonomy import EMOTIONS, STRATEGIES

ESSENTIAL = ("greet", "verify_identity", "manage_emotion", "inform", "resolve", "other", "thank_and_close")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy_has_five_templates_that_need_nothing(strategy, ask):
    plain = [t for t in bundled_templates() if strategy in t.strategies and not t.english]
    always = [t for t in plain if not (t.needs or t.intents or t.emotions or t.outcomes)]
    assert len(plain) >= 8 and len(always) >= 5


@pytest.mark.parametrize("strategy", ESSENTIAL)
def test_the_essential_strategies_speak_english(strategy, ask):
    text = Templates().reply(ask(strategy=strategy, turns=[("user", "where is my refund")]))
    assert text.isascii()


def test_no_text_twice():
    texts = [(t.text, t.english) for t in bundled_templates()]
    assert len(texts) == len(set(texts))


def test_templates_without_facts_hold_no_number():
    for template in bundled_templates():
        if not template.needs:
            assert not quantities(template.text), template.text


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("emotion", EMOTIONS)
def test_there_is_always_something_to_say(strategy, emotion, ask):
    assert Templates().reply(ask(strategy=strategy, emotion=emotion, intent=None, turns=[]))


def test_an_unknown_strategy_still_gets_an_answer(ask):
    assert Templates([]).reply(ask(strategy="inform"))


def test_the_most_specific_template_with_all_its_facts_wins(ask):
    facts = {"refund_amount": "268元", "refund_channel": "微信零钱", "refund_date": "11月20日"}
    text = Templates().reply(ask(facts=facts))
    assert all(value in text for value in facts.values())
    del facts["refund_date"]
    assert "11月20日" not in Templates().reply(ask(facts=facts))


def test_what_carries_a_matter_on_is_answered_in_its_terms(ask):
    document = """
    templates:
    - {strategy: inform, text: 那件事。}
    - {strategy: inform, intents: [request_invoice], text: 开票的事。}
    - {strategy: inform, intents: [request_invoice], follows: [provide_info], text: 抬头收到了。}
    - {strategy: inform, intents: [request_repair], follows: [provide_info], text: 毛病清楚了。}
    """
    templates = Templates(read_templates(document))

    def said(intent, topic=None):
        turns = [("user", "百合商贸")]
        return templates.reply(ask(strategy="inform", intent=intent, topic=topic, facts={}, turns=turns))

    assert said("provide_info", "request_invoice") == "抬头收到了。"
    assert said("provide_info", "request_repair") == "毛病清楚了。"
    assert said("request_invoice") == "开票的事。" and said("affirm", "request_invoice") == "开票的事。"
    assert said("provide_info") == "那件事。"


def test_only_what_carries_on_can_be_followed():
    with pytest.raises(DataError, match="'track_delivery'"):
        read_templates("templates: [{strategy: inform, follows: [track_delivery], text: 好。}]")


def test_only_facts_that_are_there_are_stated(ask):
    for strategy in STRATEGIES:
        text = Templates().reply(ask(strategy=strategy, facts={"refund_amount": "268元"}))
        assert "{" not in text


@pytest.mark.parametrize(
    ("intent", "strategy", "facts"),
    [
        ("track_delivery", "inform", {"latest_event": "到达郑州转运中心", "event_time": "今天06:20"}),
        ("request_return", "resolve", {"return_id": "R88401"}),
        ("request_exchange", "resolve", {"exchange_id": "E23108"}),
        ("complain_service", "resolve", {"ticket_id": "T20931", "callback_by": "今天18:00"}),
        ("request_invoice", "inform", {"invoice_state": "开票中"}),
        ("price_protection", "resolve", {"price_gap": "30元", "refund_eta": "24小时内"}),
    ],
)
def test_the_facts_of_an_action_are_stated(intent, strategy, facts, ask):
    text = Templates().reply(ask(intent=intent, strategy=strategy, facts=facts, new_facts=list(facts)))
    assert all(value in text for value in facts.values())


def test_a_follow_up_states_the_facts_just_learned(ask):
    facts = {"latest_event": "到达郑州转运中心", "event_time": "今天06:20"}
    text = Templates().reply(ask(intent="provide_info", facts=facts, new_facts=list(facts)))
    assert "到达郑州转运中心" in text


def test_facts_that_no_template_was_written_for_are_said_by_name(ask):
    text = Templates().reply(ask(intent="provide_info", facts={"quantity": "3件", "sku": "L码"}, new_facts=["sku"]))
    assert text == "查到了，规格是L码。"


def test_outcomes_decide(ask):
    templates = Templates()
    assert "后四位" not in templates.reply(ask(strategy="verify_identity", outcome="needs_order_id"))
    assert "订单号" in templates.reply(ask(strategy="verify_identity", outcome="needs_order_id"))
    missing = templates.reply(ask(strategy="inform", outcome="not_found"))
    assert "没查到" in missing or "没找到" in missing


def test_emotion_decides_the_comfort(ask):
    angry = {
        Templates().reply(ask(strategy="manage_emotion", emotion="angry", turns=[("user", "x")] * n)) for n in (1, 2)
    }
    happy = Templates().reply(ask(strategy="manage_emotion", emotion="happy", intent=None))
    assert happy not in angry


def test_what_was_said_is_not_said_again(ask):
    templates, turns = Templates(), [("user", "在吗")]
    said = set()
    for _ in range(5):
        text = templates.reply(ask(strategy="other", intent=None, emotion="neutral", turns=turns))
        assert text not in said
        said.add(text)
        turns = [*turns, ("agent", text), ("user", "还没好吗")]


def test_the_bot_says_what_it_is(ask):
    for strategy in ("inform", "greet", "other", "restate"):
        text = Templates().reply(ask(strategy=strategy, intent="ask_bot_identity", turns=[("user", "你是机器人吗")]))
        assert "智能客服" in text


def test_out_of_scope_is_declined(ask):
    passages = [Passage("p", "", "苏州仓发货。")]
    text = Templates().reply(ask(intent="out_of_scope", passages=passages, turns=[("user", "帮我订机票")]))
    assert "店" in text and "苏州仓" not in text


def test_an_empty_message_is_asked_about(ask):
    text = Templates().reply(ask(strategy="inform", intent=None, turns=[("agent", "您请讲。"), ("user", "  ")]))
    empty = [t.text for t in bundled_templates() if EMPTY in t.strategies]
    assert text in empty


PASSAGE = Passage("p", "", "发票在订单详情里下载。专票要先传资质，5个工作日寄出。抬头开错30天内可换开。")


def test_inform_states_the_passage_word_for_word(ask):
    text = Templates().reply(ask(intent="request_invoice", passages=[PASSAGE], turns=[("user", "发票在哪下载")]))
    assert text in PASSAGE.text or text == PASSAGE.text


def test_the_next_passage_is_stated_once_the_first_was(ask):
    other = Passage("q", "", "电子发票确认收货后就能开出来，您留意短信。")
    turns = [("user", "发票"), ("agent", PASSAGE.text), ("user", "还有呢")]
    assert Templates().reply(ask(intent="request_invoice", passages=[PASSAGE, other], turns=turns)) == other.text


def test_facts_of_this_turn_come_before_a_passage(ask):
    facts = {"refund_amount": "268元", "refund_state": "退款中"}
    text = Templates().reply(ask(facts=facts, new_facts=list(facts), passages=[PASSAGE]))
    assert "268元" in text


def test_an_excerpt_is_whole_sentences_about_the_question():
    assert sentences(PASSAGE.text)[1] == "专票要先传资质，5个工作日寄出。"
    assert excerpt(PASSAGE.text, "抬头开错了能换吗", 20) == "抬头开错30天内可换开。"
    assert excerpt(PASSAGE.text, "专票怎么开", 30) == "专票要先传资质，5个工作日寄出。抬头开错30天内可换开。"
    assert excerpt("一句很长很长的话，没有句号，也放不下那么多字", "", 12) == "一句很长很长的话。"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{strategy: inform, text: x, colour: red}", "colour"),
        ("{strategy: informs, text: x}", "informs"),
        ("{strategy: inform, needs: [nothing], text: x}", "nothing"),
        ('{strategy: inform, text: "{nothing}"}', "nothing"),
        ("{strategy: inform}", "text"),
    ],
)
def test_a_wrong_template_is_named(line, told):
    with pytest.raises(DataError, match=told):
        read_templates(f"templates:\n- {line}\n")


@pytest.mark.parametrize("template", [t for t in bundled_templates() if not t.english], ids=lambda t: t.text[:12])
def test_chinese_templates_break_no_rule_of_the_guard(template, ask):
    guard = Guard(())
    facts = {key: chr(0x4E00 + 7 * i) * 3 for i, key in enumerate(names()) if key in template.needs}
    for strategy in template.strategies - {EMPTY}:
        request = ask(strategy=strategy, intent=None, facts=facts, turns=[("user", "在吗")])
        found = set(guard.check(fill(template.text, facts), request).reasons)
        assert not found & {"promise", "number", "leak", "length", "identity", "repetition"}
