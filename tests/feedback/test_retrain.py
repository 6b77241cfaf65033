"""The loop: export, train, compare, promote what is not worse, switch the server; undo when the server refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from kefu.cli import app
from kefu.errors import DataError, KefuError, ModelError, NotFound
from kefu.feedback import Decision, Limits, Masker, ReviewStore, decide, harvest
from kefu.feedback.choices import save_choices, stored_decisions
from kefu.feedback.measure import Sets, compare, main, measure, measure_apart, read_rows
from kefu.feedback.policies import contest
from kefu.feedback.registry import read_registry
from kefu.feedback.retrain import Plan, plan_only, retrain, run_rasa_train
from kefu.strategy import History, Message
from kefu.strategy.decisions import Decision as Choice
from kefu.strategy.decisions import Signals, read_decisions
from tests.tracker_store import TrackerStore

PLAN = Plan(limits=Limits(most=100, share=1.0))
GOOD = {"intent": 0.9, "emotion": 0.8, "strategy": 0.7}


def figures(intent: float, emotion: float, strategy: float, n: int = 400) -> dict[str, Any]:
    """What ``measure`` returns, for these deciding figures."""
    return {
        "intent": {"n": n, "accuracy": intent, "macro_f1": intent},
        "emotion": {"n": n, "accuracy": emotion, "macro_f1": emotion},
        "strategy": {"n": n, "top1": strategy, "top3": strategy},
        "corrections": {"n": 1, "intent": 0.0, "emotion": 0.0, "strategy_n": 0, "strategy": 0.0},
        "latency_ms": {"p50": 1.0, "p95": 2.0},
    }


class FakeTrain:
    """Writes the model file that the command names, and keeps the commands."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[str], log: Path) -> None:
        self.commands.append(list(command))
        out, name = (command[command.index(o) + 1] for o in ("--out", "--fixed-model-name"))
        Path(out).mkdir(parents=True, exist_ok=True)
        (Path(out) / f"{name}.tar.gz").write_bytes(name.encode())


def measured(**of_challenger: float) -> Callable[[Path, Sets], dict[str, Any]]:
    """The champion has GOOD figures; candidates have them too but for those given."""

    def run(model: Path, sets: Sets) -> dict[str, Any]:
        return figures(**({**GOOD, **of_challenger} if model.parent.name == "candidates" else GOOD))

    return run


@pytest.fixture
def champion(project: Path) -> Path:
    """A model that serves."""
    (project / "models").mkdir()
    path = project / "models" / "old.tar.gz"
    path.write_bytes(b"old")
    return path


@pytest.fixture
def reviewed(project: Path, tracker: TrackerStore, store: ReviewStore, masker: Masker) -> ReviewStore:
    """One corrected item with a better reply."""
    tracker.user("c1", "钱呢 都五天了", "ask_price", "neutral")
    tracker.bot("c1", "请稍等。", "other")
    harvest(store, tracker.engine, masker)
    decide(store, 1, Decision("ask_refund_status", "angry", "manage_emotion", "让您等了五天，抱歉。"), "李")
    return store


def test_better_or_equal_is_promoted_and_switched(reviewed: ReviewStore, champion: Path, rasa_server: Any) -> None:
    train = FakeTrain()
    outcome = retrain(reviewed, replace(PLAN, server=rasa_server.url), train, measured(intent=0.92))
    assert outcome.promoted
    assert outcome.model is not None
    assert outcome.model.parent == Path("models")
    assert outcome.switched is not None
    assert outcome.switched.state == "switched"
    assert rasa_server.model == outcome.model.name
    registry = read_registry(Path("models"))
    assert registry.champions == ("old.tar.gz", outcome.model.name)
    assert registry.champion is not None
    assert registry.champion.figures["intent"]["macro_f1"] == 0.92
    (command,) = train.commands
    assert command[:6] == [sys.executable, "-m", "rasa", "train", "--data", "data"]
    assert command[6] == "var/feedback/nlu"
    assert (Path("var/feedback/nlu/feedback.yml").exists(), Path("var/feedback/dialogues/feedback.yml").exists()) == (
        True,
        True,
    )


