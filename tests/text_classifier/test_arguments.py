"""The checks of training arguments and the split of examples."""

from __future__ import annotations

from typing import Any

import pytest

from kefu.errors import SettingsError
from kefu.text_classifier import Example, TrainingArguments
from kefu.text_classifier.examples import stratified_split


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("epochs", True),
        ("epochs", "8"),
        ("batch_size", -1),
        ("patience", 0),
        ("max_tokens", 0),
        ("frozen_layers", -1),
        ("frozen_layers", True),
        ("seed", -1),
        ("learning_rate", 0.0),
        ("learning_rate", 1.5),
        ("learning_rate", "2e-4"),
        ("learning_rate", float("nan")),
        ("head_learning_rate", -1e-3),
        ("dropout", 1.0),
        ("held_out", 1.0),
        ("held_out", -0.1),
        ("label_smoothing", True),
        ("train_embeddings", 1),
        ("encoder", 5),
    ],
)
def test_a_bad_value_is_quoted_with_its_key(name: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        TrainingArguments.from_config({name: value})
    assert repr(name) in str(caught.value) and str(caught.value).endswith(f"But it was: {value!r}")


def test_a_config_takes_what_it_knows() -> None:
    made = TrainingArguments.from_config({"epochs": 3, "weight_decay": 0, "threads": 4})
    assert (made.epochs, made.weight_decay) == (3, 0.0)
    assert isinstance(made.weight_decay, float)
    assert made.batch_size == TrainingArguments().batch_size


def of(counts: dict[str, int]) -> list[Example]:
    return [Example(f"{label}{i}", {"t": label}) for label, n in counts.items() for i in range(n)]


def test_each_label_gives_its_share() -> None:
    examples = of({"a": 1000, "b": 500, "few": 5, "fewer": 4})
    rest, held = stratified_split(examples, "t", 0.1, seed=1)
    counts = {label: sum(e.labels["t"] == label for e in held) for label in ("a", "b", "few", "fewer")}
    assert 70 <= counts["a"] <= 130 and 30 <= counts["b"] <= 70 and counts["few"] >= 1
    assert sorted(e.text for e in rest + held) == sorted(e.text for e in examples)


def test_an_example_stays_on_its_side_when_others_come_and_go() -> None:
    examples = of({"a": 200, "b": 200})
    _, held = stratified_split(examples, "t", 0.1, seed=1)
    _, more = stratified_split([*of({"new": 30}), *reversed(examples[50:])], "t", 0.1, seed=1)
    assert {e.text for e in held if e in examples[50:]} == {e.text for e in more if e.labels["t"] != "new"}


def test_the_split_follows_the_seed() -> None:
    examples = of({"a": 50, "b": 50})
    assert stratified_split(examples, "t", 0.2, 1) == stratified_split(examples, "t", 0.2, 1)
    assert stratified_split(examples, "t", 0.2, 1) != stratified_split(examples, "t", 0.2, 2)


def test_a_share_of_nothing_holds_nothing_out() -> None:
    examples = of({"a": 50})
    assert stratified_split(examples, "t", 0.0, 1) == (examples, [])
