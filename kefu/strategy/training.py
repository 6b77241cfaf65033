"""Trains the strategy model: infer strategies from texts, blur, fit, calibrate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kefu.dialogues import Dialogue
from kefu.errors import DataError
from kefu.strategy.arguments import TrainingArguments
from kefu.strategy.encoder import Encoder
from kefu.strategy.examples import Confuser, Point, blurred, messages_of, points_of
from kefu.strategy.features import Featurizer
from kefu.strategy.history import AGENT
from kefu.strategy.network import UNKNOWN, Floats, Ints, Network, mean_logits, temperature, train_network
from kefu.strategy.reader import LABELS, Reader, train_reader

_READING_FOLDS = 3  # of the agent's texts, for the strategies that are read off them


@dataclass(frozen=True)
class Trained:
    """What a training yields; StrategyModel wraps it."""

    featurizer: Featurizer
    members: tuple[Network, ...]
    reader: Reader
    temperatures: dict[str, float]
    arguments: TrainingArguments
    seconds: float = 0.0


def folds_of(dialogues: Sequence[Dialogue], folds: int, seed: int) -> list[int]:
    """A fold for each dialogue, of like sizes."""
    order = np.random.default_rng(seed).permutation(len(dialogues))
    fold = np.empty(len(dialogues), dtype=int)
    fold[order] = np.arange(len(dialogues)) % folds
    return [int(f) for f in fold]


def agent_texts(dialogues: Sequence[Dialogue]) -> tuple[list[str], Ints]:
    """The agent's texts with the indices of their strategies."""
    said = [m for d in dialogues for m in messages_of(d) if m.speaker == AGENT]
    return [m.text for m in said], np.array([LABELS.index(str(m.strategy)) for m in said], dtype=np.int64)


def _read_out_of_fold(
    encoder: Encoder, dialogues: Sequence[Dialogue], folds: int, seed: int
) -> dict[str, dict[str, float]]:
    """Strategies of the training texts as a classifier that has not seen them reads them."""
    read: dict[str, dict[str, float]] = {}
    folds = min(folds, _READING_FOLDS)
    fold = folds_of(dialogues, folds, seed)
    for k in range(folds):
        inside = [d for d, f in zip(dialogues, fold) if f != k]
        outside = [d for d, f in zip(dialogues, fold) if f == k]
        if inside and outside:
            read |= train_reader(encoder, *agent_texts(inside))(agent_texts(outside)[0])
    return read


@dataclass(frozen=True)
class Table:
    """Blurred points as arrays, one row each; ``dialogue`` is the index of the dialogue a row is from."""

    features: Floats
    strategies: Ints
    listens: Ints
    dialogue: Ints

    def rows(self, keep: Sequence[bool] | np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Table:
        """The rows where ``keep`` is true."""
        mask = np.asarray(keep)
        return Table(self.features[mask], self.strategies[mask], self.listens[mask], self.dialogue[mask])


def table_of(featurizer: Featurizer, points: Sequence[tuple[int, Point]], without: Sequence[str]) -> Table:
    """Featurizes (dialogue index, point) pairs; blocks whose names begin like one of ``without`` are blank."""
    features = np.stack([featurizer(p.history) for _, p in points])
    blank(features, featurizer, without)
    strategies = np.array(
        [UNKNOWN if p.strategy is None else LABELS.index(p.strategy) for _, p in points], dtype=np.int64
    )
    listens = np.array([UNKNOWN if p.listen is None else int(p.listen) for _, p in points], dtype=np.int64)
    return Table(features, strategies, listens, np.array([i for i, _ in points], dtype=np.int64))


def blank(features: Floats, featurizer: Featurizer, without: Sequence[str]) -> None:
    """Zeroes blocks in place."""
    for name, where in featurizer.layout.items():
        if any(name.startswith(w) for w in without):
            features[..., where] = 0.0


def train(
    dialogues: Sequence[Dialogue],
    encoder: Encoder,
    arguments: TrainingArguments,
    needs_order: frozenset[str] = frozenset(),
) -> Trained:
    """Trains on dialogues.

    Args:
        needs_order: intents whose business action asks for an order.

    Raises:
        DataError: fewer dialogues than folds.
    """
    started = time.perf_counter()
    if len(dialogues) < arguments.folds:
        raise DataError(
            f"The strategy model needs at least {arguments.folds} dialogues. But there were: {len(dialogues)}"
        )
    texts = [m.text for d in dialogues for m in messages_of(d)]
    featurizer = Featurizer.fit(encoder, texts, arguments.components)
    table = _blurred_table(dialogues, featurizer, arguments, needs_order)
    temperatures = _temperatures(table, dialogues, arguments)
    members = _ensemble(table, arguments)
    reader = train_reader(encoder, *agent_texts(dialogues))
    return Trained(featurizer, members, reader, temperatures, arguments, time.perf_counter() - started)


def _blurred_table(
    dialogues: Sequence[Dialogue], featurizer: Featurizer, arguments: TrainingArguments, needs_order: frozenset[str]
) -> Table:
    read = _read_out_of_fold(featurizer.encoder, dialogues, arguments.folds, arguments.seed)
    confuser, random = Confuser(featurizer.encoder), np.random.default_rng(arguments.seed)
    points = [points_of(d, needs_order) for d in dialogues]
    copies = [
        (i, point)
        for _ in range(arguments.copies)
        for i, some in enumerate(points)
        for point in blurred(some, read, confuser, arguments.noise, random)
    ]
    return table_of(featurizer, copies, arguments.without)


def _ensemble(table: Table, arguments: TrainingArguments) -> tuple[Network, ...]:
    seeds = range(arguments.seed, arguments.seed + arguments.members)
    return tuple(
        train_network(table.features, table.strategies, table.listens, len(LABELS), arguments, s) for s in seeds
    )


def _temperatures(table: Table, dialogues: Sequence[Dialogue], arguments: TrainingArguments) -> dict[str, float]:
    """Fitted on what networks say of the dialogues they have not seen."""
    fold = np.array(folds_of(dialogues, arguments.folds, arguments.seed))[table.dialogue]
    logits = np.zeros((len(fold), len(LABELS) + 1), np.float32)
    for k in range(arguments.folds):
        members = _ensemble(table.rows(fold != k), replace(arguments, members=1))
        logits[fold == k] = mean_logits(members, table.features[fold == k])
    due, begun = table.strategies != UNKNOWN, table.listens != UNKNOWN
    return {
        "strategy": temperature(logits[due, :-1], table.strategies[due]),
        "listen": temperature(logits[begun, -1], table.listens[begun]),
    }
