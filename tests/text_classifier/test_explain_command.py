"""`kefu explain` on a toy model, packed as Rasa packs it."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kefu.cli import app
from kefu.errors import DataError, KefuError, ModelCorrupt, ModelError, ModelNotFound
from kefu.text_classifier.archive import unpacked

COMPONENT = "components/train_components.intent_classifier.BertIntentClassifier1"


def packed(folder: Path, models: Path, into: str = COMPONENT) -> Path:
    """A model archive with the classifier's ``folder`` in it."""
    models.mkdir()
    with tarfile.open(models / "toy.tar.gz", "w:gz") as file:
        file.add(folder, into)
        file.add(folder / "tokenizer.json", "components/another/tokenizer.json")
    return models


@pytest.fixture(scope="module")
def models(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(saved, tmp_path_factory.mktemp("explain") / "models")


def run(*arguments: str) -> Result:
    """The result of `kefu explain ARGUMENTS`; errors that are no KefuError are the test's."""
    result = CliRunner().invoke(app, ["explain", *arguments])
    if result.exception and not isinstance(result.exception, (KefuError, SystemExit)):
        raise result.exception
    return result


def test_json_is_one_object(models: Path) -> None:
    result = run("我要退款气气气", "--context", "订单号", "--model", str(models), "--json")
    found = json.loads(result.stdout)
    assert list(found) == ["intent", "emotion"]
    assert found["intent"]["label"] == "refund" and found["emotion"]["label"] == "angry"
    assert [c for c, _ in found["intent"]["characters"]] == list("我要退款气气气")
    assert [c for c, _ in found["emotion"]["context_characters"]] == list("订单号")
    assert found["intent"]["completeness_error"] < 0.5


def test_the_terminal_shows_labels_text_and_words(models: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "why.html"
    result = run("我要退款", "--model", str(models / "toy.tar.gz"), "--html", str(file))
    assert "intent: refund" in result.output and "emotion: neutral" in result.output
    assert result.output.count("我要退款") == 2 and "%" in result.output
    assert f"wrote {file}" in result.output.replace("\n", "") and "我要退款" in file.read_text(encoding="utf-8")


def test_square_brackets_are_text(models: Path) -> None:
    assert "[red]退款[/]" in run("[red]退款[/]", "--model", str(models)).output


def test_an_unpacked_classifier_will_do(saved: Path) -> None:
    assert "intent: refund" in run("退款", "--model", str(saved)).output


def test_an_older_model_is_named_and_not_its_scratch_folder(saved: Path, tmp_path: Path) -> None:
    older = Path(shutil.copytree(saved, tmp_path / "older"))
    (older / "config.json").unlink()
    models = packed(older, tmp_path / "models")
    error = run("退款", "--model", str(models)).exception
    assert isinstance(error, ModelError) and str(models / "toy.tar.gz") in str(error) and "Train again" in str(error)


def test_what_is_wrong_is_told(models: Path, saved: Path, tmp_path: Path) -> None:
    assert isinstance(run(" ", "--model", str(models)).exception, DataError)
    assert isinstance(run("退款", "--model", str(tmp_path)).exception, ModelNotFound)
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes((models / "toy.tar.gz").read_bytes()[:20_000])
    with pytest.raises(ModelCorrupt, match=r"cut\.tar\.gz"), unpacked(cut):
        pass
    (tmp_path / "bare").mkdir()
    with pytest.raises(ModelNotFound, match="has no classifier"), unpacked(_bare(saved, tmp_path / "bare.tar.gz")):
        pass


def _bare(saved: Path, file: Path) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        tar.add(saved / "tokenizer.json", "components/another/tokenizer.json")
    return file


def test_an_archives_paths_lead_nowhere(saved: Path, tmp_path: Path) -> None:
    models = packed(saved, tmp_path / "models", into="../../../../escaped")
    with unpacked(models / "toy.tar.gz") as folder:
        assert sorted(p.name for p in folder.iterdir()) == [
            "classifier.json",
            "config.json",
            "model.onnx",
            "tokenizer.json",
        ]
    assert not folder.exists()
    assert not list(tmp_path.parent.rglob("escaped"))
