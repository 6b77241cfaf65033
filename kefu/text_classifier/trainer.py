"""The training loop, top to bottom: batches of like length, AdamW with warm-up, early stopping, temperatures.

Temperature scaling follows Guo et al. 2017, "On Calibration of Modern Neural Networks".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kefu.errors import DataError
from kefu.evaluation.metrics import macro_f1
from kefu.pretrained import resolve
from kefu.text_classifier.arguments import TrainingArguments
from kefu.text_classifier.examples import Example, stratified_split
from kefu.text_classifier.model import MultiTaskClassifier, Task
from kefu.text_classifier.text import model_input
from kefu.text_classifier.tokenizer import encode as encode
from kefu.text_classifier.tokenizer import load_tokenizer as load_tokenizer

_IGNORE = -100  # the label of an example that a task does not label


@dataclass
class Trained:
    """What a run yields: the network, the encoder's folder, a temperature for each task, and how it went."""

    network: MultiTaskClassifier
    folder: Path
    temperatures: dict[str, float]
    history: list[dict[str, float]] = field(default_factory=list)


def _batches(lengths: Sequence[int], size: int, generator: np.random.Generator | None) -> Iterator[list[int]]:
    """Index batches of like length; shuffled within pools of 50 batches when a generator is given."""
    order = np.arange(len(lengths)) if generator is None else generator.permutation(len(lengths))
    pool = size * 50
    batches: list[list[int]] = []
    for start in range(0, len(order), pool):
        chunk = sorted(order[start : start + pool], key=lambda i: lengths[i])
        batches += [[int(i) for i in chunk[j : j + size]] for j in range(0, len(chunk), size)]
    if generator is not None:
        generator.shuffle(batches)
    yield from batches


def _targets(examples: Sequence[Example], task: Task) -> torch.Tensor:
    index = {label: i for i, label in enumerate(task.labels)}
    return torch.tensor([index.get(e.labels.get(task.name, ""), _IGNORE) for e in examples])


def _logits(
    network: MultiTaskClassifier, tokenizer: Any, inputs: Sequence[tuple[str, str]], batch_size: int, device: str
) -> dict[str, torch.Tensor]:
    """{task: (examples, labels)} in the order of ``inputs``."""
    network.eval()
    rows: dict[str, list[torch.Tensor]] = {t.name: [torch.empty(0)] * len(inputs) for t in network.tasks}
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        for batch in _batches([len(t) + len(c) for t, c in inputs], batch_size * 2, None):
            ids, mask = encode(tokenizer, [inputs[i] for i in batch])
            _, logits = network(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))
            for name, values in logits.items():
                for i, row in zip(batch, values.float().cpu()):
                    rows[name][i] = row
    return {name: torch.stack(values) for name, values in rows.items()}


def fit_temperature(logits: torch.Tensor, targets: torch.Tensor) -> float:
    """The T > 0 for which softmax(logits / T) has the least negative log-likelihood; 1.0 for fewer than 20 examples."""
    known = targets != _IGNORE
    if int(known.sum()) < 20:
        return 1.0
    logits, targets = logits[known].double(), targets[known]
    grid = np.exp(np.linspace(math.log(0.2), math.log(5.0), 200))
    losses = [float(nn.functional.cross_entropy(logits / t, targets)) for t in grid]
    return float(grid[int(np.argmin(losses))])


def _optimizer(network: MultiTaskClassifier, arguments: TrainingArguments) -> torch.optim.AdamW:
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    frozen = tuple(f".layer.{i}." for i in range(arguments.frozen_layers))
    below = "embeddings" if frozen else "word_embeddings"
    for name, parameter in network.named_parameters():
        if any(layer in name for layer in frozen) or (not arguments.train_embeddings and below in name):
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            groups.setdefault((name.startswith("heads."), parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": arguments.head_learning_rate if head else arguments.learning_rate,
                "weight_decay": arguments.weight_decay if matrix else 0.0,
            }
            for (head, matrix), parameters in groups.items()
        ]
    )