@pytest.mark.parametrize("worse", ["intent", "emotion", "strategy"])
def test_worse_in_one_figure_is_not_promoted(
    reviewed: ReviewStore, champion: Path, rasa_server: Any, worse: str
) -> None:
    outcome = retrain(
        reviewed, replace(PLAN, server=rasa_server.url), FakeTrain(), measured(**{worse: GOOD[worse] - 0.02})
    )
    assert not outcome.promoted
    assert outcome.model is not None
    assert outcome.model.parent == Path("models/candidates")
    assert outcome.model.exists()
    assert rasa_server.puts == []
    registry = read_registry(Path("models"))
    assert registry.champions == ("old.tar.gz",)
    assert [m.status for m in registry.models if m.file.startswith("candidates/")] == ["challenger"]


def test_the_first_model_needs_no_contest(reviewed: ReviewStore, project: Path) -> None:
    outcome = retrain(reviewed, PLAN, FakeTrain(), measured())
    assert outcome.promoted
    assert all(line.champion is None for line in outcome.lines)


def test_a_server_that_refuses_undoes_the_promotion(reviewed: ReviewStore, champion: Path, rasa_server: Any) -> None:
    rasa_server.answer = (500, {"message": "no"})
    with pytest.raises(ModelError, match="500, no"):
        retrain(reviewed, replace(PLAN, server=rasa_server.url), FakeTrain(), measured())
    assert read_registry(Path("models")).champions == ("old.tar.gz",)
    assert len(list(Path("models/candidates").glob("*.tar.gz"))) == 1
    assert [p.name for p in Path("models").glob("*.tar.gz")] == ["old.tar.gz"]


def test_the_sets_hold_out_and_hold_corrections(reviewed: ReviewStore, champion: Path) -> None:
    seen: list[tuple[str, Sets]] = []

    def watch(model: Path, sets: Sets) -> dict[str, Any]:
        seen.append((model.name, sets))
        return figures(**GOOD)

    retrain(reviewed, PLAN, FakeTrain(), watch)
    assert seen[0][0] == "old.tar.gz"
    sets = seen[0][1]
    assert sets.nlu[0]["text"] == "钱退到哪张卡了呀"
    assert sets.strategy[0]["strategy"] == ["manage_emotion", "verify_identity"]
    assert sets.corrected_nlu[0]["intent"] == "ask_refund_status"
    assert sets.corrected_strategy[0] == {"context": [["user", "钱呢 都五天了"]], "strategy": ["manage_emotion"]}


def test_notes_on_the_generator_and_on_a_config_that_ignores_dialogues(reviewed: ReviewStore, champion: Path) -> None:
    Path("config.yml").write_text("pipeline: []\n", encoding="utf-8")
    outcome = retrain(reviewed, replace(PLAN, generator_from=1), FakeTrain(), measured())
    told = "kefu train generator --data data/dialogues --data var/feedback/dialogues"
    assert any(told in note for note in outcome.notes)
    assert any("config.yml does not name" in note for note in outcome.notes)
    json.dumps(outcome.as_dict())


def test_dry_run_writes_nothing(reviewed: ReviewStore, champion: Path) -> None:
    before = sorted(p for p in Path().rglob("*") if p.is_file() and p.suffix != ".db")
    outcome = plan_only(reviewed, PLAN)
    assert outcome.champion == "old.tar.gz"
    assert "train" in outcome.command
    assert len(outcome.export.examples) == 1
    assert sorted(p for p in Path().rglob("*") if p.is_file() and p.suffix != ".db") == before


@pytest.mark.parametrize(
    "missing", ["data/heldout/nlu.jsonl", "data/heldout/strategy.jsonl", "domain.yml", "config.yml"]
)
def test_what_is_missing_is_told_before_training(reviewed: ReviewStore, champion: Path, missing: str) -> None:
    Path(missing).unlink()
    train = FakeTrain()
    with pytest.raises(NotFound, match=missing):
        retrain(reviewed, PLAN, train, measured())
    assert train.commands == []


