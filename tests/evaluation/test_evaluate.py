from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from kefu.cli.evaluate import app
from kefu.errors import DataError, NotFound
from kefu.evaluation.entities import EntityRow, evaluate_entities, read_entity_rows
from kefu.evaluation.nlu import evaluate_nlu, read_nlu_rows
from kefu.evaluation.strategy import evaluate_strategy, read_strategy_rows
from tests.evaluation.conftest import TableModel

Write = Callable[[list[Any]], Path]


def test_nlu_figures(table_model: TableModel, jsonl: Write) -> None:
    rows = [
        {"text": "greet:happy", "intent": "greet", "emotion": "happy"},
        {"text": "greet:angry", "intent": "thank"},
        {"text": "thank:angry", "context": "不客气", "intent": "thank", "emotion": "neutral"},
        {"text": "", "emotion": "neutral"},
    ]
    figures = evaluate_nlu(table_model, read_nlu_rows(jsonl(rows)))
    assert figures["intent"]["n"] == 3 and figures["emotion"]["n"] == 3
    assert figures["intent"]["accuracy"] == pytest.approx(2 / 3)
    assert figures["intent"]["macro_f1"] == pytest.approx(2 / 3)
    assert figures["intent"]["ece"] == pytest.approx(0.9 - 2 / 3)
    assert figures["emotion"]["accuracy"] == pytest.approx(1 / 3)
    assert figures["latency_ms"] == {"p50": pytest.approx(11.0), "p95": pytest.approx(11.0)}
    assert table_model.contexts[-4:] == [None, None, "不客气", None]


def test_strategy_figures(table_model: TableModel, jsonl: Write) -> None:
    rows = [
        {"context": [["user", "inform suggest other"]], "strategy": ["suggest", "inform"]},
        {"context": [["user", "greet clarify inform"]], "strategy": ["inform"]},
        {"context": [["user", "greet clarify other inform"]], "strategy": "inform"},
    ]
    figures = evaluate_strategy(table_model, read_strategy_rows(jsonl(rows)))
    assert figures["n"] == 3
    assert figures["top1"] == pytest.approx(1 / 3) and figures["top3"] == pytest.approx(2 / 3)
    assert figures["macro_f1"] == pytest.approx(2 * 1 / (3 + 1))


def test_entity_figures(jsonl: Write) -> None:
    class Finder:
        """Takes every run of a for a size and every 0 for a type that the rows do not carry."""

        def parse(self, text: str) -> Any:
            places = [("size", *m.span()) for m in re.finditer("a+", text)]
            places += [("zero", *m.span()) for m in re.finditer("0", text)]
            return SimpleNamespace(entities=[{"entity": k, "start": s, "end": e} for k, s, e in places])

    rows = [
        {"text": "a0a", "entities": [{"entity": "size", "value": "a"}, {"entity": "size", "value": "a"}]},
        {"text": "aab", "entities": [{"entity": "size", "value": "a"}, {"entity": "color", "value": "b"}]},
        {"text": "0", "entities": []},
    ]
    read = read_entity_rows(jsonl(rows))
    assert read[0].spans == (("size", 0, 1), ("size", 2, 3))
    figures = evaluate_entities(Finder(), read)
    assert list(figures) == ["color", "size", "micro"]
    assert figures["color"] == {"n": 1, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert figures["size"] == {"n": 3, "precision": pytest.approx(2 / 3), "recall": pytest.approx(2 / 3), "f1": 4 / 6}
    assert figures["micro"] == {"n": 4, "precision": pytest.approx(2 / 3), "recall": 0.5, "f1": pytest.approx(4 / 7)}
    assert evaluate_entities(Finder(), [EntityRow("a", ())])["micro"]["f1"] == 0.0


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"entities": []}, "'text'"),
        ({"text": "a"}, "'entities'.*None"),
        ({"text": "a", "entities": ["a"]}, "'a'"),
        ({"text": "a", "entities": [{"entity": "size"}]}, "size"),
        ({"text": "a", "entities": [{"entity": "size", "value": "b"}]}, "'b' does not stand"),
        ({"text": "ab", "entities": [{"entity": "x", "value": v} for v in "ba"]}, "'a' does not stand"),
    ],
)
def test_bad_entity_rows_are_named(jsonl: Write, row: Any, named: str) -> None:
    with pytest.raises(DataError, match=rf"rows\.jsonl, line 1.*{named}"):
        read_entity_rows(jsonl([row]))


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"intent": "greet"}, "'text'"),
        ({"text": "a", "intent": "nope"}, "nope"),
        ({"text": "a", "emotion": "sad"}, "sad"),
        ({"text": "a", "context": 3}, "context.*3"),
        ("{", "JSON"),
        ([1], "object"),
    ],
)
def test_bad_nlu_rows_are_named(jsonl: Write, row: Any, named: str) -> None:
    with pytest.raises(DataError, match=rf"rows\.jsonl, line 2.*{named}"):
        read_nlu_rows(jsonl([{"text": "a"}, row]))


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"context": [], "strategy": ["inform"]}, "context"),
        ({"context": [["bot", "a"]], "strategy": ["inform"]}, "bot"),
        ({"context": [["user"]], "strategy": ["inform"]}, "context"),
        ({"context": [["user", "a"]], "strategy": ["smile"]}, "smile"),
        ({"context": [["user", "a"]], "strategy": []}, "strategy"),
        ({"context": [["user", "a"]]}, "strategy"),
    ],
)
def test_bad_strategy_rows_are_named(jsonl: Write, row: Any, named: str) -> None:
    with pytest.raises(DataError, match=rf"rows\.jsonl, line 1.*{named}"):
        read_strategy_rows(jsonl([row]))


