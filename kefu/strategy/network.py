"""The network: features in, a logit for each strategy and one for listening out. Trained in torch, served in numpy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kefu.strategy.arguments import TrainingArguments

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
UNKNOWN = -1  # the target of a point that has none


@dataclass(frozen=True)
class Network:
    """Layers of (weights (in, out), bias (out,)), ReLU between them. The last column of the output is listening."""

    layers: tuple[tuple[Floats, Floats], ...]

    def __call__(self, features: Floats) -> Floats:
        """(points, strategies + 1) logits from (points, size) features."""
        for index, (weights, bias) in enumerate(self.layers):
            features = features @ weights + bias
            if index < len(self.layers) - 1:
                features = np.maximum(features, 0.0)
        return features


def mean_logits(members: tuple[Network, ...], features: Floats) -> Floats:
    """(points, strategies + 1) logits, averaged over the ensemble."""
    average: Floats = np.mean([member(features) for member in members], axis=0)
    return average


@contextmanager
def _one_thread() -> Iterator[None]:
    """Matrices as small as these lose more by waiting for a second thread than they gain."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def train_network(
    features: Floats, strategies: Ints, listens: Ints, labels: int, arguments: TrainingArguments, seed: int
) -> Network:
    """Fits one network.

    Args:
        features: (points, size).
        strategies: (points,) indices below ``labels``, UNKNOWN where no reply followed.
        listens: (points,) 1 where the agent's block ended, 0 where it went on, UNKNOWN where it had not begun.
    """
    import torch
    from torch import nn

    torch.manual_seed(seed)
    inputs = torch.from_numpy(np.ascontiguousarray(features))
    targets, ends = torch.from_numpy(strategies), torch.from_numpy(listens)
    size, outputs = inputs.shape[1], labels + 1
    body: list[nn.Module] = [nn.Dropout(arguments.dropout)]
    if arguments.hidden:
        body += [nn.Linear(size, arguments.hidden), nn.ReLU(), nn.Dropout(arguments.dropout)]
    body.append(nn.Linear(arguments.hidden or size, outputs))
    network = nn.Sequential(*body).train()
    matrices = [p for p in network.parameters() if p.ndim > 1]
    biases = [p for p in network.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": arguments.weight_decay}, {"params": biases, "weight_decay": 0.0}],
        lr=arguments.learning_rate,
    )
    steps = math.ceil(len(inputs) / arguments.batch_size) * arguments.epochs
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(arguments.epochs):
        for batch in torch.randperm(len(inputs)).split(arguments.batch_size):
            logits = network(inputs[batch])
            due, begun = targets[batch] != UNKNOWN, ends[batch] != UNKNOWN
            chosen = nn.functional.cross_entropy(
                logits[due, :labels], targets[batch][due], label_smoothing=arguments.label_smoothing, reduction="sum"
            )
            ended = nn.functional.binary_cross_entropy_with_logits(
                logits[begun, labels], ends[batch][begun].float(), reduction="sum"
            )
            loss = (chosen + ended) / len(batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    linears = [m for m in network if isinstance(m, nn.Linear)]
    return Network(tuple((m.weight.detach().numpy().T.copy(), m.bias.detach().numpy().copy()) for m in linears))


@_one_thread()
def fit_linear(features: Floats, targets: Ints, labels: int, penalty: float) -> Network:
    """Multinomial logistic regression by L-BFGS.

    Args:
        features: (points, size).
        targets: (points,) indices below ``labels``.
        penalty: weight of half the squared weights, against the summed losses.
    """
    import torch

    inputs, goals = torch.from_numpy(features), torch.from_numpy(targets)
    weights = torch.zeros(inputs.shape[1], labels, requires_grad=True)
    bias = torch.zeros(labels, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(inputs @ weights + bias, goals, reduction="sum")
        loss = loss + penalty / 2 * weights.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return Network(((weights.detach().numpy().copy(), bias.detach().numpy().copy()),))


def softmax(logits: Floats) -> npt.NDArray[np.float64]:
    """Over the last axis."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(-1, keepdims=True))


def sigmoid(logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Elementwise."""
    return np.asarray(1.0 / (1.0 + np.exp(-logits.astype(np.float64))))


def temperature(logits: Floats, targets: Ints) -> float:
    """The T for which softmax(logits / T) has the least negative log-likelihood (Guo et al. 2017); 1.0 below 20 points.

    Args:
        logits: (points, labels), or (points,) for a yes-or-no target.
    """
    if len(targets) < 20:
        return 1.0
    if logits.ndim == 1:
        logits = np.stack([np.zeros_like(logits), logits], axis=1)
    grid = np.exp(np.linspace(math.log(0.25), math.log(4.0), 120))
    losses = []
    for t in grid:
        probabilities = softmax(logits / np.float32(t))
        losses.append(-np.log(probabilities[np.arange(len(targets)), targets] + 1e-12).mean())
    return float(grid[int(np.argmin(losses))])
