"""The registry remembers models and champions, and a file that changed behind its back is not served."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kefu.errors import DataError, KefuError, ModelCorrupt, ModelError, ModelNotFound
from kefu.feedback.registry import (
    adopt,
    locate,
    locked,
    newest_model,
    read_registry,
    record_of,
    verify,
    write_registry,
)
from kefu.feedback.retrain import Plan, promote, rollback


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two served models, the second one newer, and a candidate."""
    folder = tmp_path / "models"
    (folder / "candidates").mkdir(parents=True)
    for n, name in enumerate(("first", "second", "candidates/third")):
        path = folder / f"{name}.tar.gz"
        path.write_bytes(name.encode())
        os.utime(path, (1000 + n, 1000 + n))
    return folder


def statuses(folder: Path) -> dict[str, str]:
    """{file: status}."""
    return {m.file: m.status for m in read_registry(folder).models}


def test_without_a_registry_the_newest_model_is_champion(models: Path) -> None:
    registry = adopt(models, read_registry(models))
    assert registry.champion is not None
    assert registry.champion.file == "second.tar.gz", "candidates are not served"


def test_promote_moves_a_candidate_and_archives_the_champion(models: Path) -> None:
    done = promote(Plan(models=models), models / "candidates" / "third.tar.gz")
    assert done.state == "left alone"
    assert statuses(models) == {"second.tar.gz": "archived", "third.tar.gz": "champion"}
    assert not (models / "candidates" / "third.tar.gz").exists()
    newest = newest_model(models)
    assert newest is not None
    assert newest.name == "third.tar.gz", "`rasa run` loads what was modified last"


def test_rollback_goes_back_step_by_step(models: Path) -> None:
    plan = Plan(models=models)
    promote(plan, models / "first.tar.gz")
    promote(plan, models / "candidates" / "third.tar.gz")
    assert rollback(plan)[0] == "first.tar.gz"
    newest = newest_model(models)
    assert newest is not None
    assert newest.name == "first.tar.gz"
    assert rollback(plan)[0] == "second.tar.gz"
    assert statuses(models) == {
        "first.tar.gz": "archived",
        "second.tar.gz": "champion",
        "third.tar.gz": "archived",
    }
    with pytest.raises(ModelError, match="no earlier champion"):
        rollback(plan)


def test_rollback_passes_over_a_model_that_is_gone(models: Path) -> None:
    plan = Plan(models=models)
    promote(plan, models / "first.tar.gz")
    promote(plan, models / "candidates" / "third.tar.gz")
    (models / "first.tar.gz").unlink()
    assert rollback(plan)[0] == "second.tar.gz"


def test_a_changed_file_is_not_served(models: Path) -> None:
    plan = Plan(models=models)
    promote(plan, models / "first.tar.gz")
    promote(plan, models / "candidates" / "third.tar.gz")
    (models / "first.tar.gz").write_bytes(b"something else")
    with pytest.raises(ModelCorrupt, match="not the file that was recorded"):
        rollback(plan)
    with pytest.raises(ModelCorrupt):
        promote(plan, models / "first.tar.gz")
    assert statuses(models)["third.tar.gz"] == "champion"


def test_a_name_that_is_taken_is_not_overwritten(models: Path) -> None:
    (models / "candidates" / "first.tar.gz").write_bytes(b"other")
    with pytest.raises(ModelError, match="already"):
        promote(Plan(models=models), models / "candidates" / "first.tar.gz")
    assert (models / "first.tar.gz").read_bytes() == b"first"


def test_a_new_challenger_archives_the_last(models: Path) -> None:
    registry = read_registry(models)
    for name in ("first.tar.gz", "candidates/third.tar.gz"):
        registry = registry.with_model(record_of(models, models / name, "challenger"))
    assert {m.file: m.status for m in registry.models} == {
        "first.tar.gz": "archived",
        "candidates/third.tar.gz": "challenger",
    }


def test_registry_survives_a_round_and_a_broken_file_is_named(models: Path) -> None:
    registry = adopt(models, read_registry(models))
    write_registry(models, registry)
    assert read_registry(models) == registry
    document = json.loads((models / "registry.json").read_text(encoding="utf-8"))
    assert document["champions"] == ["second.tar.gz"]
    (models / "registry.json").write_text('{"models": [', encoding="utf-8")
    with pytest.raises(DataError, match=r"registry\.json is broken"):
        read_registry(models)


def test_a_failing_write_leaves_the_old_registry(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_registry(models, adopt(models, read_registry(models)))
    before = (models / "registry.json").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write_registry(models, read_registry(models).with_champion(record_of(models, models / "first.tar.gz")))
    assert (models / "registry.json").read_bytes() == before


def test_locate(models: Path, tmp_path: Path) -> None:
    assert locate(models, "third.tar.gz") == models / "candidates" / "third.tar.gz"
    assert locate(models, "first") == models / "first.tar.gz"
    assert locate(models, str(models / "first.tar.gz")) == models / "first.tar.gz"
    with pytest.raises(ModelNotFound, match="kefu models list"):
        locate(models, "none.tar.gz")
    (tmp_path / "outside.tar.gz").touch()
    with pytest.raises(ModelNotFound, match="copy it there"):
        locate(models, str(tmp_path / "outside.tar.gz"))


def test_verify_names_a_missing_file(models: Path) -> None:
    record = record_of(models, models / "first.tar.gz")
    (models / "first.tar.gz").unlink()
    with pytest.raises(ModelNotFound, match="gone"):
        verify(models, record)


def test_only_one_at_a_time(models: Path) -> None:
    with locked(models), pytest.raises(KefuError, match="Another kefu command"), locked(models):
        pass
