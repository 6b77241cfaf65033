"""Whole conversations, what is learned of them, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kefu.cli import app
from kefu.dialogues import Dialogue
from kefu.errors import ModelCorrupt, ModelNotFound
from kefu.simulation import Always, Decision, Each, Exploring, Learned, Plan, Prior, World, compare, load_strategy
from kefu.simulation.compare import figures
from kefu.simulation.feedback import Learning, learn, poisoned
from kefu.simulation.policies import Policy
from kefu.strategy import AGENT, History, Message, StrategyModel
from kefu.strategy.rules import LABELS, Moment
from tests.simulation.conftest import RULES, HashEncoder


def histories() -> list[Moment]:
    said = Message("user", "坏了", {"request_repair": 1.0}, {"angry": 1.0})
    answered = Message(AGENT, "抱歉", strategies={"manage_emotion": 1.0})
    return [Moment(History((said,)), 2), Moment(History((said, answered)), 1)]


@pytest.fixture
def log(world: World, model: StrategyModel) -> list[Decision]:
    decisions: list[Decision] = []
    world.play(Exploring(Learned(model)), 150, 5, decisions)
    return decisions


def resolved(world: World, policy: Policy, n: int = 150) -> float:
    return float(np.mean([p.resolved for p in world.play(policy, n, 1)]))


def test_every_policy_offers_distributions(world: World, model: StrategyModel) -> None:
    policies: list[Policy] = [Always("inform"), Prior(world.estimates, model.rules), Learned(model)]
    policies += [Exploring(Learned(model)), Each(lambda history: np.full(len(LABELS), 1 / len(LABELS)))]
    for policy in policies:
        offer = policy(histories())
        assert offer.strategies.shape == (2, len(LABELS))
        assert np.allclose(offer.strategies.sum(1), 1.0)
        assert offer.strategies.min() >= 0
        assert offer.listen.shape == (2,)


def test_the_batch_says_what_the_served_model_says(model: StrategyModel) -> None:
    moments = histories()
    offer = Learned(model)(moments)
    for moment, row, listen in zip(moments, offer.strategies, offer.listen):
        scores = model.score(moment.history, moment.replies_left)
        assert scores.strategies == pytest.approx(dict(zip(LABELS, row)), abs=1e-6)
        assert listen in (pytest.approx(scores.listen, abs=1e-6), 0.0 if scores.owed else scores.listen)


def test_exploring_never_does_what_rules_forbid(model: StrategyModel) -> None:
    forbidden = Learned(model)(histories()).strategies < 1e-12
    assert forbidden.any()
    assert (Exploring(Learned(model))(histories()).strategies[forbidden] < 1e-6).all()


def test_the_seed_is_all_that_chance_hangs_on(world: World, model: StrategyModel) -> None:
    policy = Exploring(Learned(model))
    assert world.play(policy, 40, 3) == world.play(policy, 40, 3)
    assert world.play(policy, 40, 3) != world.play(policy, 40, 4)
    assert world.play(policy, 40, 3)[:10] == world.play(policy, 10, 3)  # whoever else is playing


def test_closing_resolves_nothing_and_learning_beats_one_answer(world: World, model: StrategyModel) -> None:
    assert resolved(world, Always("thank_and_close")) == 0
    assert resolved(world, Learned(model)) > resolved(world, Always("inform")) + 0.1


def test_conversations_end_and_their_lengths_are_counted(world: World) -> None:
    for one in world.play(Always("other"), 60, 2):
        assert not one.resolved
        assert one.turns == len(one.strategies) < 60


def test_decisions_carry_what_learning_needs(log: list[Decision]) -> None:
    assert all(0 < d.propensity <= 1 and -1 <= d.reward <= 1 for d in log)
    assert len({d.customer for d in log}) == 150
    assert log[0].last is None
    assert any(d.propensity < 0.2 for d in log)


def test_what_is_rewarded_is_chosen_more(model: StrategyModel) -> None:
    log = [
        Decision(f"c{i}", "angry", "none", None, strategy, 0.5, reward)
        for i in range(300)
        for strategy, reward in (("suggest", 1.0), ("inform", -1.0))
    ]
    plain, taught = Learned(model)(histories())[0][0], Learned(model, learn(log))(histories())[0][0]
    odds = LABELS.index("suggest"), LABELS.index("clarify")
    assert taught[odds[0]] / taught[odds[1]] > plain[odds[0]] / plain[odds[1]]
    assert not learn([])(histories()).any()


def test_one_customer_cannot_move_the_policy(world: World, model: StrategyModel, log: list[Decision]) -> None:
    bad = "continue_relationship"
    spoiled = poisoned(log, 500, bad, 1)
    assert len(spoiled) == len(log) + 500
    clean, capped = learn(log), learn(spoiled)
    uncapped = learn(spoiled, replace(Learning(), per_customer=None))
    lifted = [c(histories())[:, LABELS.index(bad)] for c in (clean, capped, uncapped)]
    assert (lifted[1] - lifted[0] < 0.7).all()
    assert (lifted[2] - lifted[0] > 1.5).all()
    kept = resolved(world, Learned(model, capped))
    assert abs(kept - resolved(world, Learned(model, clean))) < 0.1
    chances = [Learned(model, c)(histories()).strategies[:, LABELS.index(bad)] for c in (capped, uncapped)]
    assert (chances[1] > 2 * chances[0]).all()


def test_intervals_hold_the_value_and_narrow_with_the_number(world: World, model: StrategyModel) -> None:
    played = {
        "learned": world.play(Learned(model), 200, 1),
        "rules": world.play(Prior(world.estimates, model.rules), 200, 1),
    }
    table = figures(played, 1)
    for row in table.values():
        for key in ("resolved", "turns", "upset", "mood", "gain"):
            assert row[key]["low"] <= row[key]["value"] <= row[key]["high"]
        assert sum(row["emotions"].values()) == pytest.approx(1.0)
        assert sum(row["strategies"].values()) >= row["turns"]["value"]  # at least one reply to every message
    assert table["learned"]["gain"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    few = figures({name: some[:50] for name, some in played.items()}, 1)["rules"]["turns"]
    many = table["rules"]["turns"]
    assert few["high"] - few["low"] > many["high"] - many["low"]


def test_the_comparison_names_its_policies(world: World, model: StrategyModel) -> None:
    plan = Plan(dialogues=20, explored=30, ratings=40, worlds=2)
    result = compare(world, model, plan, {"mine": Always("greet")})
    assert result["shaken"]["mine"] == {"least": 0.0, "most": 0.0, "below": 1.0}
    assert result["shaken"]["learned"]["below"] == 0.0
    assert list(result["policies"])[:5] == ["always inform", "rules only", "learned, no rules", "learned", "mine"]
    assert result["poison"]["ratings"] == 40
    assert compare(world, model, Plan(dialogues=5, explored=5, ratings=0))["poison"] is None


def write_data(folder: Path, dialogues: list[Dialogue], examples: list[tuple[str, str, str]]) -> None:
    """The miniature dialogues and sentences as data files."""
    (folder / "dialogues").mkdir(parents=True)
    (folder / "nlu").mkdir()
    listed = []
    for dialogue in dialogues:
        turns: list[dict[str, object]] = []
        for turn in dialogue.turns:
            labels = {k: getattr(turn, k) for k in ("intent", "emotion", "strategy") if getattr(turn, k)}
            turns.append({turn.speaker: turn.text, **labels, **({"facts": turn.facts} if turn.facts else {})})
        listed.append({"id": dialogue.id, "scene": dialogue.scene, "turns": turns})
    (folder / "dialogues" / "all.yml").write_text(json.dumps(listed, ensure_ascii=False), encoding="utf-8")
    blocks = [{"intent": i, "examples": [{"text": t, "metadata": {"emotion": e}}]} for t, i, e in examples]
    (folder / "nlu" / "all.yml").write_text(json.dumps({"version": "3.1", "nlu": blocks}), encoding="utf-8")


def test_the_command_prints_the_table(
    tmp_path: Path,
    model: StrategyModel,
    dialogues: list[Dialogue],
    examples: list[tuple[str, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kefu.strategy.model.load_encoder", lambda name: HashEncoder())
    model.save(tmp_path / "model", RULES)
    write_data(tmp_path / "data", dialogues, examples)
    options = ["simulate", "--model", str(tmp_path / "model"), "--data", str(tmp_path / "data"), "--dialogues", "20"]
    options += ["--explored", "20", "--poison", "30", "--worlds", "1"]
    done = CliRunner().invoke(app, [*options, "--picture", str(tmp_path / "bars.png")])
    assert done.exit_code == 0, done.output
    for word in (
        "always inform",
        "rules only",
        "learned",
        "feedback, poisoned, no cap",
        "resolved",
        "left upset",
        "30 top",
        "worlds below",
    ):
        assert word in done.output
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")
    printed = CliRunner().invoke(app, [*options, "--json"])
    assert json.loads(printed.stdout.strip().splitlines()[-1])["policies"]["learned"]["turns"]["value"] > 0


def test_models_that_cannot_be_loaded_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no model"):
        load_strategy(tmp_path)
    with pytest.raises(ModelNotFound, match="gone"):
        load_strategy(tmp_path / "gone.tar.gz")
    (tmp_path / "broken.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ModelCorrupt, match=r"broken\.tar\.gz"):
        load_strategy(tmp_path)
