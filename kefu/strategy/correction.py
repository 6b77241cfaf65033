"""A correction to the networks' logits, learned from logged choices and what came of them.

It maximises, over the choices, sum of pi(a) * advantage(a) - kl * KL(pi || pi_0) with the doubly robust advantage of
each open strategy (Dudik, Langford and Li 2011) and the uncorrected policy pi_0: where feedback says little, the policy
stays what it was (a penalty in place of the trust region of Schulman et al. 2015). The correction is linear in the
features that need no embedding; a few hundred choices cannot teach more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kefu.errors import ModelCorrupt
from kefu.strategy.estimates import (
    Array,
    Caps,
    Evaluation,
    Interval,
    Logged,
    Mask,
    chosen,
    counts_of,
    folds_of,
    greedy,
    predicted_rewards,
    ratios,
    vouched,
)


@dataclass(frozen=True)
class LearningArguments:
    """How it is learned.

    Attributes:
        components: main components kept of the features.
        kl: weight of the distance to the uncorrected policy; a strategy must be better by about kl * ln(ratio of their
            probabilities) to overtake another.
        penalty: weight of half the squared coefficients, against the summed choices.
        most: largest change of a logit.
        folds: parts of the customers for the estimate of what learning brings.
        choices, customers, explored: fewer of these teach nothing: choices, customers, and choices of another strategy
            than the best.
        margin: the loss of reward that the difference's lower bound may reach.
    """

    components: int = 24
    kl: float = 0.2
    penalty: float = 2.0
    most: float = 3.0
    folds: int = 5
    choices: int = 200
    customers: int = 40
    explored: int = 30
    margin: float = 0.05


@dataclass(frozen=True)
class Correction:
    """``weights`` (d, K) and ``bias`` (K,): what is added to the logits of the strategies that are open."""

    weights: Array
    bias: Array
    most: float

    def __call__(self, features: Array) -> Array:
        """(n, K) changes from (n, d) features."""
        return np.clip(features @ self.weights + self.bias, -self.most, self.most)

    def save(self, file: Path) -> None:
        """Writes an .npz."""
        np.savez(file, weights=self.weights, bias=self.bias, most=np.array(self.most))

    @classmethod
    def load(cls, file: Path) -> Correction:
        """Reads what ``save`` wrote.

        Raises:
            ModelCorrupt: it did not.
        """
        try:
            with np.load(file, allow_pickle=False) as stored:
                return cls(stored["weights"], stored["bias"], float(stored["most"]))
        except (OSError, ValueError, KeyError) as error:
            raise ModelCorrupt(f"{file} is no correction of strategies ({error}). Train again: rasa train.") from error


def corrected(probabilities: Array, among: Mask, change: Array) -> Array:
    """(n, K) probabilities with the odds of the open strategies changed among themselves; the others keep theirs."""
    mass = np.where(among, probabilities, 0.0)
    moved = mass * np.exp(np.where(among, change, 0.0))
    moved *= mass.sum(1, keepdims=True) / np.maximum(moved.sum(1, keepdims=True), 1e-300)
    return np.where(among, moved, probabilities)


class Projection:
    """The main components of features: ``mean`` (d,), ``axes`` (d, kept), scaled to a mean square length of 1."""

    def __init__(self, features: Array, kept: int) -> None:
        self.mean = features.mean(0)
        _, _, rows = np.linalg.svd(features - self.mean, full_matrices=False)
        axes = rows[:kept].T
        length = np.sqrt((((features - self.mean) @ axes) ** 2).sum(1).mean())
        self.axes = axes / max(float(length), 1e-6)

    def __call__(self, features: Array) -> Array:
        """(n, kept)."""
        return np.asarray((features - self.mean) @ self.axes)


def projected(logged: Logged, kept: int = 24) -> Logged:
    """The same choices with the main components of their features, which is what a reward model can learn from."""
    return replace(logged, features=Projection(logged.features, kept)(logged.features))


def fit(logged: Logged, probabilities: Array, arguments: LearningArguments, caps: Caps | None = None) -> Correction:
    """Learns from ``logged``; ``probabilities`` (n, K) are the uncorrected policy's."""
    from scipy.optimize import minimize

    caps = caps or Caps()
    project = Projection(logged.features, arguments.components)
    inputs = project(logged.features)
    counts = counts_of(logged, caps)
    gains = _advantages(logged, probabilities, inputs, counts, caps)
    base = np.where(logged.among, probabilities, 0.0) + 1e-9 * logged.among
    base /= base.sum(1, keepdims=True)
    log_base = np.log(np.maximum(base, 1e-300))
    kept, strategies = inputs.shape[1], base.shape[1]
    design = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)

    def loss(flat: Array) -> tuple[float, Array]:
        matrix = flat.reshape(kept + 1, strategies)
        logits = np.where(logged.among, log_base + design @ matrix, -np.inf)
        logits -= logits.max(1, keepdims=True)
        policy = np.exp(logits)
        policy /= policy.sum(1, keepdims=True)
        distance = np.where(logged.among, np.log(np.maximum(policy, 1e-300)) - log_base, 0.0)
        worth = gains - arguments.kl * distance
        mean = (policy * worth).sum(1, keepdims=True)
        slope = counts[:, None] * policy * (worth - mean)
        value = (counts[:, None] * mean).sum() - arguments.penalty / 2 * (flat**2).sum()
        return -float(value), -(design.T @ slope).ravel() + arguments.penalty * flat

    found = minimize(loss, np.zeros((kept + 1) * strategies), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    matrix = found.x.reshape(kept + 1, strategies)
    weights = project.axes @ matrix[:-1]
    return Correction(weights, matrix[-1] - project.mean @ weights, arguments.most)


def _advantages(logged: Logged, probabilities: Array, inputs: Array, counts: Array, caps: Caps) -> Array:
    """(n, K) doubly robust rewards of the open strategies, less what the uncorrected policy earns there."""
    predicted = predicted_rewards(replace(logged, features=inputs), vouched(counts, logged, caps.alone))
    rows = np.arange(len(logged))
    # The weight of a choice as if the policy took it for sure.
    weights = ratios(np.eye(logged.among.shape[1])[logged.actions], logged, counts, caps)
    weights = vouched(weights * counts, logged, caps.alone) / counts
    gains = predicted.copy()
    gains[rows, logged.actions] += weights * (logged.rewards - predicted[rows, logged.actions])
    base = np.where(logged.among, probabilities, 0.0)
    base /= np.maximum(base.sum(1, keepdims=True), 1e-12)
    centred = gains - (base * gains).sum(1, keepdims=True)
    return np.where(logged.among, centred, 0.0)


@dataclass(frozen=True)
class Learned:
    """What learning came to.

    Attributes:
        correction: None where nothing was learned or what was learned is refused.
        why: one line.
        difference: what the corrected policy earns more than the uncorrected one, each choice judged by a correction
            that was learned from other customers; None where there was too little to learn from.
    """

    correction: Correction | None
    why: str
    choices: int
    customers: int
    explored: int
    difference: Interval | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = {k: v for k, v in vars(self).items() if k != "correction"}
        return {
            "kept": self.correction is not None,
            **told,
            "difference": self.difference.as_dict() if self.difference else None,
        }


def enough(logged: Logged, explored: int, arguments: LearningArguments) -> str | None:
    """What there is too little of, or None."""
    for name, there, least in (
        ("choices", len(logged), arguments.choices),
        ("customers", len(set(logged.customers.tolist())), arguments.customers),
        ("choices of another strategy than the best", explored, arguments.explored),
    ):
        if there < least:
            return f"there are {there} {name}, and {least} are needed"
    return None


def learn(
    logged: Logged,
    probabilities: Array,
    explored: int,
    arguments: LearningArguments | None = None,
    caps: Caps | None = None,
) -> Learned:
    """Learns a correction and keeps it if it is not worse than none, by customers it was not learned from.

    Args:
        probabilities: (n, K) the uncorrected policy's.
        explored: how many choices were of another strategy than the best.
    """
    arguments = arguments or LearningArguments()
    counted = (len(logged), len(set(logged.customers.tolist())), explored)
    lacking = enough(logged, explored, arguments)
    if lacking:
        return Learned(None, f"nothing learned: {lacking}", *counted)
    fold = folds_of(logged, arguments.folds)
    choices = np.zeros(len(logged), dtype=np.int64)
    for k in range(arguments.folds):
        inside = fold != k
        one = fit(logged.rows(inside), probabilities[inside], arguments, caps)
        moved = corrected(probabilities, logged.among, one(logged.features))
        choices[~inside] = greedy(moved, logged.among)[~inside].argmax(1)
    before = greedy(probabilities, logged.among)
    gain = Evaluation(projected(logged, arguments.components), caps).difference(
        chosen(choices, before.shape[1]), before
    )
    if gain.low < -arguments.margin or gain.value <= 0:
        why = f"refused: its gain {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] may be a loss"
        return Learned(None, why, *counted, gain)
    why = f"kept: it gains {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] of reward a choice"
    return Learned(fit(logged, probabilities, arguments, caps), why, *counted, gain)
