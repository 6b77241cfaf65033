"""The commands of the loop: what they print, what they refuse, and that --json is one object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kefu.cli import app
from kefu.errors import KefuError
from kefu.feedback import ReviewStore
from tests.tracker_store import TrackerStore


def run(*arguments: str) -> Result:
    """The result of `kefu ARGUMENTS`; errors that are no KefuError are the test's."""
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, (KefuError, SystemExit)):
        raise result.exception
    return result


def error_of(*arguments: str) -> str:
    """The one line that the command ends with."""
    result = run(*arguments)
    assert isinstance(result.exception, KefuError), result.output
    text = str(result.exception)
    assert "\n" not in text
    return text


@pytest.fixture
def harvested(project: Path, tracker: TrackerStore) -> TrackerStore:
    """A tracker store named by endpoints.yml with one conversation."""
    Path("endpoints.yml").write_text(
        "tracker_store:\n  type: SQL\n  dialect: sqlite\n  db: var/tracker.db\n", encoding="utf-8"
    )
    tracker.start("c1")
    tracker.user("c1", "钱呢 都五天了 13812340816", "ask_price", "neutral")
    tracker.facts("c1", refund_date="11月20日")
    tracker.bot("c1", "请稍等。", "other")
    assert tracker.engine, "the events are written"
    return tracker


def test_the_loop_by_hand(harvested: TrackerStore) -> None:
    assert json.loads(run("feedback", "harvest", "--json").stdout)["added"] == 1
    assert "0 items added" in run("feedback", "harvest").stdout
    listed = json.loads(run("feedback", "list", "--json").stdout)
    assert listed["counts"]["open"] == 1
    assert "13812340816" not in json.dumps(listed)
    decided = run(
        *("feedback", "review", "--id", "1", "--intent", "ask_refund_status", "--strategy", "inform"),
        *("--reply", "{refund_date}已退，{refund_eta}到账。", "--fact", "refund_eta=1到3个工作日"),
        *("--reviewer", "李", "--json"),
    )
    item = json.loads(decided.stdout)
    assert (item["status"], item["reviewer"], item["reviewed_intent"]) == ("corrected", "李", "ask_refund_status")
    exported = json.loads(run("feedback", "export", "--json").stdout)
    assert (exported["examples"], exported["dialogues"], exported["better_replies"]) == (1, 1, 1)
    files = ["nlu/feedback.yml", "dialogues/feedback.yml", "preferences.jsonl"]
    assert exported["files"] == [f"var/feedback/{name}" for name in files]
    assert exported["pairs"] == 1
    assert "1 examples, 1 dialogues, 1 pairs of replies." in run("feedback", "export").stdout
    assert "[corrected]" in run("feedback", "list", "--status", "corrected").stdout


def test_reviewing_by_terminal(harvested: TrackerStore, store: ReviewStore) -> None:
    run("feedback", "harvest")
    result = CliRunner().invoke(app, ["feedback", "review", "--reviewer", "李"], input="a\n")
    assert result.exit_code == 0, result.output
    assert store.get(1).status == "accepted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["feedback", "review", "--id", "99", "--accept"], "no review item with id 99"),
        (["feedback", "review", "--id", "1", "--intent", "refund"], "There is no intent 'refund'"),
        (["feedback", "review", "--id", "1"], "Say what you decide"),
        (["feedback", "review", "--id", "1", "--accept", "--intent", "greet"], "either --accept"),
        (["feedback", "review", "--id", "1", "--skip", "--intent", "greet"], "--skip goes with no other"),
        (["feedback", "review", "--accept"], "needs --id"),
        (["feedback", "review", "--id", "1", "--reply", "好", "--fact", "eta"], "--fact has value 'eta'"),
        (["feedback", "review", "--id", "1", "--reply", "48小时内退"], "48小时"),
        (["feedback", "list", "--status", "new"], "no status 'new'"),
        (["feedback", "harvest", "--tracker-url", "sqlite:///none.db"], "no database 'none.db'"),
        (["feedback", "harvest", "--endpoints", "none.yml"], "no 'none.yml'"),
        (["feedback", "export", "--max-share", "2"], "--max-share"),
        (["models", "promote", "none.tar.gz"], "no model 'none.tar.gz'"),
        (["models", "rollback"], "no earlier champion"),
        (["data", "check", "--data", "none"], "no folder 'none'"),
    ],
)
def test_errors_are_one_line(harvested: TrackerStore, arguments: list[str], message: str) -> None:
    run("feedback", "harvest")
    assert message in error_of(*arguments)


