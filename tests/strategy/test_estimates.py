"""Estimates in a world where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from kefu.errors import DataError
from kefu.strategy.estimates import (
    Array,
    Caps,
    Evaluation,
    Logged,
    chosen,
    counts_of,
    folds_of,
    greedy,
    ratios,
    vouched,
)
from tests.strategy.bandit import STRATEGIES, World, poisoned

WORLD = World()
BAD = 3
UNCAPPED = Caps(ratio=1e9, choices=1e9, share=1.0, alone=1.0)


def better(features: Array, probabilities: Array) -> Array:
    """A policy that takes the third strategy where it is good, else what the logging policy takes."""
    likes = 5.0 * (features[:, :1] > 0) * np.array([0, 0, 1, 0])
    return greedy(probabilities + likes, np.ones(probabilities.shape, bool))


def always(strategy: int, n: int) -> Array:
    return chosen([strategy] * n, STRATEGIES)


def test_intervals_cover_the_true_value() -> None:
    truth, present = WORLD.true_value(better), WORLD.true_value()
    covered = dict.fromkeys(("snips", "dr", "difference"), 0)
    for seed in range(100):
        logged, probabilities = WORLD.log(seed, customers=60)
        evaluation = Evaluation(logged, draws=300)
        new, old = better(logged.features, probabilities), greedy(probabilities, logged.among)
        made, gain = evaluation.estimate(new), evaluation.difference(new, old)
        covered["snips"] += made.snips.low <= truth <= made.snips.high
        covered["dr"] += made.dr.low <= truth <= made.dr.high
        covered["difference"] += gain.low <= truth - present <= gain.high
    assert min(covered.values()) >= 88, covered
    assert max(covered.values()) < 100, "intervals that always cover say nothing"


def test_the_difference_is_surer_than_the_values() -> None:
    logged, probabilities = WORLD.log(1)
    evaluation = Evaluation(logged)
    old = greedy(probabilities, logged.among)
    new = old.copy()
    new[:5] = chosen([BAD] * 5, STRATEGIES)
    gain, value = evaluation.difference(new, old), evaluation.estimate(new).dr
    assert gain.high - gain.low < 0.5 * (value.high - value.low)
    nothing = evaluation.difference(old, old)
    assert (nothing.value, nothing.low, nothing.high) == (0.0, 0.0, 0.0)


def test_choices_of_one_customer_are_one_observation() -> None:
    logged, probabilities = WORLD.log(3, customers=40)
    repeated = Logged(**{name: np.concatenate([value] * 6) for name, value in vars(logged).items()})
    policy = greedy(probabilities, logged.among)
    once = Evaluation(logged, UNCAPPED, np.zeros(policy.shape)).estimate(policy)
    often = Evaluation(repeated, UNCAPPED, np.zeros((len(repeated), STRATEGIES))).estimate(np.tile(policy, (6, 1)))
    assert often.n == 6 * once.n and often.customers == once.customers
    assert often.dr.value == pytest.approx(once.dr.value)
    assert often.dr.high - often.dr.low == pytest.approx(once.dr.high - once.dr.low)


def test_caps_bound_what_a_customer_weighs() -> None:
    logged, _ = poisoned(*WORLD.log(1), BAD)
    mine = logged.customers == "poisoner"
    counts = counts_of(logged, Caps())
    assert counts[mine].sum() == pytest.approx(5.0)
    assert counts.max() == 1.0
    policy = always(BAD, len(logged))
    capped = ratios(policy, logged, counts, Caps()) * counts
    free = ratios(policy, logged, counts, Caps(share=1.0)) * counts
    assert free[mine].sum() > 0.2 * free.sum()
    assert capped[mine].sum() <= 0.05 * free.sum() + 1e-9
    assert ratios(policy, logged, counts, Caps(ratio=10.0)).max() == 10.0


def test_what_others_vouch_for_bounds_what_a_customer_tells_of_a_strategy() -> None:
    logged, _ = poisoned(*WORLD.log(1), BAD)
    weights = np.ones(len(logged))
    bounded, hers = vouched(weights, logged, 0.1), logged.customers == "poisoner"
    on_bad = logged.actions == BAD
    assert bounded[hers & on_bad].sum() == pytest.approx((on_bad & ~hers).sum() / 9)
    assert (vouched(weights, logged.rows(np.ones(len(logged), bool)), 1.0) == 1).all()
    alone = logged.rows(hers)
    assert vouched(weights[hers], alone, 0.1).sum() == 0


def test_a_poisoned_stream_does_not_turn_the_sign() -> None:
    for seed in range(5):
        logged, probabilities = poisoned(*WORLD.log(seed), BAD)
        bad, present = always(BAD, len(logged)), greedy(probabilities, logged.among)
        assert Evaluation(logged).difference(bad, present).value < 0
        assert Evaluation(logged, UNCAPPED).difference(bad, present).value > 0, "the poison would work without caps"


def test_a_policy_that_is_never_matched_has_no_effective_choices() -> None:
    logged, _ = WORLD.log(2)
    few = logged.rows(logged.actions != BAD)
    made = Evaluation(few).estimate(always(BAD, len(few)))
    assert (made.matched, made.effective) == (0.0, 0.0)


def test_folds_part_customers_and_want_enough_of_them() -> None:
    logged, _ = WORLD.log(0, customers=12)
    fold = folds_of(logged, 4)
    assert all(len(set(fold[logged.customers == c])) == 1 for c in set(logged.customers))
    assert set(fold) == {0, 1, 2, 3}
    with pytest.raises(DataError, match="were: 12"):
        folds_of(logged, 13)
