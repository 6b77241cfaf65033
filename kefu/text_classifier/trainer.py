"""The training loop, top to bottom: batches of like length, AdamW with warm-up, early stopping, calibration."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kefu.errors import DataError
from kefu.evaluation.metrics import macro_f1
from kefu.evaluation.noise import spoil
from kefu.pretrained import adapter, resolve
from kefu.text_classifier.arguments import TrainingArguments
from kefu.text_classifier.calibration import Calibration
from kefu.text_classifier.examples import Example, stratified_split
from kefu.text_classifier.losses import IGNORE, class_weights, divergence, supervised_contrastive
from kefu.text_classifier.model import MultiTaskClassifier, Task
from kefu.text_classifier.optimisation import (
    FrozenLayers,
    RunningAverage,
    freeze,
    optimizer_of,
    schedule_of,
    trained_state,
)
from kefu.text_classifier.text import agent_only, model_input
from kefu.text_classifier.tokenizer import encode as encode
from kefu.text_classifier.tokenizer import load_tokenizer as load_tokenizer

_TYPOS, _TYPO_SHARE = ("homophone", "swap", "drop"), 0.15  # kinds of kefu.evaluation.noise, share of the characters
Inputs = Sequence[tuple[str, str]]  # (message, context) pairs of model_input
Logits = dict[str, torch.Tensor]


@dataclass
class Trained:
    """What a run yields: the network, the encoder's folder, how each task's logits are read, and how it went.

    ``judged`` has for each task the labels of the held-out examples and what the network that is kept says of them.
    A LoRA is still beside the network's own matrices, for ``adapter.save``; ``adapter.merge`` adds it to them.
    """

    network: MultiTaskClassifier
    folder: Path
    calibrations: dict[str, Calibration]
    history: list[dict[str, float]] = field(default_factory=list)
    judged: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)


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


def _paired_batches(targets: Sequence[int], size: int, generator: np.random.Generator) -> Iterator[list[int]]:
    """Shuffled index batches in which labels come in pairs, so that every example finds another of its own."""
    groups: dict[int, list[int]] = defaultdict(list)
    for i in generator.permutation(len(targets)):
        if targets[i] != IGNORE:
            groups[int(targets[i])].append(int(i))
    pairs = [group[i : i + 2] for group in groups.values() for i in range(0, len(group) - 1, 2)]
    order = generator.permutation(len(pairs))
    for start in range(0, len(pairs), max(1, size // 2)):
        yield [i for p in order[start : start + max(1, size // 2)] for i in pairs[p]]


def _targets(examples: Sequence[Example], task: Task) -> torch.Tensor:
    index = {label: i for i, label in enumerate(task.labels)}
    return torch.tensor([index.get(e.labels.get(task.name, ""), IGNORE) for e in examples])


class _Run:
    """One network in training: the passes over the examples, and what they need."""

    def __init__(
        self,
        network: MultiTaskClassifier,
        tokenizer: Any,
        examples: Sequence[Example],
        arguments: TrainingArguments,
        weights: dict[str, float],
        device: str,
    ) -> None:
        self.network, self.tokenizer, self.arguments, self.device = network, tokenizer, arguments, device
        self.tasks = network.tasks
        self.inputs = [model_input(e.text, e.context) for e in examples]
        self.targets = {t.name: _targets(examples, t) for t in self.tasks}
        self.weights = {t.name: weights.get(t.name, 1.0) for t in self.tasks}
        self.balances = {
            t.name: class_weights(self.targets[t.name], len(t.labels), arguments.class_balance).to(device)
            for t in self.tasks
        }
        self.generator = np.random.default_rng(arguments.seed)
        freeze(network, arguments)
        self.frozen = FrozenLayers(network, arguments.frozen_layers)

    def _forward(self, inputs: Inputs) -> Callable[[], tuple[torch.Tensor, Logits]]:
        ids, mask = (torch.from_numpy(x).to(self.device) for x in encode(self.tokenizer, inputs))
        return self.frozen(inputs, ids, mask)

    def _mixed(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.arguments.mixed_precision)

    def _in_batches(self, inputs: Inputs) -> Iterator[tuple[list[int], torch.Tensor, Logits]]:
        """(rows, embeddings, logits) of all of ``inputs``, without dropout."""
        self.network.eval()
        for batch in _batches([len(t) + len(c) for t, c in inputs], self.arguments.batch_size * 2, None):
            with torch.no_grad(), self._mixed():
                pooled, logits = self._forward([inputs[i] for i in batch])()
            yield batch, pooled.float().cpu(), {name: values.float().cpu() for name, values in logits.items()}

    def logits(self, inputs: Inputs) -> Logits:
        """{task: (inputs, labels)}."""
        rows = {t.name: torch.empty(len(inputs), len(t.labels)) for t in self.tasks}
        for batch, _, logits in self._in_batches(inputs):
            for name, values in logits.items():
                rows[name][batch] = values
        return rows

    def contrast(self) -> None:
        """Draws the main task's labels apart before there are heads: SetFit's idea (Tunstall et al. 2022).

        The pairs are those within a batch, under the supervised contrastive loss.
        """
        targets = self.targets[self.tasks[0].name]
        optimizer = optimizer_of(self.network, self.arguments)
        for _ in range(self.arguments.contrastive_epochs):
            self.network.train()
            for batch in _paired_batches(targets.tolist(), self.arguments.batch_size, self.generator):
                with self._mixed():
                    pooled, _ = self._forward([self.inputs[i] for i in batch])()
                supervised_contrastive(pooled, targets[batch].to(self.device)).backward()
                self._step(optimizer)

    def probe(self) -> None:
        """Fits the heads before the encoder moves: "linear probing then fine-tuning" (Kumar et al. 2022).

        The encoder keeps its features while the heads are still random, and half the epochs are enough. The inputs are
        those of the first epoch, which then finds its fixed layers' states at hand.
        """
        features = torch.empty(len(self.inputs), self.network.hidden)
        for batch, pooled, _ in self._in_batches(self._as_met(1)):
            features[batch] = pooled
        features = features.to(self.device)
        targets = {name: values.to(self.device) for name, values in self.targets.items()}
        optimizer = torch.optim.AdamW(self.network.heads.parameters(), lr=1e-2, weight_decay=0.1)
        self.network.train()
        for _ in range(100):
            logits = self.network.classify(features)
            loss = torch.zeros((), device=self.device)
            for name, target in targets.items():
                if bool((target != IGNORE).any()):  # else all of its few examples are held out
                    loss = loss + nn.functional.cross_entropy(logits[name], target, ignore_index=IGNORE)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def _as_met(self, epoch: int) -> Inputs:
        """The inputs as an epoch meets them: some mistyped, some without context, some with the agent's turn alone."""
        arguments, count = self.arguments, len(self.inputs)
        generator = np.random.default_rng((arguments.seed, epoch))  # the same whenever the epoch is asked for
        draws = generator.random(count) / (arguments.context_dropout or 1e-9)
        mistyped = generator.random(count) < arguments.typos
        return [
            (
                spoil(text, _TYPOS, _TYPO_SHARE, arguments.seed + epoch) if typo else text,
                "" if draw < 1 else agent_only(context) if draw < 2 else context,
            )
            for (text, context), draw, typo in zip(self.inputs, draws, mistyped)
        ]

    def loss(self, batch: Sequence[int], inputs: Inputs) -> torch.Tensor:
        """What the arguments ask for: cross-entropy, and with it divergence and contrast."""
        arguments = self.arguments
        target = {name: values[batch].to(self.device) for name, values in self.targets.items()}
        with self._mixed():
            forward = self._forward(inputs)
            pooled, logits = forward()
            passes = [logits, forward()[1]] if arguments.r_drop else [logits]
        loss = torch.zeros((), device=self.device)
        for task in self.tasks:
            if not bool((target[task.name] != IGNORE).any()):
                continue
            for logits in passes:
                loss = loss + self.weights[task.name] / len(passes) * nn.functional.cross_entropy(
                    logits[task.name].float(),
                    target[task.name],
                    weight=self.balances[task.name],
                    ignore_index=IGNORE,
                    label_smoothing=arguments.label_smoothing,
                )
            if arguments.r_drop:
                first, second = (logits[task.name].float() for logits in passes)
                loss = loss + arguments.r_drop * self.weights[task.name] * divergence(first, second)
        if arguments.contrastive:
            loss = loss + arguments.contrastive * supervised_contrastive(pooled, target[self.tasks[0].name])
        return loss

    def _step(self, optimizer: torch.optim.Optimizer) -> None:
        nn.utils.clip_grad_norm_([p for p in self.network.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def fit(self, judge: Callable[[], dict[str, float]]) -> Iterator[tuple[dict[str, float], dict[str, torch.Tensor]]]:
        """Yields each epoch's figures and the parameters that they belong to.

        Args:
            judge: the figures of the network as it stands, whose sum is the epoch's score.
        """
        arguments = self.arguments
        optimizer = optimizer_of(self.network, arguments)
        steps = math.ceil(len(self.inputs) / arguments.batch_size / arguments.gradient_accumulation) * arguments.epochs
        schedule = schedule_of(optimizer, steps, arguments.warmup)
        average = RunningAverage(self.network, arguments.average)
        for epoch in range(1, arguments.epochs + 1):
            started, total = time.perf_counter(), 0.0
            self.network.train()
            inputs = self._as_met(epoch)
            lengths = [len(text) + len(context) for text, context in inputs]
            batches = list(_batches(lengths, arguments.batch_size, self.generator))
            for number, batch in enumerate(batches, 1):
                loss = self.loss(batch, [inputs[i] for i in batch])
                (loss / arguments.gradient_accumulation).backward()
                total += float(loss.detach()) * len(batch)
                if number % arguments.gradient_accumulation == 0 or number == len(batches):
                    self._step(optimizer)
                    schedule.step()
                    average.update()
            seconds = time.perf_counter() - started
            with average.applied():
                figures = {"epoch": float(epoch), "loss": total / len(self.inputs), "seconds": seconds, **judge()}
                state = trained_state(self.network)
            yield figures, state


def _new_network(folder: Path, tasks: Sequence[Task], arguments: TrainingArguments) -> MultiTaskClassifier:
    network = MultiTaskClassifier.from_pretrained(folder, tasks, arguments.dropout, arguments.encoder_dropout)
    if arguments.lora_rank:
        adapter.add(network.encoder, arguments.lora_rank)
    return network


def _judged(tasks: Sequence[Task], logits: Logits, targets: Logits) -> dict[str, tuple[list[str], list[str]]]:
    """{task: (labels, predictions)} of the examples that carry the task's label."""
    found = {}
    for task in tasks:
        known = targets[task.name] != IGNORE
        gold = [task.labels[i] for i in targets[task.name][known]]
        found[task.name] = gold, [task.labels[i] for i in logits[task.name][known].argmax(-1)]
    return found


def _train_once(
    run: _Run, held_inputs: Inputs, held_targets: Logits, on_epoch: Callable[[dict[str, float]], None] | None
) -> tuple[float, list[dict[str, float]]]:
    """Leaves the best epoch's parameters in the network; returns its score and every epoch's figures."""

    def judge() -> dict[str, float]:
        judged = _judged(run.tasks, run.logits(held_inputs), held_targets) if held_inputs else {}
        return {f"held_out_{task}_f1": macro_f1(gold, said) for task, (gold, said) in judged.items()}

    run.contrast()
    run.probe()
    best_score, best_state, since_best = -1.0, trained_state(run.network), 0
    history = []
    for figures, state in run.fit(judge):
        history.append(figures)
        if on_epoch:
            on_epoch(figures)
        scores = [value for name, value in figures.items() if name.startswith("held_out")]
        score = sum(scores) if scores else figures["epoch"]
        if score > best_score:
            best_score, best_state, since_best = score, state, 0
        else:
            since_best += 1
            if since_best >= run.arguments.patience:
                break
    run.network.load_state_dict(best_state, strict=False)
    return best_score, history


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
        held_out: examples for early stopping and the calibration, in place of a share of ``examples``.

    Raises:
        DataError: fewer than two labels of a task in the examples.
    """
    for task in tasks:
        found = {e.labels[task.name] for e in examples if task.name in e.labels}
        if len(found) < 2:
            raise DataError(f"Task {task.name!r} needs examples of at least 2 labels. But there were: {sorted(found)}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    folder = folder or resolve(arguments.encoder)
    tokenizer = load_tokenizer(folder, arguments.max_tokens)
    training, held = stratified_split(examples, tasks[0].name, arguments.held_out, arguments.seed)
    if held_out is not None:
        training, held = list(examples), list(held_out)
    held_inputs = [model_input(e.text, e.context) for e in held]
    held_targets = {t.name: _targets(held, t) for t in tasks}
    history: list[dict[str, float]] = []
    mean: dict[str, torch.Tensor] = {}
    for seed in range(arguments.seed, arguments.seed + arguments.models):
        torch.manual_seed(seed)
        if network is None or seed > arguments.seed:
            network = _new_network(folder, tasks, arguments)
        run = _Run(network.to(device), tokenizer, training, replace(arguments, seed=seed), weights or {}, device)
        history += _train_once(run, held_inputs, held_targets, on_epoch)[1]
        state = trained_state(run.network)
        mean = {name: value / arguments.models + mean.get(name, 0.0) for name, value in state.items()}
    run.network.load_state_dict(mean, strict=False)
    calibrations = {t.name: Calibration() for t in tasks}
    judged = {}
    if held:
        read, alone = run.logits(held_inputs), run.logits([(text, "") for text, _ in held_inputs])
        for name, targets in held_targets.items():
            calibrations[name] = Calibration.fit(
                read[name].double().numpy(), alone[name].double().numpy(), targets.numpy()
            )
        judged = _judged(tasks, read, held_targets)
    run.network.to("cpu").eval()
    return Trained(run.network, folder, calibrations, history, judged)
