"""`kefu why`: what a newcomer sees of a choice."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from kefu.cli import why

WHY = {
    "strategy": "manage_emotion",
    "scores": {"manage_emotion": 0.81, "inform": 0.1, "resolve": 0.06, "other": 0.03},
    "rules": ["soothe_first"],
    "mattered": {"emotion": 1.2, "facts": -0.3},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    bridge: Any = ModuleType("kefu.rasa_bridge")
    fake = SimpleNamespace(explain=lambda turns, facts: found.append((turns, facts)) or WHY)
    bridge.RasaModel = SimpleNamespace(load=lambda path: fake)
    monkeypatch.setitem(sys.modules, "kefu.rasa_bridge", bridge)
    return found


def run(*options: str) -> str:
    app = typer.Typer()
    app.command()(why.command)
    result = CliRunner().invoke(app, list(options))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_it_tells_the_rivals_the_rules_and_what_mattered(asked: list[Any], tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    rows = [
        {"context": [["user", "都5天了"]], "facts": {"eta": "明天"}},
        {"context": [["user", "在"], ["agent", "在的"], ["user", "没到"]]},
    ]
    data.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    page = run("--data", str(data))
    assert asked == [([("user", "都5天了")], {"eta": "明天"}), ([tuple(t) for t in rows[1]["context"]], None)]
    first = page.split("\n\n")[0]
    assert "manage_emotion" in first and "81%" in first
    assert "other" not in first, "three are enough"
    assert "soothe_first" in first and "emotion +1.20, facts -0.30" in first


def test_json_is_all_there_is(asked: list[Any], tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"context": [["user", "都5天了"]]}\n', "utf-8")
    assert json.loads(run("--data", str(data), "--json")) == WHY
