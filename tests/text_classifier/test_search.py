"""The search for training arguments, on a toy."""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.text_classifier.arguments import TrainingArguments
from kefu.text_classifier.search import SPACE, score, search
from tests.text_classifier.conftest import Toy, examples, tasks


def test_trials_are_kept_and_gone_on_with(toy: Toy, tmp_path: Path) -> None:
    told: list[str] = []
    arguments = toy.arguments(epochs=1, held_out=0.3)
    database = tmp_path / "made" / "search.db"
    names = ["learning_rate", "dropout"]
    best, chosen = search(examples(), tasks(), arguments, 2, database, names, tell=told.append)
    assert set(chosen) == set(names) and 0 <= best <= 1
    for name, value in chosen.items():
        low, high, _ = SPACE[name]
        assert low <= value <= high
    assert len(told) == 2 and told[0].startswith("trial 0: ") and "learning_rate=" in told[0]
    again, _ = search(examples(), tasks(), arguments, 1, database, names, tell=told.append)
    assert again >= best and told[2].startswith("trial 2: ")


def test_a_trial_is_judged_by_all_tasks() -> None:
    assert score({"epoch": 1.0, "held_out_intent_f1": 0.8, "held_out_emotion_f1": 0.6}) == pytest.approx(0.7)
    assert score({"epoch": 1.0}) == 0.0


def test_every_argument_may_take_the_ends_of_its_range() -> None:
    for end in (0, 1):
        TrainingArguments(**{name: bounds[end] for name, bounds in SPACE.items()})
