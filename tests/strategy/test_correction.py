"""What is learned from logged choices: better where feedback says so, and nothing where it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kefu.errors import ModelCorrupt
from kefu.strategy import History, Message, StrategyModel
from kefu.strategy.correction import Correction, LearningArguments, corrected, fit, learn
from kefu.strategy.decisions import Decision
from kefu.strategy.estimates import Array, Caps, Logged, greedy
from kefu.strategy.features import plain
from kefu.strategy.reader import LABELS
from tests.strategy.bandit import World, poisoned
from tests.strategy.conftest import RULES

WORLD = World()
BAD = 3
UNCAPPED = Caps(ratio=1e9, choices=1e9, share=1.0, alone=1.0)


def choices(correction: Correction, features: Array, probabilities: Array) -> Array:
    among = np.ones(probabilities.shape, bool)
    return greedy(corrected(probabilities, among, correction(features)), among)


def test_it_beats_the_policy_that_logged() -> None:
    for seed in range(3):
        logged, probabilities = WORLD.log(seed)
        made = learn(logged, probabilities, explored=100)
        correction = made.correction
        assert correction is not None, made.why
        assert made.difference is not None and made.difference.low > 0
        value = WORLD.true_value(lambda f, p, c=correction: choices(c, f, p))
        assert value > WORLD.true_value() + 0.1


def test_a_poisoned_stream_does_not_change_the_choice() -> None:
    features = np.random.default_rng(0).standard_normal((2000, WORLD.size))
    probabilities = WORLD.policy(features)
    for seed in range(3):
        logged, base = poisoned(*WORLD.log(seed), BAD)
        correction = fit(logged, base, LearningArguments())
        assert choices(correction, features, probabilities)[:, BAD].mean() < 0.05
        assert WORLD.true_value(lambda f, p, c=correction: choices(c, f, p)) > WORLD.true_value() + 0.1
        credulous = fit(logged, base, LearningArguments(), UNCAPPED)
        assert choices(credulous, features, probabilities)[:, BAD].mean() > 0.5, "the poison would work without caps"


def test_what_one_customer_alone_has_tried_is_not_learned() -> None:
    features = np.random.default_rng(0).standard_normal((2000, WORLD.size))
    probabilities = WORLD.policy(features)
    logged, base = WORLD.log(1)
    honest = logged.actions != BAD
    logged, base = poisoned(logged.rows(honest), base[honest], BAD)
    share = {
        alone: choices(fit(logged, base, LearningArguments(), Caps(alone=alone)), features, probabilities)[
            :, BAD
        ].mean()
        for alone in (Caps().alone, 1.0)
    }
    assert share[0.1] < 0.01 < 0.1 < share[1.0]


def test_rewards_that_say_nothing_teach_nothing() -> None:
    logged, probabilities = WORLD.log(4)
    silent = replace(logged, rewards=np.zeros(len(logged)))
    made = learn(silent, probabilities, explored=100)
    assert made.correction is None and "refused" in made.why
    still = fit(silent, probabilities, LearningArguments())
    assert np.abs(still(logged.features)).max() < 0.05


def test_a_loss_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def worst(logged: Logged, *_: object) -> Correction:
        return Correction(np.zeros((WORLD.size, 4)), np.array([-3.0, 0.0, -3.0, 3.0]), 3.0)

    monkeypatch.setattr("kefu.strategy.correction.fit", worst)
    made = learn(*WORLD.log(1), explored=100)
    assert made.correction is None
    assert made.difference is not None and made.difference.value < 0
    assert made.as_dict()["kept"] is False


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (LearningArguments(choices=9999), "9999"),
        (LearningArguments(customers=500), "80 customers, and 500"),
        (LearningArguments(explored=101), "100 choices of another strategy"),
    ],
)
def test_too_little_teaches_nothing(arguments: LearningArguments, named: str) -> None:
    made = learn(*WORLD.log(1), explored=100, arguments=arguments)
    assert made.correction is None and made.difference is None
    assert named in made.why


def test_correcting_keeps_the_others_shares() -> None:
    probabilities = np.array([[0.5, 0.3, 0.15, 0.05]])
    among = np.array([[True, True, True, False]])
    after = corrected(probabilities, among, np.array([[-2.0, 1.0, 0.0, 3.0]]))
    assert after.sum() == pytest.approx(1.0)
    assert after[0, 3] == 0.05
    assert after[0, 1] / after[0, 2] == pytest.approx(2.0 * np.e)


QUESTION = Message("user", "这款锅3能用电磁炉吗", {"ask_product_info": 0.9}, {"neutral": 0.9})
CONFUSED = Message("user", "这款锅3能用电磁炉吗", {"ask_product_info": 0.9}, {"confused": 0.9})


def even(model: StrategyModel) -> StrategyModel:
    """The model with its doubt made large, so that several strategies are open."""
    trained = replace(model._trained, temperatures={**model._trained.temperatures, "strategy": 5.0})
    return StrategyModel(trained, model.rules)


def logs(model: StrategyModel, customers: int = 120) -> list[Decision]:
    """Each customer asks twice; confused ones like the second best strategy, the others the best."""
    found = []
    random = np.random.default_rng(1)
    for i in range(customers):
        for message in (QUESTION, CONFUSED):
            history = History([message], observed=False)
            scores = model.score(history)
            first, second = scores.open[:2]
            taken = [first, second][int(random.random() < 0.4)]
            good = (taken == second) == (message is CONFUSED)
            mark = float(np.clip((0.7 if good else -0.7) + random.normal(0, 0.2), -1, 1))
            chance = 0.6 if taken == first else 0.4
            key = f"{i}{message.emotion}"
            found.append(Decision(key, f"c{i}", float(i), history, 2, taken, chance, (first, second), mark))
    return found


def test_the_model_learns_saves_and_loads(model: StrategyModel, encoder: object, tmp_path: Path) -> None:
    plainly = even(model)
    arguments = LearningArguments(choices=100, customers=40, explored=20)
    taught = plainly.learn(logs(plainly), arguments)
    assert taught.correction is not None, taught.learned
    asked, confused = (History([m], observed=False) for m in (QUESTION, CONFUSED))
    second = plainly.score(confused).open[1]
    assert taught.score(asked).best == plainly.score(asked).best
    assert taught.score(confused).best == second != plainly.score(confused).best
    assert sum(taught.score(confused).strategies.values()) == pytest.approx(1.0)
    taught.save(tmp_path, RULES)
    loaded = StrategyModel.load(tmp_path, encoder)  # type: ignore[arg-type]
    assert loaded.learned == taught.learned
    assert loaded.score(confused).best == second
    (tmp_path / "strategy_feedback.npz").write_bytes(b"no")
    with pytest.raises(ModelCorrupt, match="correction"):
        StrategyModel.load(tmp_path, encoder)  # type: ignore[arg-type]
    Correction(np.zeros((3, 12)), np.zeros(12), 3.0).save(tmp_path / "strategy_feedback.npz")
    with pytest.raises(ModelCorrupt, match=r"\(3, 12\)"):
        StrategyModel.load(tmp_path, encoder)  # type: ignore[arg-type]


def test_judges_teach_nothing(model: StrategyModel) -> None:
    plainly = even(model)
    judges = [d for d in logs(plainly) if d.judges]
    assert judges
    assert (plainly.learn(judges).learned or {})["choices"] == 0


def test_a_correction_moves_nothing_where_nothing_is_open(model: StrategyModel) -> None:
    """Not with an angry customer, and never what a rule forbids."""
    loud = Correction(np.zeros((len(plain(History(()))), 12)), np.linspace(-3, 3, 12), 3.0)
    plainly = even(model)
    turned = plainly.with_correction(loud)
    angry = History([Message("user", "太慢了", {"complain_delivery": 1.0}, {"angry": 1.0})])
    assert turned.score(angry) == plainly.score(angry)
    calm = History([QUESTION, Message("agent", "可以用的", strategies={"inform": 1.0})])
    before, after = plainly.score(calm), turned.score(calm)
    assert before.open and after.strategies != before.strategies
    forbidden = {s for s, p in before.strategies.items() if p == 0}
    assert forbidden and all(after.strategies[s] == 0 for s in forbidden)
    closed = set(LABELS) - set(before.open)
    assert all(after.strategies[s] == pytest.approx(before.strategies[s]) for s in closed)
    assert after.best in before.open
