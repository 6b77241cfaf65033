from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kefu.cli.evaluate import app
from kefu.errors import DataError, NotFound
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
