"""Decisions are checked, recorded with name and time, and can be given in the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable

import pytest
from rich.console import Console

from kefu.errors import DataError, NotFound
from kefu.feedback import Decision, Masker, ReviewStore, decide, harvest
from kefu.feedback.store import now
from kefu.feedback.terminal import review_all
from tests.tracker_store import TrackerStore


@pytest.fixture(autouse=True)
def conversations(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    """Item 1: a doubtful refund question; item 2: a message the model made nothing of, without a reply."""
    tracker.start("c1")
    tracker.user("c1", "钱呢 都五天了", "ask_price", "neutral", 0.4)
    tracker.facts("c1", refund_amount="268.00元", internal="x1")
    reply = tracker.bot("c1", "这款269元。", "inform", passages=["refund_times"])
    tracker.feedback("c1", message_id=reply, correction="我问的是[退款]")
    tracker.start("c2")
    tracker.user("c2", "？", None, None, 0.0)
    harvest(store, tracker.engine, masker)


def test_accept_keeps_the_prediction(store: ReviewStore) -> None:
    before = now()
    item = decide(store, 1, Decision(), "李")
    assert (item.status, item.reviewer, item.labels) == ("accepted", "李", ("ask_price", "neutral", "inform"))
    assert item.reviewed_at is not None
    assert before <= item.reviewed_at <= now()


def test_correct_labels_and_reply(store: ReviewStore) -> None:
    decision = Decision("ask_refund_status", "angry", "resolve", "让您等了五天，268.00元我这就催。")
    item = decide(store, 1, decision, "李")
    assert (item.status, item.labels) == ("corrected", ("ask_refund_status", "angry", "resolve"))
    assert item.reviewed_reply == "让您等了五天，{refund_amount}我这就催。"
    assert item.reviewed_facts == {"refund_amount": "268.00元"}


def test_reviewers_may_add_facts_and_lean_on_knowledge(store: ReviewStore) -> None:
    item = decide(store, 1, Decision(reply="{refund_eta}到账。", facts={"refund_eta": "明天"}), "李")
    assert item.reviewed_facts == {"refund_eta": "明天"}
    item = decide(store, 1, Decision(reply="要3到5个工作日。"), "李", {"refund_times": "信用卡3到5个工作日到账。"})
    assert item.reviewed_facts == {"policy": "信用卡3到5个工作日到账。"}


def test_a_later_decision_replaces_the_earlier(store: ReviewStore) -> None:
    decide(store, 1, Decision(reply="我来看看。"), "李")
    item = decide(store, 1, Decision(skip=True), "王")
    assert (item.status, item.reviewer, item.reviewed_reply, item.reviewed_intent) == ("skipped", "王", None, None)


@pytest.mark.parametrize(
    ("number", "decision", "message"),
    [
        (1, Decision(intent="ask_refund"), "Did you mean ask_refund_status"),
        (1, Decision(emotion="zzz"), "The names are: neutral, happy"),
        (1, Decision(reply="24小时内到账。"), "24小时"),
        (1, Decision(facts={"eta": "明天"}), "--reply"),
        (2, Decision(), "no predicted intent"),
        (2, Decision("greet", "confused", reply="您请说。"), "no predicted strategy"),
    ],
)
def test_refused_decisions_change_nothing(store: ReviewStore, number: int, decision: Decision, message: str) -> None:
    found = {i.text: i.id for i in store.items()}
    item_id = found["？"] if number == 2 else found["钱呢 都五天了"]
    with pytest.raises(DataError, match=message):
        decide(store, item_id, decision, "李")
    assert store.get(item_id).status == "open"


def test_unknown_item_and_nameless_reviewer(store: ReviewStore) -> None:
    with pytest.raises(NotFound, match="no review item with id 99"):
        decide(store, 99, Decision(), "李")
    with pytest.raises(DataError, match="--reviewer"):
        decide(store, 1, Decision(), " ")


def script(*answers: str) -> Callable[[str], str]:
    """Answers prompts in turn, then ends the input."""
    left: Iterable[str] = iter(answers)

    def ask(prompt: str) -> str:
        try:
            return next(left)  # type: ignore[call-overload]
        except StopIteration:
            raise EOFError from None

    return ask


def run(store: ReviewStore, *answers: str) -> tuple[int, str]:
    """Reviews in a terminal of 200 columns; returns how many were decided and what was shown."""
    out = io.StringIO()
    done = review_all(store, "李", {}, console=Console(file=out, width=200), ask=script(*answers))
    return done, out.getvalue()


def test_terminal_walks_through_items(store: ReviewStore) -> None:
    done, shown = run(store, "i", "30", "e", "angry", "s", "resolve", "r", "{refund_amount}我这就催。", "", "o", "k")
    assert done == 2
    item = next(i for i in store.items(["corrected"]))
    assert item.labels == ("ask_refund_status", "angry", "resolve")
    assert item.reviewed_reply == "{refund_amount}我这就催。"
    assert store.counts()["skipped"] == 1
    assert "我问的是[退款]" in shown, "a customer's brackets are shown, not obeyed"
    assert "{refund_amount}=268.00元" in shown
    assert "ask_refund_status 退款或价保款到哪" in shown, "label names come with their meaning"


def test_terminal_shows_errors_and_goes_on(store: ReviewStore) -> None:
    done, shown = run(store, "i", "ask_refund", "o", "r", "24小时内到账。", "", "o", "a", "q")
    assert done == 1
    assert "Did you mean ask_refund_status" in shown
    assert "还没有修改" in shown
    assert "24小时" in shown
    assert store.get(1).status == "accepted"


def test_terminal_leaves_at_the_end_of_input(store: ReviewStore) -> None:
    done, shown = run(store)
    assert done == 0
    assert "已处理 0 条" in shown
    assert store.counts()["open"] == 2
