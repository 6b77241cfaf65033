"""Policies as the simulator sees them: moments in, probabilities of the 12 strategies and of listening out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from kefu.simulation.estimates import Estimates
from kefu.strategy import History, Rules, StrategyModel
from kefu.strategy.rules import LABELS, Moment

Floats = npt.NDArray[np.float64]
Corrector = Callable[[Sequence[Moment]], Floats]  # (moments, 12) to be added to the logits, before the rules


class Offer(NamedTuple):
    """``strategies`` (moments, 12), each row summing to 1; ``listen`` (moments,), 0 where a reply is owed."""

    strategies: Floats
    listen: Floats


class Policy(Protocol):
    """Says what it would do at many moments at once. ``drawn``: by chance, else the likeliest, as when serving."""

    @property
    def drawn(self) -> bool: ...

    def __call__(self, moments: Sequence[Moment]) -> Offer: ...


@dataclass(frozen=True)
class Always:
    """The same strategy whatever happens, one reply a turn."""

    strategy: str
    drawn: bool = False

    def __call__(self, moments: Sequence[Moment]) -> Offer:
        row = np.eye(len(LABELS))[LABELS.index(self.strategy)]
        return Offer(np.tile(row, (len(moments), 1)), np.ones(len(moments)))


@dataclass(frozen=True)
class Each:
    """A policy of any callable from a history to (12,) probabilities; one reply a turn."""

    choose: Callable[[History], Floats]
    drawn: bool = False

    def __call__(self, moments: Sequence[Moment]) -> Offer:
        return Offer(np.stack([self.choose(m.history) for m in moments]), np.ones(len(moments)))


@dataclass(frozen=True)
class Prior:
    """How often agents use each strategy first and second in a turn, whatever the customer says, under the rules."""

    estimates: Estimates
    rules: Rules
    drawn: bool = True

    def __call__(self, moments: Sequence[Moment]) -> Offer:
        logits = np.log([self.estimates.later if m.history.block else self.estimates.first for m in moments])
        last = [m.history.block[-1].strategy if m.history.block else None for m in moments]
        listen = np.array([self.estimates.stops_after[LABELS.index(s)] if s else 0.0 for s in last])
        return _ruled(self.rules, logits, listen, moments)


@dataclass(frozen=True)
class Learned:
    """The trained networks, ``correct`` added to their logits, then the model's rules."""

    model: StrategyModel
    correct: Corrector | None = None
    drawn: bool = False

    def __call__(self, moments: Sequence[Moment]) -> Offer:
        logits, listen = self.model.logits([m.history for m in moments])
        if self.correct is not None:
            logits = logits + self.correct(moments)
        return _ruled(self.model.rules, logits, listen, moments)


@dataclass(frozen=True)
class Exploring:
    """With the chance ``share`` draws from the policy's probabilities, flattened, else takes its best.

    What a rule forbids has no probability and stays unexplored.
    """

    policy: Policy
    share: float = 0.4
    flatness: float = 2.0
    drawn: bool = True

    def __call__(self, moments: Sequence[Moment]) -> Offer:
        offer = self.policy(moments)
        flat = offer.strategies ** (1.0 / self.flatness)
        flat /= flat.sum(1, keepdims=True)
        best = np.eye(len(LABELS))[offer.strategies.argmax(1)]
        return Offer((1.0 - self.share) * best + self.share * flat, offer.listen)


def _ruled(rules: Rules, logits: Floats, listen: Floats, moments: Sequence[Moment]) -> Offer:
    ruled = [rules.apply(row, moment) for row, moment in zip(logits, moments)]
    owes = np.array([bool(r.owed) for r in ruled])
    return Offer(np.stack([r.probabilities for r in ruled]), np.where(owes, 0.0, listen))