def test_a_champion_that_changed_is_told_before_training(reviewed: ReviewStore, champion: Path) -> None:
    retrain(reviewed, PLAN, FakeTrain(), measured(intent=0.1))
    champion.write_bytes(b"new")
    train = FakeTrain()
    with pytest.raises(KefuError, match="not the file that was recorded"):
        retrain(reviewed, PLAN, train, measured())
    assert train.commands == []


def test_failed_training_quotes_the_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "train.log"
    code = "print('hello'); print('InvalidConfig: no such component'); raise SystemExit(3)"
    with pytest.raises(ModelError, match=r"failed \(3\): InvalidConfig: no such component The whole log"):
        run_rasa_train([sys.executable, "-c", code], log)
    assert "hello" in log.read_text(encoding="utf-8")


def test_training_without_a_model_is_an_error(reviewed: ReviewStore, champion: Path) -> None:
    with pytest.raises(ModelError, match="left no"):
        retrain(reviewed, PLAN, lambda command, log: None, measured())


def test_measure(fake_model: Any) -> None:
    model = fake_model(
        {"a": ("thank", "happy"), "b": ("thank", None), "c": (None, "angry")},
        {"x": ["inform", "greet"], "y": ["other", "clarify", "greet", "inform"]},
    )
    sets = Sets(
        nlu=[
            {"text": "a", "context": "请讲", "intent": "thank", "emotion": "happy"},
            {"text": "b", "intent": "greet", "emotion": "neutral"},
            {"text": "c", "intent": "thank"},
        ],
        strategy=[
            {"context": [["user", "x"]], "strategy": ["inform"]},
            {"context": [["user", "y"]], "strategy": ["greet", "suggest"]},
        ],
        corrected_nlu=[{"text": "a", "intent": "thank", "emotion": "angry"}],
    )
    found = measure(model, sets)
    assert found["intent"] == {"n": 3, "accuracy": pytest.approx(1 / 3), "macro_f1": pytest.approx(0.25)}
    assert found["emotion"]["n"] == 2
    assert found["emotion"]["accuracy"] == 0.5
    assert found["strategy"] == {"n": 2, "top1": 0.5, "top3": 1.0}
    assert (found["corrections"]["intent"], found["corrections"]["emotion"]) == (1.0, 0.0)
    assert found["latency_ms"] == {"p50": 2.0, "p95": 2.0}
    assert model.asked[0] == ("a", "请讲")


@pytest.mark.parametrize(
    ("n", "drop", "tolerance", "good"),
    [
        (400, 0.009, None, True),
        (400, 0.011, None, False),
        (50, 0.019, None, True),
        (50, 0.021, None, False),
        (400, 0.001, 0.0, False),
        (400, 0.04, 0.05, True),
        (400, -0.1, 0.0, True),
    ],
)
def test_tolerance_follows_the_size_of_the_set(n: int, drop: float, tolerance: float | None, good: bool) -> None:
    before = figures(0.9, 0.9, 0.9, n)
    lines = compare(before, figures(0.9, 0.9 - drop, 0.9, n), tolerance)
    assert all(line.good for line in lines) == good


def test_corrections_decide_nothing() -> None:
    before = figures(0.9, 0.9, 0.9)
    before["corrections"]["intent"] = 1.0
    lines = compare(before, figures(0.9, 0.9, 0.9))
    assert all(line.good for line in lines)
    assert [line.figure for line in lines if line.figure.startswith("corrected")] == [
        "corrected intents",
        "corrected emotions",
    ]


