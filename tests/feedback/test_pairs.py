"""What reviewers and customers prefer becomes pairs for the generator, and the generator is tuned on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kefu.errors import SettingsError
from kefu.feedback import Decision, Limits, Masker, ReviewStore, decide, harvest
from kefu.feedback.pairs import preference_pairs, write_pairs
from kefu.feedback.retrain import Plan
from kefu.feedback.tuning import tune
from kefu.generation.preferences import Pair, read_pairs
from kefu.settings import load
from tests.tracker_store import TrackerStore

GENEROUS = Limits(most=100, share=1.0)


def refund_turn(tracker: TrackerStore, sender: str, reply: str, amount: str, **feedback: object) -> None:
    """A customer asks for her refund, is answered, and says what she thinks of it."""
    tracker.start(sender)
    tracker.user(sender, "钱怎么还没退回来", "ask_refund_status", "anxious")
    tracker.facts(sender, refund_amount=amount)
    said = tracker.bot(sender, reply, "inform")
    if feedback:
        tracker.feedback(sender, message_id=said, **feedback)


def test_a_correction_is_better_than_what_was_sent(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    refund_turn(tracker, "c1", "请您耐心等待。", "268.00元")
    harvest(store, tracker.engine, masker)
    decide(store, 1, Decision(reply="268.00元正在退回的路上。"), "李")
    (pair,) = preference_pairs(store, Path("data"), GENEROUS).pairs
    assert (pair.chosen, pair.rejected) == ("{退款金额}正在退回的路上。", "请您耐心等待。")
    assert (pair.weight, pair.source) == (2, "correction")
    assert "客户：钱怎么还没退回来" in pair.prompt and "{退款金额}=268.00元" in pair.prompt
    assert pair.prompt.endswith("信息传达：") and "请您耐心等待" not in pair.prompt
    write_pairs([pair], Path("var/feedback/preferences.jsonl"))
    assert read_pairs(Path("var/feedback/preferences.jsonl")) == [pair]


def test_a_praised_reply_is_better_than_a_blamed_one_to_the_same_request(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    refund_turn(tracker, "c1", "268.00元正在退回的路上。", "268.00元", thumb="up")
    refund_turn(tracker, "c2", "请您耐心等待。", "99.00元", thumb="down")
    refund_turn(tracker, "c3", "还在处理。", "15.00元")
    harvest(store, tracker.engine, masker)
    (pair,) = preference_pairs(store, Path("data"), GENEROUS).pairs
    assert (pair.chosen, pair.rejected, pair.weight) == ("{退款金额}正在退回的路上。", "请您耐心等待。", 1)
    assert "99.00元" in pair.prompt and "268.00元" not in pair.prompt, "each request keeps its own facts"


def test_a_better_reply_that_the_guard_refuses_is_none(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    refund_turn(tracker, "c1", "请您耐心等待。", "268.00元")
    harvest(store, tracker.engine, masker)
    decide(store, 1, Decision(reply="我保证268.00元马上退给您。"), "李")
    made = preference_pairs(store, Path("data"), GENEROUS)
    assert made.pairs == []
    (reason,) = made.refused
    assert reason.startswith("item 1:") and "promise" in reason


def test_one_customer_has_her_share_and_held_out_messages_stay_out(
    project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    tracker.start("c1")
    for number in range(6):
        tracker.user("c1", f"第{number}次问钱怎么还没退", "ask_refund_status", "anxious")
        tracker.facts("c1", refund_amount="268.00元")
        tracker.bot("c1", f"第{number}次请等。", "inform")
    tracker.start("c2")
    tracker.user("c2", "钱退到哪张卡了呀", "ask_refund_status", "neutral")
    tracker.facts("c2", refund_amount="268.00元")
    tracker.bot("c2", "请等。", "inform")
    harvest(store, tracker.engine, masker)
    for item in store.items(["open"]):
        decide(store, item.id, Decision(reply="{refund_amount}在退回的路上。"), "李")
    made = preference_pairs(store, Path("data"), Limits(most=3, share=1.0))
    assert len(made.pairs) <= 3 and made.held_back == {"c1": 3}
    assert not any("哪张卡" in pair.prompt for pair in made.pairs)


def test_few_pairs_leave_the_generator_alone(project: Path, store: ReviewStore) -> None:
    def never(arguments: object) -> None:
        raise AssertionError(arguments)

    assert "0 pairs" in tune(store, Plan(), Path("actions/adapter"), never)


@pytest.mark.parametrize("kept", [True, False])
def test_the_tuned_adapter_takes_the_place_unless_it_speaks_worse(
    project: Path, store: ReviewStore, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    from kefu.feedback import tuning

    found = tuning.preference_pairs(store, Path("data"))
    found.pairs = [Pair(f"p{n}", "好", "坏") for n in range(60)]
    monkeypatch.setattr(tuning, "preference_pairs", lambda *args: found)
    present = Path("adapter")
    present.mkdir()
    (present / "kefu.json").write_text("{}")

    def run(arguments: list[str]) -> None:
        assert arguments[:2] == ["train", "preferences"]
        out = Path(arguments[arguments.index("--out") + 1])
        out.mkdir(parents=True)
        assert len(read_pairs(Path(arguments[arguments.index("--pairs") + 1]))) == 60
        (out / "kefu.json").write_text(json.dumps({"preferences": {"kept": kept, "held_out_loss": [2.0, 2.01]}}))

    said = tune(store, Plan(), present, run)
    assert "2.0000 -> 2.0100" in said and "60 pairs" in said
    assert ("preferences" in (present / "kefu.json").read_text()) == kept
    assert Path("adapter.previous").is_dir() == kept


def test_it_is_off_unless_a_setting_says_so() -> None:
    assert not load({}).learn_preferences
    assert load({"KEFU_LEARN_PREFERENCES": "yes"}).learn_preferences
    with pytest.raises(SettingsError, match="KEFU_LEARN_PREFERENCES"):
        load({"KEFU_LEARN_PREFERENCES": "perhaps"})
