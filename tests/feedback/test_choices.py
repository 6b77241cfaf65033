"""Choices are rebuilt from the tracker store's events, with what customers made of them."""

from __future__ import annotations

from typing import Any

import pytest

from kefu.feedback import Masker, ReviewStore, harvest
from kefu.feedback.choices import stored_decisions
from kefu.strategy.decisions import Decision
from tests.tracker_store import TrackerStore


def chosen(tracker: TrackerStore, sender: str, text: str, strategy: str = "inform", **told: Any) -> str:
    """A reply whose strategy was taken among three, as the policy and action_reply write it."""
    scores = {"among": ["inform", "suggest", "request_feedback"], "explored": strategy != "inform", "replies_left": 2}
    tracker.event(sender, "slot", name="strategy", value=strategy)
    tracker.event(sender, "slot", name="strategy_scores", value={**scores, **told})
    return tracker.bot(sender, text, strategy, propensity=0.1 if strategy != "inform" else 0.85)


def decisions(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> list[Decision]:
    harvest(store, tracker.engine, masker)
    return stored_decisions(store)


def test_a_choice_holds_its_moment(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    tracker.start("c1")
    tracker.user("c1", "在吗", "greet")
    tracker.bot("c1", "在的", "greet")
    tracker.user("c1", "202611187734920615签收了吗，电话13812340816", "track_delivery", "anxious")
    tracker.facts("c1", signed_by="张伟", eta="11月25日")
    tracker.event("c1", "slot", name="new_facts", value=["eta", "gone"])
    tracker.event("c1", "slot", name="outcome", value="found")
    chosen(tracker, "c1", "张伟签收了", "suggest")
    chosen(tracker, "c1", "还有别的吗", "request_feedback", replies_left=1)
    first, second = decisions(tracker, store, masker)
    assert (first.strategy, first.propensity, first.replies_left) == ("suggest", 0.1, 2)
    assert first.among == ("inform", "suggest", "request_feedback")
    history = first.history
    assert (history.facts, history.new_facts, history.outcome) == ({"signed_by", "eta"}, {"eta"}, "found")
    assert history.order_known
    assert [m.speaker for m in history.messages] == ["user", "agent", "user"]
    assert [m.strategy for m in second.history.block] == ["suggest"]
    assert second.replies_left == 1
    assert (history.users[-1].intent, history.users[-1].emotion) == ("track_delivery", "anxious")
    said = "".join(m.text for m in second.history.messages)
    assert "张伟" not in said and "13812340816" not in said and "202611187734920615" not in said
    assert first.customer == second.customer != "c1"


@pytest.mark.parametrize(
    ("intent", "emotion", "reward"),
    [
        ("thank", "happy", 0.5 + 0.3),
        ("thank", "anxious", 0.5),
        ("contact_human", "angry", -0.5 - 0.3),
        ("urge_delivery", "angry", -0.3),
        ("affirm", "anxious", 0.0),
    ],
)
def test_the_next_message_is_a_hint(
    tracker: TrackerStore, store: ReviewStore, masker: Masker, intent: str, emotion: str, reward: float
) -> None:
    tracker.user("c1", "快点吧", "urge_delivery", "anxious")
    chosen(tracker, "c1", "已催")
    assert decisions(tracker, store, masker)[0].reward == 0.0
    tracker.user("c1", "嗯嗯", intent, emotion)
    assert [d.reward for d in decisions(tracker, store, masker)] == [pytest.approx(reward)]


def test_marks_belong_to_the_reply_they_name(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    tracker.user("c1", "快点吧", "urge_delivery", "neutral")
    up = chosen(tracker, "c1", "已催")
    down = chosen(tracker, "c1", "换一家试试", "suggest")
    tracker.feedback("c1", message_id=up, thumb="up")
    tracker.feedback("c1", message_id=down, rating="2")
    tracker.user("c1", "还是慢", "urge_delivery", "neutral")
    wrong = chosen(tracker, "c1", "已催", "request_feedback")
    tracker.feedback("c1", message_id=wrong, correction="我问的是退款", target="meaning")
    assert [d.reward for d in decisions(tracker, store, masker)] == pytest.approx([1.0, -0.5, -0.3])
    tracker.feedback("c1", message_id=up, thumb="down")
    assert [d.reward for d in decisions(tracker, store, masker)] == pytest.approx([-1.0, -0.5, -0.3])


def test_yes_to_whether_all_is_well_counts(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    tracker.user("c1", "知道了", "affirm", "neutral")
    chosen(tracker, "c1", "都解决了吧？", "request_feedback")
    tracker.user("c1", "嗯", "affirm", "neutral")
    assert decisions(tracker, store, masker)[0].reward == 0.5


def test_what_had_no_alternative_is_no_choice(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    tracker.user("c1", "快点吧", "urge_delivery", "neutral")
    chosen(tracker, "c1", "已催", among=[])
    tracker.bot("c1", "还有别的吗", propensity=1.0)
    tracker.event("c1", "slot", name="strategy_scores", value={"scores": {"inform": 0.9}})
    tracker.bot("c1", "旧的记录没有倾向")
    chosen(tracker, "c1", "说的不是选的", "other", among=["inform", "suggest"])
    assert decisions(tracker, store, masker) == []


def test_a_session_starts_afresh(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    tracker.user("c1", "202611187734920615", "provide_info", "neutral")
    tracker.facts("c1", eta="11月25日")
    chosen(tracker, "c1", "11月25日到")
    tracker.start("c1")
    tracker.user("c1", "谢谢", "thank", "happy")
    chosen(tracker, "c1", "不客气", "suggest")
    before, after = decisions(tracker, store, masker)
    assert before.reward == 0.0
    assert after.history.facts == set() and not after.history.order_known
    assert len(after.history.messages) == 1


def test_a_signed_in_customer_is_one_in_all_her_chats(
    tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    for sender, signed_in in (("a", "C9"), ("b", "C9"), ("c", None)):
        tracker.user(sender, "快点吧", "urge_delivery", "neutral", metadata={"customer_id": signed_in})
        chosen(tracker, sender, "已催")
    first, second, third = (d.customer for d in decisions(tracker, store, masker))
    assert first == second != third


def test_review_items_tell_what_was_tried(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    tracker.user("c1", "快点吧", "urge_delivery", "neutral")
    chosen(tracker, "c1", "换一家试试", "suggest")
    tracker.bot("c1", "旧的", explored=True)
    harvest(store, tracker.engine, masker)
    told = [(r["probability"], r["propensity"]) for r in store.items()[0].replies]
    assert told == [(0.7, 0.1), (0.7, None)]