def _probe_heads(
    network: MultiTaskClassifier,
    tokenizer: Any,
    inputs: Sequence[tuple[str, str]],
    targets: dict[str, torch.Tensor],
    arguments: TrainingArguments,
    device: str,
) -> None:
    """Fits the heads to the untouched encoder before it moves: "linear probing then fine-tuning" (Kumar et al. 2022).

    The encoder keeps its features while the heads are still random, and half the epochs are enough.
    """
    features = torch.empty(len(inputs), network.hidden)
    network.eval()
    with torch.no_grad(), torch.autocast(device, torch.bfloat16):
        for batch in _batches([len(t) + len(c) for t, c in inputs], arguments.batch_size * 2, None):
            ids, mask = encode(tokenizer, [inputs[i] for i in batch])
            features[batch] = (
                network(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))[0].float().cpu()
            )
    features = features.to(device)
    known = {task.name: torch.nonzero(targets[task.name] != _IGNORE).squeeze(-1) for task in network.tasks}
    optimizer = torch.optim.AdamW(network.heads.parameters(), lr=1e-2, weight_decay=0.1)
    network.train()
    for _ in range(100):
        logits = network.classify(features)
        loss = torch.zeros((), device=device)
        for task in network.tasks:
            rows = known[task.name].to(device)
            if not len(rows):  # all of its few examples are held out
                continue
            loss = loss + nn.functional.cross_entropy(logits[task.name][rows], targets[task.name].to(device)[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _copy_of(network: MultiTaskClassifier) -> dict[str, torch.Tensor]:
    """The parameters that training moves."""
    return {name: p.detach().clone() for name, p in network.named_parameters() if p.requires_grad}


def train(
    examples: Sequence[Example],
    tasks: Sequence[Task],
    arguments: TrainingArguments,
    weights: dict[str, float] | None = None,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    network: MultiTaskClassifier | None = None,
    folder: Path | None = None,
    held_out: Sequence[Example] | None = None,
) -> Trained:
    """Fine-tunes an encoder on ``examples``.

    Args:
        tasks: the first is the main one, by which the split is stratified; its labels' order is the heads' order.
        weights: share of each task in the loss, 1.0 where not named.
        on_epoch: told the figures of each epoch.
        network, folder: a network and its tokenizer's folder in place of ``arguments.encoder`` (tests use tiny ones).
        held_out: examples for early stopping and the temperatures, in place of a share of ``examples``.

    Raises:
        DataError: fewer than two labels of a task in the examples.
    """
    for task in tasks:
        found = {e.labels[task.name] for e in examples if task.name in e.labels}
        if len(found) < 2:
            raise DataError(f"Task {task.name!r} needs examples of at least 2 labels. But there were: {sorted(found)}")
    torch.manual_seed(arguments.seed)
    generator = np.random.default_rng(arguments.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = folder or resolve(arguments.encoder)
    network = (network or MultiTaskClassifier.from_pretrained(folder, tasks, arguments.dropout)).to(device)
    tokenizer = load_tokenizer(folder, arguments.max_tokens)
    training, held = stratified_split(examples, tasks[0].name, arguments.held_out, arguments.seed)
    if held_out is not None:
        training, held = list(examples), list(held_out)
    with_context = [model_input(e.text, e.context) for e in training]
    held_inputs = [model_input(e.text, e.context) for e in held]
    targets = {t.name: _targets(training, t) for t in tasks}
    held_targets = {t.name: _targets(held, t) for t in tasks}
    _probe_heads(network, tokenizer, with_context, targets, arguments, device)
    optimizer = _optimizer(network, arguments)
    steps = math.ceil(len(training) / arguments.batch_size) * arguments.epochs
    rise = max(1, int(steps * arguments.warmup))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / rise, max(0.0, (steps - s) / max(1, steps - rise)))
    )
    best_score, best_state, since_best = -1.0, _copy_of(network), 0
    history: list[dict[str, float]] = []
    for epoch in range(1, arguments.epochs + 1):
        started, total = time.perf_counter(), 0.0
        network.train()
        hidden = generator.random(len(training)) < arguments.context_dropout
        inputs = [(t, "" if h else c) for (t, c), h in zip(with_context, hidden)]
        for batch in _batches([len(t) + len(c) for t, c in inputs], arguments.batch_size, generator):
            ids, mask = encode(tokenizer, [inputs[i] for i in batch])
            with torch.autocast(device, torch.bfloat16):
                _, logits = network(torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))
            loss = torch.zeros((), device=device)
            for task in tasks:
                target = targets[task.name][batch].to(device)
                if bool((target != _IGNORE).any()):
                    loss = loss + (weights or {}).get(task.name, 1.0) * nn.functional.cross_entropy(
                        logits[task.name].float(),
                        target,
                        ignore_index=_IGNORE,
                        label_smoothing=arguments.label_smoothing,
                    )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_([p for p in network.parameters() if p.requires_grad], 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(batch)
        figures = {"epoch": float(epoch), "loss": total / len(training), "seconds": time.perf_counter() - started}
        scores = []
        if held:
            held_logits = _logits(network, tokenizer, held_inputs, arguments.batch_size, device)
            for task in tasks:
                known = held_targets[task.name] != _IGNORE
                gold = [task.labels[i] for i in held_targets[task.name][known]]
                predicted = [task.labels[i] for i in held_logits[task.name][known].argmax(-1)]
                figures[f"held_out_{task.name}_f1"] = macro_f1(gold, predicted) if gold else 0.0
                scores.append(figures[f"held_out_{task.name}_f1"])
        history.append(figures)
        if on_epoch:
            on_epoch(figures)
        score = sum(scores) if held else float(epoch)
        if score > best_score:
            best_score, best_state, since_best = score, _copy_of(network), 0
        else:
            since_best += 1
            if since_best >= arguments.patience:
                break
    network.load_state_dict(best_state, strict=False)
    temperatures = {t.name: 1.0 for t in tasks}
    if held:
        held_logits = _logits(network, tokenizer, held_inputs, arguments.batch_size, device)
        temperatures = {t.name: fit_temperature(held_logits[t.name], held_targets[t.name]) for t in tasks}
    network.to("cpu").eval()
    return Trained(network, folder, temperatures, history)
