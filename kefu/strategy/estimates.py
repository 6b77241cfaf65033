"""What a policy would have earned, estimated from what another one did: off-policy evaluation of logged choices.

Two estimators: the self-normalised inverse propensity score (Swaminathan and Joachims 2015) and the doubly robust one
(Dudik, Langford and Li 2011) with a ridge model of the reward that never predicts for the customers it was fitted on.
Their intervals come from resampling customers, not choices (cluster bootstrap, Cameron, Gelbach and Miller 2008): one
customer's hundred ratings are one observation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kefu.errors import DataError

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Caps:
    """What keeps single choices and single customers from settling an estimate.

    Attributes:
        ratio: largest importance weight; a policy's probability over the propensity is cut there.
        choices: a customer's choices count as so many at most: with more, each counts for less.
        share: part of all importance weight that one customer may hold.
        alone: part of what is known of one strategy that one customer may have told, where it is learned from: of a
            strategy that she alone has tried nothing is learned.
    """

    ratio: float = 100.0
    choices: float = 5.0
    share: float = 0.05
    alone: float = 0.1


@dataclass(frozen=True)
class Logged:
    """Choices as arrays, one row each; K strategies.

    Attributes:
        features: (n, d), what the reward model sees.
        actions: (n,) indices of the strategies taken.
        propensities: (n,) how likely each was to be taken.
        among: (n, K) which could have been taken.
        rewards: (n,).
        customers: (n,) names.
    """

    features: Array
    actions: Indices
    propensities: Array
    among: Mask
    rewards: Array
    customers: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.actions)

    def rows(self, keep: Mask) -> Logged:
        """Those where ``keep`` is true."""
        return Logged(**{name: value[keep] for name, value in vars(self).items()})

    @property
    def clusters(self) -> Indices:
        """(n,) a number for each row's customer."""
        return np.asarray(np.unique(self.customers, return_inverse=True)[1], dtype=np.int64)


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {name: round(value, 4) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Estimate:
    """What a policy is worth, by both estimators, as mean reward of a choice.

    Attributes:
        effective: effective sample size of the importance weights (Kish 1965), in choices.
        matched: share of the choices which the policy would have made too.
    """

    n: int
    customers: int
    snips: Interval
    dr: Interval
    effective: float
    matched: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **vars(self),
            "snips": self.snips.as_dict(),
            "dr": self.dr.as_dict(),
            "effective": round(self.effective, 1),
            "matched": round(self.matched, 4),
        }


def counts_of(logged: Logged, caps: Caps) -> Array:
    """(n,) how much each choice counts, at most 1: a customer's choices together at most ``caps.choices``."""
    clusters = logged.clusters
    return np.asarray(np.minimum(1.0, caps.choices / np.bincount(clusters)[clusters]))


def ratios(policy: Array, logged: Logged, counts: Array, caps: Caps) -> Array:
    """(n,) importance weights, cut at ``caps.ratio``, and a customer's scaled down to ``caps.share`` of all."""
    taken = policy[np.arange(len(logged)), logged.actions]
    weights = np.minimum(taken / logged.propensities, caps.ratio)
    clusters = logged.clusters
    held = np.bincount(clusters, weights * counts)
    limit = max(caps.share, 1.0 / max(len(held), 1)) * held.sum()
    scale = np.minimum(1.0, limit / np.maximum(held, 1e-12))
    return np.asarray(weights * scale[clusters])


def vouched(weights: Array, logged: Logged, alone: float) -> Array:
    """(n,) ``weights``, a customer's on a strategy scaled down to ``alone`` of all that others and she have on it."""
    if alone >= 1:
        return weights
    clusters = logged.clusters
    held = np.zeros((int(clusters.max(initial=-1)) + 1, logged.among.shape[1]))
    np.add.at(held, (clusters, logged.actions), weights)
    limit = alone / (1.0 - alone) * (held.sum(0) - held)
    scale = np.minimum(1.0, limit / np.maximum(held, 1e-12))
    return np.asarray(weights * scale[clusters, logged.actions])


class RewardModel:
    """A ridge on [x, strategy, x of the strategy]; ``predict`` gives (n, K) rewards."""

    def __init__(self, strategies: int, penalty: float = 10.0) -> None:
        self.strategies, self.penalty = strategies, penalty

    def fit(self, logged: Logged, counts: Array) -> RewardModel:
        """Learns the rewards of the choices taken."""
        from sklearn.linear_model import Ridge

        self._ridge = Ridge(alpha=self.penalty).fit(
            self._inputs(logged.features, logged.actions), logged.rewards, counts
        )
        return self

    def predict(self, features: Array) -> Array:
        """(n, K) expected rewards, -1 to 1."""
        columns = [
            self._ridge.predict(self._inputs(features, np.full(len(features), a))) for a in range(self.strategies)
        ]
        return np.asarray(np.clip(np.stack(columns, axis=1), -1.0, 1.0))

    def _inputs(self, features: Array, actions: Indices) -> Array:
        chosen = np.eye(self.strategies)[actions]
        crossed = (features[:, None, :] * chosen[:, :, None]).reshape(len(features), -1)
        return np.concatenate([features, chosen, crossed], axis=1)