def test_list_says_where_to_begin(project: Path) -> None:
    assert "kefu feedback harvest" in run("feedback", "list").stdout


def test_models_list_promote_rollback(project: Path, rasa_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEFU_RASA_URL", rasa_server.url)
    assert "rasa train" in run("models", "list").stdout
    (project / "models" / "candidates").mkdir(parents=True)
    (project / "models" / "old.tar.gz").write_bytes(b"old")
    (project / "models" / "candidates" / "new.tar.gz").write_bytes(b"new")
    listed = json.loads(run("models", "list", "--json").stdout)["models"]
    assert [(m["file"], m["status"], m["newest"]) for m in listed] == [("old.tar.gz", "unrecorded", True)]
    done = json.loads(run("models", "promote", "new.tar.gz", "--json").stdout)
    assert done["champion"] == "new.tar.gz"
    assert done["server"]["state"] == "switched"
    assert rasa_server.model == "new.tar.gz"
    assert "old.tar.gz is the champion again" in run("models", "rollback").stdout
    assert rasa_server.model == "old.tar.gz"
    statuses = {m["file"]: m["status"] for m in json.loads(run("models", "list", "--json").stdout)["models"]}
    assert statuses == {"old.tar.gz": "champion", "new.tar.gz": "archived"}
    assert run("models", "promote", "new.tar.gz", "--no-switch").exit_code == 0
    assert rasa_server.model == "old.tar.gz"


def test_retrain_dry_run(harvested: TrackerStore) -> None:
    run("feedback", "harvest")
    run("feedback", "review", "--id", "1", "--accept")
    shown = run("retrain", "--dry-run").stdout
    assert "would export 1 examples" in shown
    assert "-m rasa train --data data" in shown
    assert json.loads(run("retrain", "--dry-run", "--json").stdout)["promoted"] is False


def test_retrain_shows_the_contest(harvested: TrackerStore, monkeypatch: pytest.MonkeyPatch, project: Path) -> None:
    from kefu.feedback import retrain as module

    def train(command: list[str], log: Path) -> None:
        Path("models/candidates").mkdir(parents=True, exist_ok=True)
        name = command[command.index("--fixed-model-name") + 1]
        Path(f"models/candidates/{name}.tar.gz").write_bytes(b"new")

    def figures(model: Path, sets: Any) -> dict[str, Any]:
        worse = model.parent.name == "candidates"
        share = {"n": 400, "accuracy": 0.5, "macro_f1": 0.5 if worse else 0.9, "top1": 0.5}
        corrections = {"n": 0, "strategy_n": 0, "intent": 0.0, "emotion": 0.0, "strategy": 0.0}
        return {"intent": share, "emotion": share, "strategy": share, "corrections": corrections}

    monkeypatch.setattr(module.retrain, "__defaults__", (train, figures, lambda message: None))
    (project / "models").mkdir()
    (project / "models" / "old.tar.gz").write_bytes(b"old")
    result = run("retrain")
    assert "not promoted, worse in intent macro-F1, emotion macro-F1. old.tar.gz stays." in result.stdout
    assert "kefu models promote kefu-" in result.stdout
    assert json.loads(run("retrain", "--json", "--tolerance", "0.5").stdout)["promoted"] is True


@pytest.mark.parametrize(
    "command",
    [["feedback"], ["retrain"], ["models"], ["report"], ["data", "check"]]
    + [["feedback", c] for c in ("harvest", "list", "review", "export")]
    + [["models", c] for c in ("list", "promote", "rollback")],
)
def test_help(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.output