def log_choices(store: ReviewStore, customers: int = 160, at: str = "up") -> list[Choice]:
    """Two choices a customer; a thumb for each: ``at`` for inform, the other for suggest."""
    random = np.random.default_rng(3)
    message = Message("user", "这款怎么样", {"ask_product_info": 1.0}, {"neutral": 1.0})
    rows = []
    for i in range(2 * customers):
        strategy, propensity = (("inform", 0.7), ("suggest", 0.3))[int(random.random() < 0.3)]
        made = Choice(
            str(i), f"c{i // 2}", float(i), History([message]), 2, strategy, propensity, ("inform", "suggest"), 0.0
        )
        thumb = at if (strategy == "inform") == (random.random() < 0.9) else {"up": "down", "down": "up"}[at]
        choice = {k: v for k, v in made.as_dict().items() if k != "reward"}
        signals = asdict(Signals(thumb=thumb))
        explored = strategy == "suggest"
        rows.append({"key": made.key, "at": made.at, "explored": explored, "choice": choice, "signals": signals})
    with store.engine.begin() as connection:
        save_choices(connection, rows)
    return stored_decisions(store)


def choosing(champion: str, challenger: str) -> Callable[[Path, Sets], dict[str, Any]]:
    """Models of the same figures that choose these strategies throughout."""

    def run(model: Path, sets: Sets) -> dict[str, Any]:
        taken = challenger if model.parent.name == "candidates" else champion
        learned = {"why": "kept: it gains"} if model.parent.name == "candidates" else None
        return {**figures(**GOOD), "policy": {"choices": [taken] * len(sets.decisions), "learned": learned}}

    return run


def test_a_policy_that_earns_less_is_refused(reviewed: ReviewStore, champion: Path) -> None:
    log_choices(reviewed)
    outcome = retrain(reviewed, PLAN, FakeTrain(), choosing("inform", "suggest"))
    assert not outcome.promoted
    assert [line.figure for line in outcome.lines if not line.good] == ["strategy reward"]
    assert outcome.policy is not None and outcome.policy.difference.high < 0
    told = outcome.as_dict()["policy"]
    assert told["good"] is False and told["champion"]["dr"]["value"] > told["challenger"]["dr"]["value"]
    assert "policy" not in read_registry(Path("models")).models[0].figures
    json.dumps(outcome.as_dict())


def test_a_policy_that_earns_more_or_the_same_is_promoted(reviewed: ReviewStore, champion: Path) -> None:
    decisions = log_choices(reviewed, at="down")
    outcome = retrain(reviewed, PLAN, FakeTrain(), choosing("inform", "suggest"))
    assert outcome.promoted
    assert outcome.policy is not None and outcome.policy.difference.low > 0
    assert outcome.learned == {"why": "kept: it gains"}
    assert any("kept: it gains" in note for note in outcome.notes)
    taught = read_decisions(Path("var/feedback/decisions.jsonl"))
    assert taught and not any(d.judges for d in taught)
    assert len(taught) + outcome.policy.champion.n == len(decisions)
    same = contest([d for d in decisions if d.judges], *[["inform"] * outcome.policy.champion.n] * 2)
    assert same.good and (same.difference.low, same.difference.high) == (0.0, 0.0)


def test_the_margin_is_what_may_be_lost(reviewed: ReviewStore, champion: Path) -> None:
    log_choices(reviewed)
    outcome = retrain(reviewed, replace(PLAN, policy_margin=2.0), FakeTrain(), choosing("inform", "suggest"))
    assert outcome.promoted


def test_too_few_choices_decide_nothing_and_are_told(reviewed: ReviewStore, champion: Path) -> None:
    log_choices(reviewed, customers=20)
    Path("var/feedback").mkdir(parents=True, exist_ok=True)
    Path("var/feedback/decisions.jsonl").write_text("stale", encoding="utf-8")
    outcome = retrain(reviewed, PLAN, FakeTrain(), choosing("inform", "suggest"))
    assert outcome.promoted and outcome.policy is None
    assert not Path("var/feedback/decisions.jsonl").exists()
    assert any("200 are needed" in note and "exploration" in note for note in outcome.notes)
    assert any("are not compared by feedback" in note for note in outcome.notes)


