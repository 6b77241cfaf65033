"""A world of choices in which the true worth of every policy is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kefu.strategy.estimates import Array, Logged, greedy

STRATEGIES = 4


@dataclass(frozen=True)
class World:
    """Rewards are best for a strategy that depends on the features; the first policy prefers another."""

    size: int = 6

    def worth(self, features: Array) -> Array:
        """(n, K) expected rewards: of the third strategy high where the first feature is, of the others low."""
        tilt = np.tanh(features[:, :1])
        return np.concatenate([0.1 - 0.3 * tilt, -0.1 + 0.0 * tilt, 0.1 + 0.5 * tilt, -0.2 + 0.0 * tilt], axis=1)

    def policy(self, features: Array) -> Array:
        """(n, K) probabilities of the policy that logs: it takes the first strategy for the best everywhere."""
        logits = np.tile([1.0, 0.0, 0.6, -0.2], (len(features), 1)) + 0.1 * features[:, 1:2] * [0, 1, 0, -1]
        exponentials = np.exp(logits)
        return np.asarray(exponentials / exponentials.sum(1, keepdims=True))

    def true_value(self, decide: object = None, n: int = 20_000) -> float:
        """Mean reward of the policy that ``decide`` makes of (features, probabilities); by default the logging one."""
        features = np.random.default_rng(99).standard_normal((n, self.size))
        probabilities = self.policy(features)
        among = np.ones(probabilities.shape, bool)
        taken = greedy(probabilities, among) if decide is None else decide(features, probabilities)  # type: ignore[operator]
        return float((taken * self.worth(features)).sum(1).mean())

    def log(self, seed: int, customers: int = 80, chance: float = 0.4) -> tuple[Logged, Array]:
        """Choices of ``customers``, one to nine each, whose moods differ; and the logging policy's probabilities."""
        random = np.random.default_rng(seed)
        owner = np.repeat(np.arange(customers), random.integers(1, 10, customers))
        features = random.standard_normal((len(owner), self.size))
        probabilities = self.policy(features)
        behaviour = (1 - chance) * greedy(probabilities, np.ones(probabilities.shape, bool)) + chance * probabilities
        actions = np.array([random.choice(STRATEGIES, p=p / p.sum()) for p in behaviour])
        mood = random.normal(0, 0.2, customers)[owner]
        mean = self.worth(features)[np.arange(len(owner)), actions] + mood
        rewards = np.clip(mean + random.normal(0, 0.3, len(owner)), -1, 1)
        names = np.array([f"c{i}" for i in owner])
        propensities = behaviour[np.arange(len(owner)), actions]
        return Logged(features, actions, propensities, np.ones(behaviour.shape, bool), rewards, names), probabilities


def poisoned(logged: Logged, probabilities: Array, strategy: int, number: int = 600) -> tuple[Logged, Array]:
    """The same with one customer more, who praises each sight of ``strategy`` and damns all others."""
    random = np.random.default_rng(5)
    rows = random.integers(0, len(logged), number)
    actions = np.where(random.random(number) < 0.5, strategy, logged.actions[rows])
    more = Logged(
        logged.features[rows],
        actions,
        np.where(actions == strategy, 0.02, logged.propensities[rows]),
        logged.among[rows],
        np.where(actions == strategy, 1.0, -1.0),
        np.full(number, "poisoner"),
    )
    both = {name: np.concatenate([value, getattr(more, name)]) for name, value in vars(logged).items()}
    return Logged(**both), np.concatenate([probabilities, probabilities[rows]])