def folds_of(logged: Logged, folds: int, seed: int = 7) -> Indices:
    """(n,) a fold for each choice; all of a customer's lie in one."""
    clusters = logged.clusters
    number = int(clusters.max(initial=-1)) + 1
    if number < folds:
        raise DataError(f"{folds} folds need as many customers. But there were: {number}")
    of_cluster = np.random.default_rng(seed).permutation(np.arange(number) % folds)
    return np.asarray(of_cluster[clusters], dtype=np.int64)


def predicted_rewards(logged: Logged, counts: Array, folds: int = 5) -> Array:
    """(n, K) rewards, each predicted by a model that has not seen its customer."""
    strategies = logged.among.shape[1]
    fold = folds_of(logged, folds)
    predicted = np.zeros((len(logged), strategies))
    for k in range(folds):
        inside = fold != k
        model = RewardModel(strategies).fit(logged.rows(inside), counts[inside])
        predicted[~inside] = model.predict(logged.features[~inside])
    return predicted


class Evaluation:
    """The estimates of policies on the same choices; a policy is (n, K) probabilities.

    Args:
        predicted: (n, K) from ``predicted_rewards``, which is the default.
    """

    def __init__(
        self, logged: Logged, caps: Caps | None = None, predicted: Array | None = None, draws: int = 1000, seed: int = 7
    ) -> None:
        self.logged, self.caps = logged, caps or Caps()
        self.counts = counts_of(logged, self.caps)
        self.predicted = predicted_rewards(logged, self.counts) if predicted is None else predicted
        self._clusters = logged.clusters
        number = int(self._clusters.max()) + 1
        random = np.random.default_rng(seed)
        # How often each customer is drawn: (draws, customers).
        self._drawn = random.multinomial(number, np.full(number, 1.0 / number), size=draws).astype(np.float64)

    def estimate(self, policy: Array) -> Estimate:
        """Both estimates of ``policy``."""
        weights = ratios(policy, self.logged, self.counts, self.caps)
        counted = weights * self.counts
        matched = policy[np.arange(len(self.logged)), self.logged.actions]
        return Estimate(
            len(self.logged),
            int(self._clusters.max()) + 1,
            self._interval(counted * self.logged.rewards, counted),
            self._interval(self.counts * self._robust(policy, weights), self.counts),
            float(counted.sum() ** 2 / max(float((counted**2).sum()), 1e-12)),
            float((matched * self.counts).sum() / self.counts.sum()),
        )

    def difference(self, policy: Array, other: Array) -> Interval:
        """What ``policy`` is worth more than ``other``, doubly robust; choices on which they agree add nothing."""
        gains = [self._robust(p, ratios(p, self.logged, self.counts, self.caps)) for p in (policy, other)]
        same = (policy == other).all(axis=1)  # the cap on customers may have weighted the same choice unlike
        gain = np.where(same, 0.0, gains[0] - gains[1])
        return self._interval(self.counts * gain, self.counts)

    def _robust(self, policy: Array, weights: Array) -> Array:
        rows = np.arange(len(self.logged))
        surprise = self.logged.rewards - self.predicted[rows, self.logged.actions]
        return np.asarray((policy * self.predicted).sum(1) + weights * surprise)

    def _interval(self, numerators: Array, denominators: Array) -> Interval:
        """A ratio of sums with the bounds of the studentised bootstrap (Efron 1979), which keeps its level where few
        choices carry much weight."""
        above, below = (np.bincount(self._clusters, x) for x in (numerators, denominators))
        value = float(above.sum() / max(float(below.sum()), 1e-12))
        scatter = above - value * below
        error = float(np.sqrt((scatter**2).sum()) / max(float(below.sum()), 1e-12))
        if error < 1e-12:
            return Interval(value, value, value)
        drawn = self._drawn
        weight = np.maximum(drawn @ below, 1e-12)
        values = (drawn @ above) / weight
        squares = drawn @ above**2 - 2 * values * (drawn @ (above * below)) + values**2 * (drawn @ below**2)
        errors = np.maximum(np.sqrt(np.maximum(squares, 0.0)) / weight, 0.1 * error)
        low, high = np.quantile((values - value) / errors, [0.025, 0.975])
        return Interval(value, value - float(high) * error, value - float(low) * error)


def greedy(probabilities: Array, among: Mask) -> Array:
    """(n, K) the policy that takes the likeliest of the strategies that are open."""
    best = np.where(among, probabilities, -1.0).argmax(1)
    return np.asarray(np.eye(probabilities.shape[1])[best])


def chosen(strategies: Sequence[int] | Indices, number: int) -> Array:
    """(n, number) the policy that takes these."""
    return np.asarray(np.eye(number)[np.asarray(strategies, dtype=np.int64)])
