from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from kefu.dialogues import Dialogue
from kefu.errors import DataError, ModelCorrupt, SettingsError
from kefu.strategy import History, Message, Rules, StrategyModel, TrainingArguments
from kefu.strategy.explanation import PARTS, blank_rows, sentence
from kefu.strategy.network import UNKNOWN, fit_linear, softmax, temperature, train_network
from tests.strategy.conftest import RULES

ANGRY = Message("user", "都3天了还没到", {"complain_delivery": 1.0}, {"angry": 1.0})
SOOTHED = Message("agent", "等了3天，换谁都急", strategies={"manage_emotion": 1.0})
ASKED = Message("agent", "麻烦报一下手机尾号", strategies={"verify_identity": 1.0})


def test_it_learns_what_follows_what(model: StrategyModel) -> None:
    assert model.score(History([ANGRY])).best == "manage_emotion"
    assert model.score(History([ANGRY, SOOTHED])).best == "verify_identity"
    question = Message("user", "这款锅3能用电磁炉吗", {"ask_product_info": 1.0}, {"neutral": 1.0})
    assert model.score(History([question])).best == "inform"


def test_it_knows_when_the_turn_is_over(model: StrategyModel) -> None:
    assert model.score(History([ANGRY])).listen == 0.0
    assert model.score(History([ANGRY, SOOTHED])).listen < 0.5 < model.score(History([ANGRY, SOOTHED, ASKED])).listen


def test_probabilities_are_those_of_all_strategies_best_first(model: StrategyModel) -> None:
    scores = list(model.score(History([ANGRY])).strategies.values())
    assert len(scores) == 12 and sum(scores) == pytest.approx(1.0)
    assert scores == sorted(scores, reverse=True)


def test_strategies_of_human_agents_are_read_off_their_texts(model: StrategyModel) -> None:
    human = Message("agent", "麻烦报一下手机尾号")
    assert model.read_strategies([human.text])[human.text]["verify_identity"] > 0.5
    assert model.score(History([ANGRY, SOOTHED, human])).best != "verify_identity"


def test_a_saved_model_says_the_same(model: StrategyModel, encoder: object, tmp_path: Path) -> None:
    model.save(tmp_path, RULES)
    loaded = StrategyModel.load(tmp_path, encoder)  # type: ignore[arg-type]
    for messages in ([ANGRY], [ANGRY, SOOTHED], [ANGRY, Message("agent", "在的")]):
        one, other = model.score(History(messages)), loaded.score(History(messages))
        assert one.strategies == pytest.approx(other.strategies) and one.listen == pytest.approx(other.listen)
        assert one.fired == other.fired


@pytest.mark.parametrize("name", ["strategy.json", "strategy.npz", "strategy_rules.yml"])
def test_a_damaged_model_is_refused(model: StrategyModel, encoder: object, tmp_path: Path, name: str) -> None:
    model.save(tmp_path, RULES)
    (tmp_path / name).write_text("[", encoding="utf-8")
    with pytest.raises(ModelCorrupt, match="rasa train"):
        StrategyModel.load(tmp_path, encoder)  # type: ignore[arg-type]


def test_the_stage_follows_the_strategy_and_the_talk(model: StrategyModel) -> None:
    assert model.stage("greet", History([])) == "connect"
    assert model.stage("manage_emotion", History([ANGRY])) == "identify"
    assert model.stage("manage_emotion", History([ANGRY], facts=frozenset({"eta"}))) == "explore"
    told = Message("agent", "已办好", strategies={"resolve": 1.0})
    assert model.stage("other", History([ANGRY, told])) == "resolve"
    assert model.stage("other", History([])) == "connect"


def test_scoring_takes_milliseconds(model: StrategyModel) -> None:
    started = time.perf_counter()
    for _ in range(20):
        model.score(History([ANGRY, SOOTHED]))
    assert (time.perf_counter() - started) / 20 < 0.05


def test_the_same_seed_trains_the_same_model(
    dialogues: list[Dialogue], rules: Rules, arguments: TrainingArguments, encoder: object, model: StrategyModel
) -> None:
    again = StrategyModel.train(dialogues, rules, arguments, encoder)  # type: ignore[arg-type]
    assert again.score(History([ANGRY])).strategies == pytest.approx(model.score(History([ANGRY])).strategies, abs=1e-5)


def test_too_few_dialogues(dialogues: list[Dialogue], rules: Rules, encoder: object) -> None:
    with pytest.raises(DataError, match="But there were: 2"):
        StrategyModel.train(dialogues[:2], rules, TrainingArguments(folds=3), encoder)  # type: ignore[arg-type]


@pytest.mark.parametrize("values", [{"copies": 0}, {"hidden": -1}, {"dropout": 1.0}, {"folds": 1}, {"epochs": 1.5}])
def test_arguments_are_checked(values: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(values))):
        TrainingArguments(**values)  # type: ignore[arg-type]


def test_temperature_cools_overconfidence() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 3, 400)
    logits = random.standard_normal((400, 3)).astype(np.float32)
    logits[np.arange(400), targets] += 1.0
    assert temperature(logits * 2, targets) == pytest.approx(2 * temperature(logits, targets), rel=0.1)


def test_a_linear_fit_separates_what_can_be_separated() -> None:
    features = np.array([[0, 1], [0, 2], [1, 0], [2, 0]], np.float32)
    network = fit_linear(features, np.array([0, 0, 1, 1]), 2, penalty=0.1)
    assert softmax(network(features)).argmax(1).tolist() == [0, 0, 1, 1]


def test_points_without_a_target_do_not_teach_it(arguments: TrainingArguments) -> None:
    features = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    nothing = np.full(40, UNKNOWN)
    ends = (features[:, 0] > 0).astype(np.int64)
    network = train_network(features, nothing, ends, 3, arguments, seed=1)
    assert ((network(features)[:, -1] > 0) == (ends == 1)).mean() > 0.9


def test_what_mattered_is_what_the_choice_hangs_on(model: StrategyModel) -> None:
    mattered = model.mattered(History([ANGRY]), "manage_emotion", most=8)
    assert set(mattered) <= set(PARTS) and all(abs(weight) >= 0.05 for weight in mattered.values())
    assert list(mattered.values()) == sorted(mattered.values(), key=abs, reverse=True)
    calm = Message("user", ANGRY.text, ANGRY.intents, {"neutral": 1.0})
    change = np.log(model.score(History([ANGRY])).strategies["manage_emotion"])
    change -= np.log(model.score(History([calm])).strategies["manage_emotion"])
    assert change > 0 and mattered.get("emotion", 0.0) > 0, "it was soothed for the anger"
    assert len(model.mattered(History([ANGRY]), "manage_emotion", most=1)) == 1


def test_every_feature_belongs_to_one_part(model: StrategyModel) -> None:
    layout = model._trained.featurizer.layout
    parts = blank_rows(layout)
    assert sorted(w.start for places in parts.values() for w in places) == sorted(w.start for w in layout.values())


def test_a_line_for_the_log() -> None:
    line = sentence({"inform": 0.7, "other": 0.2, "greet": 0.1, "clarify": 0.0}, ["rule"], {"emotion": 0.5})
    assert line == "inform 0.70, other 0.20, greet 0.10; rules: rule; what mattered: emotion +0.50"
    assert sentence({"inform": 1.0}, [], {}).endswith("rules: none; what mattered: nothing by itself")