def test_missing_and_empty_files(tmp_path: Path, jsonl: Write) -> None:
    with pytest.raises(NotFound, match=r"none\.jsonl"):
        read_nlu_rows(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="no rows"):
        read_nlu_rows(jsonl(["", ""]))


@pytest.fixture()
def loaded(table_model: TableModel, monkeypatch: pytest.MonkeyPatch) -> TableModel:
    """RasaModel.load gives the table model, and chatters as libraries do."""

    def load(path: Path) -> TableModel:
        print("Loading model ...")
        os.write(1, b"Loading weights ...\n")
        return table_model

    monkeypatch.setattr("kefu.rasa_bridge.RasaModel.load", load)
    return table_model


def test_with_json_stdout_is_one_object(loaded: TableModel, jsonl: Write, capfd: pytest.CaptureFixture[str]) -> None:
    path = jsonl([{"context": [["user", "inform"]], "strategy": ["inform"]}])
    app(["strategy", "--model", "m", "--data", str(path), "--json"], standalone_mode=False)
    out, err = capfd.readouterr()
    assert json.loads(out) == {"n": 1, "top1": 1.0, "top3": 1.0, "macro_f1": 1.0}
    assert "Loading model" in err and "Loading weights" in err


def test_without_json_there_is_a_table(loaded: TableModel, jsonl: Write) -> None:
    path = jsonl([{"text": "greet:happy", "intent": "greet", "emotion": "happy"}])
    result = CliRunner().invoke(app, ["nlu", "--model", "m", "--data", str(path)])
    assert result.exit_code == 0
    assert "macro_f1" in result.output and "1.000" in result.output


def test_entities_are_measured_by_the_command(monkeypatch: pytest.MonkeyPatch, jsonl: Write) -> None:
    model = SimpleNamespace(
        parse=lambda text: SimpleNamespace(entities=[{"entity": "size", "start": 0, "end": 2}] if text else [])
    )
    monkeypatch.setattr("kefu.rasa_bridge.RasaModel.load", lambda path: model)
    path = jsonl([{"text": "XL", "entities": [{"entity": "size", "value": "XL"}]}, {"text": "", "entities": []}])
    result = CliRunner().invoke(app, ["entities", "--data", str(path), "--json"])
    whole = {"n": 1, "precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert result.exit_code == 0 and json.loads(result.output) == {"size": whole, "micro": whole}
    table = CliRunner().invoke(app, ["entities", "--data", str(path)])
    assert all(word in table.output for word in ("size", "micro", "precision", "1.000"))


def test_baselines_are_the_commonest_strategy_and_the_rules_alone() -> None:
    from kefu.dialogues import Dialogue, Turn
    from kefu.evaluation.strategy import StrategyRow, baselines
    from kefu.taxonomy import STRATEGIES

    class Ruled:
        """Takes what agents use most at this place, the first reply of a turn or a later one."""

        def strategies(self, context: Any, facts: Any = None, habit: Any = None) -> list[tuple[str, float]]:
            shares = habit[context[-1][0] == "agent"]
            assert sum(shares) == pytest.approx(1.0)
            return sorted(zip(STRATEGIES, shares), key=lambda pair: -pair[1])

    def agent(strategy: str) -> Turn:
        return Turn("agent", "…", strategy=strategy)

    user = Turn("user", "…", intent="greet", emotion="neutral")
    talk = Dialogue("d", "s", (user, agent("inform"), agent("suggest"), user, agent("inform")))
    rows = [StrategyRow((("user", "a"),), ("inform",)), StrategyRow((("user", "a"), ("agent", "b")), ("suggest",))]
    found = baselines(Ruled(), rows, [talk])
    assert found["majority"]["top1"] == 0.5 and found["majority"]["top3"] == 1.0
    assert found["rules only"]["top1"] == 1.0 and found["rules only"]["n"] == 2
