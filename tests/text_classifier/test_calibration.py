"""Temperatures, and how much a reading without context counts."""

from __future__ import annotations

import numpy as np
import pytest

from kefu.text_classifier.calibration import Calibration

RNG = np.random.default_rng(1)


def drawn(logits: np.ndarray) -> np.ndarray:
    """A label of each row, by the probabilities that its logits stand for."""
    return np.array([RNG.choice(len(p), p=p) for p in Calibration().probabilities(logits)])


@pytest.mark.parametrize(("factor", "within"), [(1.0, 0.1), (3.0, 0.3), (1 / 3, 0.05)])
def test_the_temperature_mends_overconfidence(factor: float, within: float) -> None:
    logits = RNG.normal(size=(4000, 5)) * 2
    targets = drawn(logits)
    fitted = Calibration.fit(logits * factor, logits * factor, targets)
    assert fitted.temperature == pytest.approx(factor, abs=within)
    assert fitted.alone == 0.0


def test_missing_labels_are_passed_over_and_few_fit_nothing() -> None:
    logits = np.array([[4.0, 0.0]] * 40)
    targets = np.array([0, 0, 1] * 13 + [0])
    one = Calibration.fit(logits, logits, targets)
    both = np.concatenate([logits, -logits])
    assert Calibration.fit(both, both, np.concatenate([targets, np.full(40, -100)])) == one
    assert one.temperature > 1.5
    assert Calibration.fit(logits[:19], logits[:19], targets[:19]) == Calibration()


def test_the_better_reading_gets_more_weight() -> None:
    truth = RNG.normal(size=(3000, 4)) * 2
    targets = drawn(truth)
    clear, blurred = truth + RNG.normal(size=truth.shape), truth + 4 * RNG.normal(size=truth.shape)
    assert Calibration.fit(clear, blurred, targets).alone < 0.3
    assert Calibration.fit(blurred, clear, targets).alone > 0.7


def test_two_readings_that_err_apart_are_better_together() -> None:
    truth = RNG.normal(size=(3000, 4)) * 2
    targets = drawn(truth)
    first, second = (truth + 2 * RNG.normal(size=truth.shape) for _ in range(2))
    fitted = Calibration.fit(first, second, targets)
    hits = [
        float((np.argmax(p, -1) == targets).mean())
        for p in (fitted.probabilities(first, second), fitted.probabilities(first), fitted.probabilities(second))
    ]
    assert 0.3 < fitted.alone < 0.7
    assert hits[0] > max(hits[1:]) + 0.02


def test_without_a_context_there_is_one_reading() -> None:
    calibration = Calibration(2.0, 0.5)
    np.testing.assert_allclose(calibration.probabilities([2.0, 0.0]), Calibration(2.0).probabilities([2.0, 0.0]))
    np.testing.assert_allclose(calibration.probabilities([2.0, 0.0], [0.0, 2.0]), [0.5, 0.5])
