"""Losses and the machinery of a step, on numbers small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kefu.text_classifier import MultiTaskClassifier, TrainingArguments
from kefu.text_classifier.losses import IGNORE, class_weights, divergence, supervised_contrastive
from kefu.text_classifier.optimisation import FrozenLayers, RunningAverage, freeze, optimizer_of, schedule_of
from tests.text_classifier.conftest import tasks


def test_divergence_is_nothing_between_equals_and_symmetric() -> None:
    a, b = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 1.0], [0.5, 0.0]])
    assert float(divergence(a, a)) == pytest.approx(0.0, abs=1e-7)
    assert float(divergence(a, b)) == pytest.approx(float(divergence(b, a)))
    assert float(divergence(a, b)) > 0.1


def test_contrast_wants_labels_together() -> None:
    targets = torch.tensor([0, 0, 1, 1])
    apart = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    mixed = apart[[0, 2, 1, 3]]
    assert float(supervised_contrastive(apart, targets)) < 0.1 < float(supervised_contrastive(mixed, targets))
    lone = supervised_contrastive(apart.requires_grad_(), torch.tensor([0, 1, IGNORE, IGNORE]))
    lone.backward()  # nothing to compare is no error
    assert float(lone.detach()) == 0.0


def test_rare_labels_weigh_more_when_asked() -> None:
    targets = torch.tensor([0] * 90 + [1] * 10 + [IGNORE] * 5)
    assert class_weights(targets, 2, 0.0).tolist() == [1.0, 1.0]
    full = class_weights(targets, 2, 1.0)
    assert float(full[0] * 90) == pytest.approx(float(full[1] * 10))
    assert float((full * torch.tensor([90.0, 10.0])).sum()) == pytest.approx(100.0)


def test_layers_learn_slower_downwards(tiny_encoder: Path) -> None:
    network = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks())
    arguments = TrainingArguments(frozen_layers=0, learning_rate=1e-3, head_learning_rate=1e-2, layer_decay=0.5)
    freeze(network, arguments)
    rates = {group["lr"] for group in optimizer_of(network, arguments).param_groups}
    assert rates == {1e-2, 1e-3, 5e-4, 2.5e-4}  # heads, layer 1, layer 0, what is below the layers


def test_the_rate_rises_and_falls() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    schedule = schedule_of(optimizer, steps=10, warmup=0.2)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == 0.5 and max(rates) == 1.0 and rates[-1] == pytest.approx(0.125)


def test_what_is_kept_equals_what_is_computed(tiny_encoder: Path) -> None:
    network = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks(), encoder_dropout=0.0).eval()
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    frozen = FrozenLayers(network, 1)
    with torch.no_grad():
        plain = network(ids, mask)[0]
        first, again = (frozen(["a", "b"], ids, mask)()[0] for _ in range(2))
        swapped = frozen(["b", "a"], ids[[1, 0]], mask[[1, 0]])()[0]
    assert torch.equal(first, again) and torch.allclose(first, swapped[[1, 0]], atol=1e-6)
    assert torch.allclose(first, plain, atol=0.05)  # kept in bfloat16


def test_the_average_steps_in_and_out(tiny_encoder: Path) -> None:
    network = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks())
    average = RunningAverage(network, 0.5)
    weight = network.heads["intent"].weight
    start = weight.detach().clone()
    with torch.no_grad():
        weight.add_(1.0)
    average.update()
    with average.applied():
        assert bool((weight > start).all()) and bool((weight < start + 1.0).all())
    assert torch.allclose(weight, start + 1.0)
    off = RunningAverage(network, replace(TrainingArguments(), average=0.0).average)
    off.update()
    with off.applied():
        assert torch.allclose(weight, start + 1.0)
