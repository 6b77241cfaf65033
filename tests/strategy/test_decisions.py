"""Rewards, and decisions as files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kefu.errors import DataError, NotFound
from kefu.strategy import History, Message
from kefu.strategy.decisions import Decision, Signals, Weights, read_decisions, reward, within, write_decisions
from kefu.strategy.features import plain

HISTORY = History(
    [
        Message("user", "202611187734920615到哪了", {"track_delivery": 0.9, "urge_delivery": 0.1}, {"anxious": 1.0}),
        Message("agent", "在查", strategies={"other": 1.0}),
        Message("user", "快点", {"urge_delivery": 1.0}, {"anxious": 0.7, "angry": 0.3}),
    ],
    frozenset({"location", "eta"}),
    frozenset({"eta"}),
    "found",
    phone=True,
)
DECISION = Decision("k", "c", 5.0, HISTORY, 2, "inform", 0.8, ("inform", "suggest"), 0.5)


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        (Signals(), 0.0),
        (Signals(thumb="up"), 1.0),
        (Signals(thumb="down"), -1.0),
        (Signals(stars=4), 0.5),
        (Signals(stars=1), -1.0),
        (Signals(stars=3), 0.0),
        (Signals(corrected=True), -1.0),
        (Signals(misread=True), -0.3),
        (Signals(resolved=True), 0.5),
        (Signals(wanted_human=True), -0.5),
        (Signals(upset=2), -0.3),
        (Signals(upset=-4), 0.6),
        (Signals(resolved=True, upset=-2), 0.8),
        (Signals(thumb="up", stars=5, resolved=True), 1.0),
        (Signals(thumb="down", corrected=True, wanted_human=True, upset=4), -1.0),
        (Signals(thumb="up", corrected=True), 0.0),
    ],
)
def test_rewards(signals: Signals, expected: float) -> None:
    assert reward(signals) == pytest.approx(expected)


def test_weights_can_be_others() -> None:
    assert reward(Signals(resolved=True), Weights(resolved=0.2)) == pytest.approx(0.2)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    other = replace(DECISION, key="l", history=History(HISTORY.messages[:1], observed=False), reward=-1.0)
    write_decisions([DECISION, other], tmp_path / "deep" / "d.jsonl")
    read = read_decisions(tmp_path / "deep" / "d.jsonl")
    assert [(d.key, d.strategy, d.propensity, d.among, d.reward) for d in read] == [
        ("k", "inform", 0.8, ("inform", "suggest"), 0.5),
        ("l", "inform", 0.8, ("inform", "suggest"), -1.0),
    ]
    for before, after in zip((DECISION, other), read):
        assert plain(after.history).tolist() == pytest.approx(plain(before.history).tolist(), abs=1e-4)
        assert after.history.outcome == before.history.outcome
        assert [m.text for m in after.history.messages] == [m.text for m in before.history.messages]


def test_a_long_history_keeps_its_end_and_what_its_beginning_told(tmp_path: Path) -> None:
    chat = [Message("user", "嗯", {"affirm": 1.0}, {"neutral": 1.0})] * 30
    write_decisions([replace(DECISION, history=History([*HISTORY.messages[:1], *chat]))], tmp_path / "d.jsonl")
    (read,) = read_decisions(tmp_path / "d.jsonl")
    assert len(read.history.messages) == 20
    assert read.history.order_known


def test_broken_lines_are_named(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    write_decisions([DECISION, replace(DECISION, strategy="greet")], file)
    with pytest.raises(DataError, match=r"d\.jsonl:2: .*'greet' is not among"):
        read_decisions(file)
    write_decisions([replace(DECISION, propensity=0.0)], file)
    with pytest.raises(DataError, match=r"propensity 0\.0"):
        read_decisions(file)
    file.write_text("{}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"d\.jsonl:1"):
        read_decisions(file)
    with pytest.raises(NotFound, match="absent"):
        read_decisions(tmp_path / "absent.jsonl")


def test_a_customers_newest_are_kept() -> None:
    many = [replace(DECISION, key=str(i), at=float(i)) for i in range(30)]
    one = replace(DECISION, key="other", customer="d")
    assert [d.key for d in within([*many, one], 2)] == ["28", "29", "other"]


def test_about_one_customer_in_four_judges() -> None:
    judging = sum(replace(DECISION, customer=f"c{i}").judges for i in range(2000))
    assert 400 < judging < 600
