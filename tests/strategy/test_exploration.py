"""What is tried, how often, and where nothing may be."""

from __future__ import annotations

from collections import Counter

import pytest

from kefu.errors import SettingsError
from kefu.strategy import Exploration, History, Message, choose
from kefu.strategy.exploration import open_strategies

CALM = History([Message("user", "这款锅能用电磁炉吗", {"ask_usage": 1.0}, {"neutral": 1.0})])
ANGRY = History([Message("user", "太慢了", {"urge_delivery": 1.0}, {"angry": 0.9, "neutral": 0.1})])
SCORES = {"inform": 0.6, "suggest": 0.25, "clarify": 0.1, "other": 0.04, "greet": 0.01, "resolve": 0.0}
AMONG = ("inform", "suggest", "clarify")


def test_only_likely_strategies_are_open() -> None:
    assert open_strategies(SCORES, (), CALM) == AMONG


@pytest.mark.parametrize(
    ("scores", "owed", "history"),
    [
        (SCORES, ("verify_identity",), CALM),
        (SCORES, (), ANGRY),
        (SCORES, (), History([*ANGRY.messages, Message("user", "喂", {}, {"neutral": 1.0})])),
        (SCORES, (), History([*ANGRY.messages, Message("agent", "抱歉", strategies={"manage_emotion": 1.0})])),
        (SCORES, (), History(CALM.messages, handed_over=True)),
        ({"inform": 0.82, "suggest": 0.18}, (), CALM),
        ({"inform": 0.97, "suggest": 0.03}, (), CALM),
        ({}, (), CALM),
    ],
)
def test_nothing_is_open(scores: dict[str, float], owed: tuple[str, ...], history: History) -> None:
    assert open_strategies(scores, owed, history) == ()


def test_an_anger_that_has_passed_is_no_anger() -> None:
    answered = Message("agent", "抱歉", strategies={"manage_emotion": 1.0})
    calmed = History([*ANGRY.messages, answered, Message("user", "好的", {}, {"neutral": 1.0})])
    assert open_strategies(SCORES, (), calmed) == AMONG


def test_switched_off_the_best_is_taken_for_sure() -> None:
    for place in range(50):
        choice = choose(SCORES, AMONG, Exploration(), "c", place)
        assert (choice.strategy, choice.propensity, choice.explored, choice.among) == ("inform", 1.0, False, ())


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_propensities_are_the_frequencies(temperature: float) -> None:
    exploration = Exploration(0.4, temperature)
    choices = [choose(SCORES, AMONG, exploration, f"c{i}", i % 7) for i in range(6000)]
    told = {c.strategy: c.propensity for c in choices}
    assert sum(told.values()) == pytest.approx(1.0)
    for strategy, count in Counter(c.strategy for c in choices).items():
        assert count / 6000 == pytest.approx(told[strategy], abs=0.02)
    assert {c.strategy for c in choices if c.explored} == {"suggest", "clarify"}
    assert set(told) == set(AMONG)


def test_a_higher_temperature_evens_out() -> None:
    def rarest(temperature: float) -> float:
        choices = [choose(SCORES, AMONG, Exploration(0.5, temperature), f"c{i}", 0) for i in range(300)]
        return next(c.propensity for c in choices if c.strategy == "clarify")

    assert rarest(1.0) == pytest.approx(0.5 * 0.1 / 0.95)
    assert rarest(1.0) < rarest(3.0) < 0.5 / 3


def test_the_same_moment_gives_the_same_choice_and_another_seed_another() -> None:
    def drawn(seed: int) -> list[str]:
        return [choose(SCORES, AMONG, Exploration(0.5, seed=seed), "会话", place).strategy for place in range(60)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert len(set(drawn(7))) == 3


@pytest.mark.parametrize(("key", "value"), [("chance", -0.1), ("chance", 0.6), ("temperature", 0.0)])
def test_what_cannot_be_is_named(key: str, value: float) -> None:
    with pytest.raises(SettingsError, match=f"{key}.*{value}"):
        Exploration(**{key: value})
