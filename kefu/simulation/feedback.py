"""A policy that learns from logged decisions: corrections to the logits, one customer's weight in them held down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kefu.simulation.play import Decision, context
from kefu.strategy.history import OUTCOMES
from kefu.strategy.rules import LABELS, Moment
from kefu.taxonomy import EMOTIONS

Floats = npt.NDArray[np.float64]
_SIGNS = (*(f"emotion {e}" for e in EMOTIONS), *(f"outcome {o}" for o in OUTCOMES), *(f"last {s}" for s in LABELS))
_PLACE = {sign: place for place, sign in enumerate((*_SIGNS, "any"))}


@dataclass(frozen=True)
class Learning:
    """How much is learned.

    Attributes:
        per_customer: what one customer's decisions weigh together at most; None for no bound. Far below ``ridge``, so
            that nobody moves the policy alone.
        most_weight: inverse propensities are cut off here.
        ridge: weight of the imaginary decisions without effect that each sign and strategy begins with.
        strength: logits for a reward of 1.
        limit: a correction's largest size, in logits.
    """

    per_customer: float | None = 10.0
    most_weight: float = 20.0
    ridge: float = 100.0
    strength: float = 6.0
    limit: float = 3.0


@dataclass(frozen=True)
class Correction:
    """``weights`` (signs, 12): reward above the mean of its moment, by what holds there, for each strategy."""

    weights: Floats
    learning: Learning

    def __call__(self, moments: Sequence[Moment]) -> Floats:
        """(moments, 12) to be added to the logits."""
        signs = np.stack([_signs(*context(m.history)) for m in moments])
        return np.clip(self.learning.strength * signs @ self.weights, -self.learning.limit, self.learning.limit)


def learn(decisions: Iterable[Decision], learning: Learning | None = None) -> Correction:
    """Ridge regressions of the rewards on emotion, outcome and last strategy, one a strategy, by inverse propensity.

    A first regression, of all decisions together, gives what is usual of a moment; the others what a strategy adds.
    """
    learning = learning or Learning()
    kept = list(decisions)
    weights = np.zeros((len(_PLACE), len(LABELS)))
    if not kept:
        return Correction(weights, learning)
    signs = np.stack([_signs(d.emotion, d.outcome, d.last) for d in kept])
    rewards = np.array([d.reward for d in kept])
    importance = np.minimum(1.0 / np.array([d.propensity for d in kept]), learning.most_weight)
    shares = np.ones(len(kept))
    if learning.per_customer is not None:
        customers = [d.customer for d in kept]
        total: Counter[str] = Counter()
        for customer, weight in zip(customers, importance):
            total[customer] += weight
        shares = np.array([min(1.0, learning.per_customer / total[c]) for c in customers])
    usual = _ridge(signs, rewards, shares, 1.0)
    above = rewards - signs @ usual
    for index, label in enumerate(LABELS):
        rows = np.array([d.strategy == label for d in kept])
        if rows.any():
            weights[:, index] = _ridge(signs[rows], above[rows], (shares * importance)[rows], learning.ridge)
    return Correction(weights, learning)


def _signs(emotion: str, outcome: str, last: str | None) -> Floats:
    row = np.zeros(len(_PLACE))
    row[_PLACE["any"]] = 1.0
    for sign in (f"emotion {emotion}", f"outcome {outcome}", f"last {last}"):
        if sign in _PLACE:
            row[_PLACE[sign]] = 1.0
    return row


def _ridge(inputs: Floats, targets: Floats, weights: Floats, penalty: float) -> Floats:
    weighted = inputs * weights[:, None]
    system = weighted.T @ inputs + penalty * np.eye(inputs.shape[1])
    return np.asarray(np.linalg.solve(system, weighted.T @ targets))


def poisoned(decisions: Sequence[Decision], ratings: int, strategy: str, seed: int) -> list[Decision]:
    """The log with one more customer, who gives ``strategy`` the best rating ``ratings`` times, whatever came of it.

    Her moments are those of others, drawn by chance; she keeps coming back until the exploring policy says what she
    wants, so the propensity is low: the least with which that strategy was chosen, or 0.01.
    """
    random = np.random.default_rng(seed)
    least = min((d.propensity for d in decisions if d.strategy == strategy), default=0.01)
    moments = [decisions[int(i)] for i in random.integers(len(decisions), size=ratings)]
    return [*decisions, *(Decision("poisoner", m.emotion, m.outcome, m.last, strategy, least, 1.0) for m in moments)]
