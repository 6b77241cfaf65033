"""Two drafts where two strategies are close: when, how the better one goes out, what is told of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from actions import compare, resources
from kefu.settings import Settings
from kefu.strategy.value import Moment

CLOSE = {
    "scores": {"inform": 0.41, "suggest": 0.36, "clarify": 0.1},
    "open": ["inform", "suggest", "clarify"],
    "propensity": 1.0,
    "explored": False,
}
SLOTS = {"strategy": "inform", "stage": "explore", "strategy_probability": 0.41, "strategy_scores": CLOSE}


class Judge:
    """Prefers one strategy and keeps what it was asked."""

    def __init__(self, prefers: str) -> None:
        self.prefers, self.asked = prefers, []

    def choose(self, moment, drafts, probabilities):
        self.asked.append((moment, drafts, probabilities))
        scores = [1.0 if strategy == self.prefers else -1.0 for strategy, _ in drafts]
        return scores.index(max(scores)), scores


@pytest.fixture
def judged(monkeypatch):
    def prefer(strategy: str, margin: float = 0.1) -> Judge:
        judge = Judge(strategy)
        monkeypatch.setattr(compare, "settings", lambda: replace(Settings(), compare_drafts=margin))
        monkeypatch.setattr(resources, "value", SimpleNamespace(ready=lambda: judge))
        return judge

    return prefer


@pytest.mark.parametrize(
    ("change", "margin", "expected"),
    [
        ({}, 0.1, "suggest"),
        ({}, 0.04, None),  # not that close
        ({}, 0.0, None),  # switched off
        ({"open": ["inform", "clarify"]}, 0.5, "clarify"),  # a rule stands against the second
        ({"open": []}, 0.5, None),
        ({"explored": True}, 0.5, None),  # what is tried has to be sent
        ({"scores": {}}, 0.5, None),
    ],
)
def test_the_rival_is_the_second_best_that_is_close_and_allowed(change, margin, expected):
    assert compare.rival({**CLOSE, **change}, "inform", margin) == expected


def test_the_better_draft_goes_out_with_its_strategy(run, tracker, loaded, judged):
    judge = judged("suggest")
    slots, messages, _ = run("action_reply", tracker("怎么办", "ask_usage", slots=SLOTS))
    assert judge.asked == [(Moment("怎么办"), [("inform", "<inform>"), ("suggest", "<suggest>")], CLOSE["scores"])]
    message = messages[0]
    assert (message["text"], message["strategy"], message["probability"]) == ("<suggest>", "suggest", 0.36)
    assert message["compared"] == {"inform": -1.0, "suggest": 1.0} and message["propensity"] is None
    assert slots == {"strategy": "suggest", "stage": "explore"}


def test_the_first_strategy_stays_where_its_draft_is_better(run, tracker, judged):
    judged("inform")
    slots, messages, _ = run("action_reply", tracker("怎么办", "ask_usage", slots=SLOTS))
    assert (messages[0]["strategy"], messages[0]["probability"], slots) == ("inform", 0.41, {})


def test_by_default_there_is_one_draft(run, tracker, loaded):
    _, messages, _ = run("action_reply", tracker("怎么办", "ask_usage", slots=SLOTS))
    assert len(loaded.responder.requests) == 1
    assert messages[0]["compared"] == {} and messages[0]["propensity"] == 1.0


def test_without_the_value_model_there_is_one_draft(run, tracker, loaded, monkeypatch):
    monkeypatch.setattr(compare, "settings", lambda: replace(Settings(), compare_drafts=0.5))
    monkeypatch.setattr(resources, "value", SimpleNamespace(ready=lambda: None))
    _, messages, _ = run("action_reply", tracker("怎么办", "ask_usage", slots=SLOTS))
    assert messages[0]["strategy"] == "inform" and len(loaded.responder.requests) == 1


@pytest.mark.parametrize(
    ("strategy", "stage", "expected"),
    [("thank_and_close", "explore", "maintain"), ("other", "explore", "explore"), ("inform", "explore", "explore")],
)
def test_a_stage_that_is_not_the_strategys_gives_way(strategy, stage, expected):
    assert compare.stage_with(strategy, stage) == expected
