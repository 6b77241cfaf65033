"""The value of drafts: what it learns, how it chooses, how it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.dialogues import Dialogue, Turn
from kefu.errors import DataError, ModelCorrupt, ModelNotFound
from kefu.strategy.value import Moment, ValueModel, moment_of, written_in
from tests.strategy.conftest import HashEncoder

MATTERS = {"发票": "发票在订单里开", "退款": "退款原路退回", "快递": "快递在路上", "尺码": "尺码偏大一点"}


def talk(number: int) -> Dialogue:
    asked, told = list(MATTERS.items())[number % len(MATTERS)]
    turns = (
        Turn("user", f"{asked}呢{number}", intent="greet", emotion="neutral"),
        Turn("agent", f"{told}{number}", strategy="inform"),
        Turn("agent", "还有别的吗？", strategy="request_feedback"),
        Turn("user", "没有", intent="deny", emotion="neutral"),
        Turn("user", f"谢谢{number}", intent="thank", emotion="happy"),
        Turn("agent", "再会。", strategy="thank_and_close"),
    )
    return Dialogue(f"d{number}", "场景", turns)


@pytest.fixture(scope="module")
def model() -> ValueModel:
    return ValueModel.train([talk(n) for n in range(60)], HashEncoder())


def test_a_moment_is_the_customers_last_words_and_what_the_agent_said_before_the_reply() -> None:
    assert moment_of([]) == Moment("", "")
    assert moment_of([("user", "在吗"), ("user", "发票呢")]) == Moment("在吗 发票呢", "")
    assert moment_of([("user", "在吗"), ("agent", "在的"), ("user", "发票呢")]) == Moment("发票呢", "在的")
    assert moment_of([("user", "在吗"), ("agent", "在的")]) == Moment("在吗", "在的")


def test_every_reply_behind_a_customer_is_written() -> None:
    found = list(written_in([talk(0)]))
    assert [(w.strategy, w.moment.asked, w.moment.said) for w in found] == [
        ("inform", "发票呢0", ""),
        ("request_feedback", "发票呢0", "发票在订单里开0"),
        ("thank_and_close", "没有 谢谢0", "还有别的吗？"),
    ]


def test_a_reply_to_the_matter_is_worth_more_than_one_to_another(model: ValueModel) -> None:
    figures = model.accuracy([talk(n) for n in range(100, 120)])
    assert figures["n"] == 60.0 and figures["same_strategy"] >= 0.6 and figures["other_strategy"] >= 0.75
    right, wrong = model(Moment("退款呢77"), [("inform", "退款原路退回77"), ("inform", "尺码偏大一点77")])
    assert right > wrong


def test_the_probability_of_the_strategy_counts_as_well(model: ValueModel) -> None:
    moment, drafts = Moment("退款呢77"), [("inform", "尺码偏大一点7"), ("inform", "退款原路退回7")]
    assert model.choose(moment, drafts, {"inform": 0.5})[0] == 1
    drafts[0] = ("suggest", drafts[0][1])
    even = model.choose(moment, drafts, {"inform": 0.5, "suggest": 0.5})[1]
    uneven = model.choose(moment, drafts, {"inform": 0.001, "suggest": 0.5})[1]
    assert uneven[0] == even[0] and uneven[1] == pytest.approx(even[1] - 6.2146, abs=1e-3)


def test_saved_and_loaded_it_says_the_same(model: ValueModel, tmp_path: Path) -> None:
    model.save(tmp_path / "value.npz")
    again = ValueModel.load(tmp_path / "value.npz", HashEncoder())
    drafts = [("inform", "退款原路退回7"), ("greet", "在的")]
    assert again(Moment("退款呢"), drafts) == pytest.approx(model(Moment("退款呢"), drafts), abs=1e-2)


def test_what_is_missing_damaged_or_of_another_encoder_is_named_with_the_mend(
    model: ValueModel, tmp_path: Path
) -> None:
    file = tmp_path / "value.npz"
    with pytest.raises(ModelNotFound, match="kefu train value"):
        ValueModel.load(file, HashEncoder())
    model.save(file)
    other = HashEncoder()
    other.name = "another"
    with pytest.raises(ModelCorrupt, match="'hash', not 'another'"):
        ValueModel.load(file, other)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelCorrupt, match="kefu train value"):
        ValueModel.load(file, HashEncoder())


def test_nothing_is_learned_from_nothing() -> None:
    with pytest.raises(DataError, match="at least 2 written replies"):
        ValueModel.train([], HashEncoder())
