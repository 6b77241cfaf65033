"""The training loop on a random encoder: what it learns, what it leaves alone, when it stops."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kefu.errors import DataError
from kefu.text_classifier import Example, MultiTaskClassifier, Task, train, trainer
from kefu.text_classifier.calibration import Calibration
from tests.text_classifier.conftest import Toy, examples, tasks


def test_it_learns_a_separable_task(toy: Toy) -> None:
    run = train(examples(), tasks(), toy.arguments(epochs=6, learning_rate=2e-3, patience=6))
    assert max(e["held_out_intent_f1"] for e in run.history) == 1.0
    assert max(e["held_out_emotion_f1"] for e in run.history) >= 0.8
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert {"epoch", "loss", "seconds", "held_out_intent_f1", "held_out_emotion_f1"} == set(run.history[0])
    assert not run.network.training


def test_the_same_seed_gives_the_same_run(toy: Toy) -> None:
    runs = [train(examples(), tasks(), toy.arguments(seed=seed)) for seed in (1, 1, 2)]
    losses = [[e["loss"] for e in run.history] for run in runs]
    assert losses[0] == losses[1] != losses[2]


def test_it_stops_when_nothing_gets_better(toy: Toy) -> None:
    still = toy.arguments(epochs=9, patience=2, learning_rate=1e-30, head_learning_rate=1e-30)
    seen: list[float] = []
    run = train(examples(), tasks(), still, on_epoch=lambda figures: seen.append(figures["epoch"]))
    assert [e["epoch"] for e in run.history] == seen == [1.0, 2.0, 3.0]


def test_the_best_epoch_is_kept(toy: Toy, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.3, 0.8, 0.5, 0.6])
    monkeypatch.setattr(trainer, "macro_f1", lambda gold, predicted: next(scores))
    task = tasks()[0]
    network = MultiTaskClassifier.from_pretrained(tiny_encoder, [task])
    after: list[torch.Tensor] = []
    only = [Example(e.text, {"intent": e.labels["intent"]}) for e in examples()]
    run = train(
        only,
        [task],
        toy.arguments(epochs=4),
        network=network,
        folder=tiny_encoder,
        on_epoch=lambda _: after.append(network.heads["intent"].weight.detach().clone()),
    )
    kept = run.network.heads["intent"].weight
    assert torch.equal(kept, after[1]) and not torch.equal(kept, after[3])


@pytest.mark.parametrize(
    ("changes", "moved", "still"),
    [
        ({"frozen_layers": 1}, ["layer.1."], ["layer.0.", "embeddings"]),
        ({"frozen_layers": 0}, ["layer.0.", "layer.1.", "position_embeddings"], ["word_embeddings"]),
        ({"frozen_layers": 0, "train_embeddings": True}, ["layer.0.", "word_embeddings"], []),
        ({"frozen_layers": 2}, [], ["layer.0.", "layer.1.", "embeddings"]),
    ],
)
def test_frozen_parameters_do_not_move(
    toy: Toy, tiny_encoder: Path, changes: dict[str, Any], moved: list[str], still: list[str]
) -> None:
    network = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks())
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    run = train(examples(), tasks(), toy.arguments(epochs=1, **changes), network=network, folder=tiny_encoder)
    changed = {name for name, p in run.network.named_parameters() if not torch.equal(p, before[name])}
    assert {"heads.intent.weight", "heads.emotion.weight"} <= changed
    for part in moved:
        assert any(part in name for name in changed), part
    for part in still:
        assert not any(part in name for name in changed), part


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[str, str]]]:
    """What the network is given in training, the fit of its heads included, and what it is judged by."""
    given: dict[str, list[tuple[str, str]]] = {"training": [], "judging": []}
    encode, logits = trainer.encode, trainer._Run.logits
    judging = False

    def spied(tokenizer: Any, inputs: list[tuple[str, str]]) -> Any:
        given["judging" if judging else "training"].extend(inputs)
        return encode(tokenizer, inputs)

    def judged(run: Any, inputs: Any) -> Any:
        nonlocal judging
        judging = True
        found = logits(run, inputs)
        judging = False
        return found

    monkeypatch.setattr(trainer, "encode", spied)
    monkeypatch.setattr(trainer._Run, "logits", judged)
    return given


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 1.0, 1.0), (0.5, 0.3, 0.7), (0.99, 0.0, 0.1)])
def test_context_is_hidden_in_training_alone(
    toy: Toy, met: dict[str, list[tuple[str, str]]], share: float, least: float, most: float
) -> None:
    train(examples(), tasks(), toy.arguments(context_dropout=share))
    assert all(text for inputs in met.values() for text, _ in inputs)
    assert least <= np.mean([bool(context) for _, context in met["training"]]) <= most
    # after both epochs and for the calibration in their contexts, for the calibration alone besides
    assert np.mean([bool(context) for _, context in met["judging"]]) == 0.75


def test_typing_errors_are_put_into_training_alone(toy: Toy, met: dict[str, list[tuple[str, str]]]) -> None:
    texts = {e.text for e in examples()}
    train(examples(), tasks(), toy.arguments(typos=0.5))
    trained = {text for text, _ in met["training"]}
    assert trained - texts and trained & texts
    assert {text for text, _ in met["judging"]} <= texts


def test_the_heads_are_fitted_on_the_first_epochs_inputs(toy: Toy, met: dict[str, list[tuple[str, str]]]) -> None:
    train(examples(), tasks(), toy.arguments(epochs=1, context_dropout=0.5, typos=0.5))
    given = met["training"]
    half = len(given) // 2
    assert sorted(given[:half]) == sorted(given[half:])


def test_an_example_teaches_only_what_it_is_labelled_for(toy: Toy) -> None:
    # Angry messages without an emotion label: were they read as neutral, the emotion head would call them so.
    unlabelled = [Example(e.text, {"intent": e.labels["intent"]}) for e in examples() if e.labels["emotion"] == "angry"]
    run = train(examples() + unlabelled * 4, tasks(), toy.arguments(epochs=4))
    assert all(math.isfinite(e["loss"]) for e in run.history)
    assert max(e["held_out_emotion_f1"] for e in run.history) >= 0.8


def test_a_task_with_next_to_no_labels_does_no_harm(toy: Toy) -> None:
    rest = [Example(e.text, {"intent": e.labels["intent"]}) for e in examples()]
    held = [Example("退款气", {"intent": "refund", "emotion": "angry"})]
    few = [Example("退款", {"emotion": "neutral"}), Example("发票气", {"emotion": "angry"})]
    run = train(rest + few, tasks(), toy.arguments(epochs=1), held_out=held)
    assert all(torch.isfinite(p).all() for p in run.network.parameters())
    lone = [Example(e.text, {"intent": e.labels["intent"], "other": str(i)}) for i, e in enumerate(held + rest[:1])]
    run = train(rest + lone, [tasks()[0], Task("other", ("0", "1"))], toy.arguments(epochs=1, held_out=0.9))
    assert all(torch.isfinite(p).all() for p in run.network.parameters())


def test_given_held_out_examples_are_those_it_is_judged_by(toy: Toy) -> None:
    wrong = [Example("退款", {"intent": "invoice", "emotion": "neutral"}) for _ in range(5)]
    run = train(examples(), tasks(), toy.arguments(epochs=1), held_out=wrong)
    assert run.history[0]["held_out_intent_f1"] == 0.0


def test_without_held_out_examples_the_last_epoch_stays(toy: Toy) -> None:
    run = train(examples(), tasks(), toy.arguments(held_out=0.0, patience=1))
    assert len(run.history) == 2 and "held_out_intent_f1" not in run.history[0]
    assert run.calibrations == {"intent": Calibration(), "emotion": Calibration()}


def test_one_label_is_nothing_to_learn(toy: Toy) -> None:
    lone = [Example("退款", {"intent": "refund", "emotion": e}) for e in ("angry", "neutral")]
    with pytest.raises(DataError, match=r"'intent' needs examples of at least 2 labels.*\['refund'\]"):
        train(lone, tasks(), toy.arguments())


def test_the_weight_of_a_task_scales_its_loss(toy: Toy) -> None:
    light, heavy = (
        train(examples(), tasks(), toy.arguments(epochs=1, seed=3), weights={"emotion": weight})
        for weight in (0.0, 1.0)
    )
    assert light.history[0]["loss"] < heavy.history[0]["loss"]


def test_emotion_learns_from_intent_and_does_not_teach_it(tiny_encoder: Path) -> None:
    network = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks(), dropout=0.0)
    pooled = torch.randn(4, network.hidden)
    network.classify(pooled)["emotion"].sum().backward()
    assert network.heads["intent"].weight.grad is None
    before = network.classify(pooled)["emotion"]
    with torch.no_grad():
        network.heads["intent"].weight.mul_(-1)
        assert not torch.allclose(network.classify(pooled)["emotion"], before)


def test_padding_changes_nothing(tiny_encoder: Path) -> None:
    network = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks()).eval()
    ids = torch.tensor([[0, 9, 10, 2]])
    padded = torch.tensor([[0, 9, 10, 2, 1, 1, 1]])
    with torch.inference_mode():
        bare, _ = network(ids, torch.ones_like(ids))
        with_padding, _ = network(padded, (padded != 1).long())
    torch.testing.assert_close(bare, with_padding, atol=1e-5, rtol=1e-4)
    assert bare.var(unbiased=False).item() == pytest.approx(1.0, abs=1e-2)
