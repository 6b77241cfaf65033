"""action_reply: what the responder is asked, what goes out, what happens when it is slow, missing or broken."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest
from rasa_sdk.executor import CollectingDispatcher

from actions import reply, resources
from actions.guard import APOLOGY
from kefu.settings import Settings

BOT = {"event": "bot", "text": "麻烦报一下订单号", "metadata": {"strategy": "verify_identity"}}
CLICK = {"event": "user", "text": '/give_feedback{"thumb": "up"}'}
SLOTS = {
    "strategy": "inform",
    "stage": "explore",
    "strategy_probability": 0.62,
    "strategy_scores": {"propensity": 0.05, "explored": True},
    "facts": {"order_id": "2", "eta": "明天"},
    "new_facts": ["eta"],
    "outcome": "found",
}


def asked(text: str, intent: str, confidence: float = 0.9) -> dict:
    return {"event": "user", "text": text, "parse_data": {"intent": {"name": intent, "confidence": confidence}}}


@pytest.fixture
def short_deadline(monkeypatch):
    monkeypatch.setattr(reply, "settings", lambda: replace(Settings(), reply_deadline=0.2))
    monkeypatch.setattr(reply, "GRACE", 0.1)


def test_the_responder_gets_everything_and_the_message_tells_how_it_was_made(run, tracker, loaded):
    said = tracker(
        "什么时候到", "ask_delivery_time", emotion="anxious", slots=SLOTS, events=[asked("在吗", "greet"), BOT]
    )
    _, messages, events = run("action_reply", said)
    request = loaded.responder.requests[0]
    assert (request.strategy, request.intent, request.emotion, request.stage) == (
        "inform",
        "ask_delivery_time",
        "anxious",
        "explore",
    )
    assert request.turns == [("user", "在吗"), ("agent", "麻烦报一下订单号"), ("user", "什么时候到")]
    assert list(request.facts) == ["eta", "order_id"]  # what is new comes first
    assert (request.outcome, list(request.new_facts)) == ("found", ["eta"])
    assert 0 < request.deadline <= 3.0 and [p.id for p in request.passages] == ["p1"]
    message = messages[0]
    assert (message["text"], message["strategy"], message["probability"]) == ("<inform>", "inform", 0.62)
    assert (message["propensity"], message["explored"]) == (0.05, True)
    assert (message["source"], message["passages"], message["stage"]) == ("model", ["p1"], "explore")
    assert len(message["message_id"]) == 32 and message["latency_ms"] >= 0 and events == []


def test_only_the_last_six_turns_and_no_clicks(run, tracker, loaded):
    before = [asked(str(n), "greet") for n in range(9)]
    run("action_reply", tracker("最后", "greet", events=[*before, CLICK]))
    assert [text for _, text in loaded.responder.requests[0].turns] == ["4", "5", "6", "7", "8", "最后"]


def test_knowledge_is_searched_for_the_question_in_hand(run, tracker, loaded):
    run("action_reply", tracker("运费谁出", "ask_return_policy", slots=SLOTS))
    carried = {**SLOTS, "topic": "price_protection", "request": "刚买就降价了"}
    found = {"facts": {"price_gap": "30元"}, "new_facts": ["price_gap"]}
    run("action_reply", tracker("尾号0816", "provide_info", slots={**carried, **found}))
    run("action_reply", tracker("气死了", "complain_service", slots={**SLOTS, "strategy": "manage_emotion"}))
    assert loaded.retriever.queries == [("运费谁出", "ask_return_policy", 3), ("刚买就降价了", "price_protection", 3)]
    assert loaded.responder.requests[1].topic == "price_protection"


def test_what_brings_no_fact_is_not_answered_with_the_rule_again(run, tracker, loaded):
    before = [asked("到哪了", "track_delivery"), asked("怎么除水垢", "ask_usage"), asked("是水壶", "provide_info")]
    before.append(asked("??", "cancel_order", 0.4))
    slots = {**SLOTS, "topic": "track_delivery", "facts": {"product": "水壶"}, "new_facts": []}
    run("action_reply", tracker("对", "affirm", slots=slots, events=before))
    assert loaded.responder.requests[0].topic == "ask_usage", "the last matter that was surely named"
    assert loaded.retriever.queries == [] and loaded.retriever.carried == [("对", "affirm", "ask_usage")]


def test_a_failing_index_does_not_cost_the_reply(run, tracker, loaded, monkeypatch):
    monkeypatch.setattr(loaded.retriever, "search", lambda *_: 1 / 0)
    _, messages, _ = run("action_reply", tracker("运费谁出", "ask_return_policy", slots=SLOTS))
    assert messages[0]["text"] == "<inform>" and messages[0]["passages"] == []


def test_a_form_gets_the_word_again(run, tracker):
    _, _, events = run("action_reply", tracker("运费谁出", "ask_return_policy", slots=SLOTS, form=True))
    assert [(e["event"], e["name"]) for e in events] == [("active_loop", "after_sales_form")]


def test_a_slow_responder_is_replaced_by_the_template(run, tracker, loaded, monkeypatch, short_deadline):
    monkeypatch.setattr(loaded.responder, "reply", lambda _: time.sleep(1.0))
    started = time.monotonic()
    _, messages, _ = run("action_reply", tracker("在吗", "greet", slots=SLOTS))
    assert messages[0]["source"] == "template" and time.monotonic() - started < 0.9


def test_while_the_model_loads_the_template_answers(run, tracker, monkeypatch):
    monkeypatch.setattr(resources, "responder", resources.Once("responder", lambda: time.sleep(1)))
    _, messages, _ = run("action_reply", tracker("在吗", "greet", slots=SLOTS))
    assert messages[0]["source"] == "template"


def test_the_wait_for_a_thread_counts_towards_the_deadline(run, tracker, loaded):
    from actions.turn import Turn

    reply.write(Turn(tracker("在吗", "greet", slots=SLOTS)), time.monotonic() - 2.5)
    assert loaded.responder.requests[0].deadline < 0.6


@pytest.mark.parametrize(("text", "language"), [("在吗", "zh"), ("where is it", "en")])
def test_when_all_fails_the_customer_gets_an_apology_in_her_language(run, tracker, loaded, monkeypatch, text, language):
    for responder in (loaded.responder, loaded.templates):
        monkeypatch.setattr(responder, "reply", lambda _: 1 / 0)
    _, messages, _ = run("action_reply", tracker(text, "greet", slots=SLOTS))
    assert [m["text"] for m in messages] == [APOLOGY[language]]
    assert messages[0]["source"] == "template" and messages[0]["message_id"]


def test_other_conversations_go_on_while_a_reply_is_written(executor, tracker, loaded, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(loaded.responder, "reply", lambda _: release.wait(5))

    async def both() -> str:
        slow = asyncio.ensure_future(executor.actions["action_reply"](CollectingDispatcher(), tracker("在吗"), {}))
        await asyncio.sleep(0.05)
        events = await executor.actions["action_check_product"](
            CollectingDispatcher(), tracker("空气炸锅多少钱", "ask_price", {"product": "空气炸锅"}), {}
        )
        assert not slow.done()
        slow.cancel()
        release.set()
        return next(e["value"] for e in events if e.get("name") == "outcome")

    assert asyncio.run(both()) == "found"


def test_the_message_cites_the_passage_that_it_quotes_first(run, tracker, loaded, monkeypatch):
    from kefu.generation import Responder, Templates
    from kefu.generation.guard import Guard
    from kefu.knowledge import Passage

    fee = Passage("fee", "运费", "一单满59元包邮，不满59元收6元运费，结算页会自动算好。")
    remote = Passage("remote", "偏远运费", "发往新疆、西藏、内蒙古、青海的订单，每单收15元运费。")
    monkeypatch.setattr(loaded.retriever, "search", lambda *_: [(fee, 0.9), (remote, 0.8)])
    resources.responder.put(Responder(None, Guard(()), Templates(())))
    said = {"event": "bot", "text": fee.text, "metadata": {}}
    slots = {"strategy": "inform"}
    _, messages, _ = run("action_reply", tracker("那新疆呢", "ask_shipping_fee", slots=slots, events=[said]))
    assert messages[0]["text"] == remote.text and messages[0]["passages"] == ["remote", "fee"]