def test_a_config_that_reads_no_decisions_is_told(reviewed: ReviewStore, champion: Path) -> None:
    log_choices(reviewed)
    deaf = choosing("inform", "inform")
    outcome = retrain(
        reviewed,
        PLAN,
        FakeTrain(),
        lambda model, sets: {**(f := deaf(model, sets)), "policy": {**f["policy"], "learned": None}},
    )
    assert any("does not read var/feedback/decisions.jsonl" in note for note in outcome.notes)


def test_evaluate_policy_prints_estimates(reviewed: ReviewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    decisions = log_choices(reviewed)

    class Bridge:
        @staticmethod
        def load(path: Path) -> Any:
            strategy = path.stem
            return SimpleNamespace(choices=lambda rows: [strategy] * len(rows))

    monkeypatch.setitem(sys.modules, "kefu.rasa_bridge", SimpleNamespace(RasaModel=Bridge))
    command = ["evaluate", "policy", "--model", "inform", "--against", "suggest"]
    told = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert list(told) == ["logged", "model", "against", "difference"]
    assert told["model"]["n"] == sum(d.judges for d in decisions)
    for kind in ("snips", "dr"):
        assert told["model"][kind]["low"] < 0.8 < told["model"][kind]["high"]
        assert told["against"][kind]["low"] < -0.8 < told["against"][kind]["high"]
    assert told["difference"]["low"] > 1.0
    shown = CliRunner().invoke(app, command).stdout
    assert "earned" in shown and "more than the other" in shown
    everyone = json.loads(CliRunner().invoke(app, [*command[:4], "--everyone", "--json"]).stdout)
    assert everyone["model"]["n"] == len(decisions)


def test_evaluate_policy_wants_choices(project: Path, store: ReviewStore) -> None:
    result = CliRunner().invoke(app, ["evaluate", "policy"])
    assert isinstance(result.exception, DataError)
    assert "0 choices of 0 customers" in str(result.exception) and "exploration" in str(result.exception)


def test_a_model_file_is_measured_through_the_bridge(
    tmp_path: Path, fake_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []

    class Bridge:
        @staticmethod
        def load(path: Path) -> Any:
            loaded.append(path)
            return fake_model({"a": ("thank", "happy")}, {})

    monkeypatch.setitem(sys.modules, "kefu.rasa_bridge", SimpleNamespace(RasaModel=Bridge))
    sets = {"nlu": [{"text": "a", "intent": "thank", "emotion": "happy"}], "strategy": []}
    (tmp_path / "sets.json").write_text(json.dumps(sets), encoding="utf-8")
    main("m.tar.gz", str(tmp_path / "sets.json"), str(tmp_path / "out.json"))
    assert loaded == [Path("m.tar.gz")]
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["intent"]["accuracy"] == 1.0


def test_the_process_apart_gives_figures_or_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def process(command: list[str], **options: Any) -> SimpleNamespace:
        seen.append(json.loads(Path(command[-2]).read_text(encoding="utf-8")))
        if command[-3] == "good.tar.gz":
            Path(command[-1]).write_text('{"intent": {}}', encoding="utf-8")
            return SimpleNamespace(returncode=0, stderr="")
        return SimpleNamespace(returncode=1, stderr="Traceback\nModelNotFound: no such model\n")

    monkeypatch.setattr("kefu.feedback.measure.subprocess.run", process)
    sets = Sets([{"text": "a"}], [], [{"text": "b"}])
    assert measure_apart(Path("good.tar.gz"), sets) == {"intent": {}}
    assert seen[0] == {
        "nlu": [{"text": "a"}],
        "strategy": [],
        "corrected_nlu": [{"text": "b"}],
        "corrected_strategy": [],
        "decisions": [],
    }
    with pytest.raises(ModelError, match=r"'bad\.tar\.gz' could not be measured: ModelNotFound: no such model"):
        measure_apart(Path("bad.tar.gz"), sets)


def test_rows_of_a_broken_file_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('{"text": "a"}\n[1]\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.jsonl:2"):
        read_rows(file)
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="no rows"):
        read_rows(file)
