"""The registry of trained models: models/registry.json says which one serves, which did before, how good each is."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kefu.errors import DataError, KefuError, ModelCorrupt, ModelNotFound
from kefu.feedback.store import moment, now

CHAMPION, CHALLENGER, ARCHIVED = "champion", "challenger", "archived"
CANDIDATES = "candidates"  # folder below models/ that `rasa run` does not look into


@dataclass(frozen=True)
class ModelRecord:
    """One model.

    Attributes:
        file: relative to the models folder.
        created: China time, ISO 8601.
        figures: what it reached on the held-out data when it was last measured; empty where it never was.
        status: champion (serves), challenger (trained last and not promoted) or archived.
    """

    file: str
    sha256: str
    created: str
    status: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Registry:
    """All recorded models, oldest first, and the champions in the order in which they came, the present one last."""

    models: tuple[ModelRecord, ...] = ()
    champions: tuple[str, ...] = ()

    @property
    def champion(self) -> ModelRecord | None:
        """The model that serves."""
        return self.find(self.champions[-1]) if self.champions else None

    def find(self, file: str) -> ModelRecord | None:
        """The record of a file."""
        return next((m for m in self.models if m.file == file), None)

    def with_model(self, record: ModelRecord) -> Registry:
        """With this record added or replaced; an earlier challenger makes way for a new one."""
        others = [m for m in self.models if m.file != record.file]
        if record.status == CHALLENGER:
            others = [replace(m, status=ARCHIVED) if m.status == CHALLENGER else m for m in others]
        return replace(self, models=tuple(sorted([*others, record], key=lambda m: (m.created, m.file))))

    def with_champion(self, record: ModelRecord) -> Registry:
        """With this model on top; the champion before it is archived and can be gone back to."""
        return self._crowned(record, (*(f for f in self.champions if f != record.file), record.file))

    def without_champion(self, record: ModelRecord) -> Registry:
        """Gone back to ``record``, an earlier champion; those after it cannot be gone back to."""
        return self._crowned(record, self.champions[: self.champions.index(record.file) + 1])

    def _crowned(self, record: ModelRecord, champions: tuple[str, ...]) -> Registry:
        models = [replace(m, status=ARCHIVED) if m.status == CHAMPION else m for m in self.models]
        return replace(self, models=tuple(models), champions=champions).with_model(replace(record, status=CHAMPION))


def read_registry(folder: Path) -> Registry:
    """The registry of a models folder; empty where there is none.

    Raises:
        DataError: registry.json is broken.
    """
    path = folder / "registry.json"
    if not path.is_file():
        return Registry()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        models = tuple(ModelRecord(**m) for m in document["models"])
        return Registry(models, tuple(str(f) for f in document["champions"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is broken ({error}). Move it away; the newest model then counts as champion."
        ) from None


def write_registry(folder: Path, registry: Registry) -> None:
    """Replaces registry.json in one step: a reader sees the old or the new one, never half of it."""
    document = {"version": 1, "champions": registry.champions, "models": [asdict(m) for m in registry.models]}
    draft = folder / "registry.json.draft"
    folder.mkdir(parents=True, exist_ok=True)
    with draft.open("w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, folder / "registry.json")


def adopt(folder: Path, registry: Registry) -> Registry:
    """With a champion: where none is recorded, the newest model of the folder, the one that `rasa run` would load."""
    if registry.champion is not None or (newest := newest_model(folder)) is None:
        return registry
    return registry.with_champion(record_of(folder, newest))


def newest_model(folder: Path) -> Path | None:
    """The model that `rasa run` loads: the one modified last, candidates aside."""
    return max(folder.glob("*.tar.gz"), key=lambda f: f.stat().st_mtime, default=None)


def record_of(folder: Path, file: Path, status: str = ARCHIVED) -> ModelRecord:
    """A new record of a model file."""
    created = moment(file.stat().st_mtime).isoformat(sep=" ", timespec="seconds")
    return ModelRecord(file.relative_to(folder).as_posix(), sha256_of(file), created, status)


def sha256_of(file: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def locate(folder: Path, name: str) -> Path:
    """The model file that ``name`` means: a path, or a name in the models folder or among the candidates.

    Raises:
        ModelNotFound: there is none, or it lies elsewhere.
    """
    root = folder.resolve()
    for path in (Path(name), folder / name, folder / CANDIDATES / name, folder / f"{name}.tar.gz"):
        if path.is_file():
            if root not in path.resolve().parents:
                raise ModelNotFound(f"The model {name!r} lies outside {str(folder)!r}; copy it there first.")
            return root / path.resolve().relative_to(root)
    raise ModelNotFound(f"There is no model {name!r} in {str(folder)!r}; `kefu models list` shows them.")


def verify(folder: Path, record: ModelRecord) -> Path:
    """The record's file, if it is the one that was recorded.

    Raises:
        ModelNotFound: the file is gone.
        ModelCorrupt: it has changed since.
    """
    path = folder / record.file
    if not path.is_file():
        raise ModelNotFound(f"The model {record.file!r} is gone from {str(folder)!r}.")
    if sha256_of(path) != record.sha256:
        raise ModelCorrupt(f"The model {str(path)!r} is not the file that was recorded (sha256 {record.sha256[:12]}…).")
    return path


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Only one process at a time retrains, promotes or rolls back.

    Raises:
        KefuError: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KefuError(
                f"Another kefu command is changing {str(folder)!r}; run this one when it is done."
            ) from None
        yield


def stamp() -> str:
    """A name for a model trained now."""
    return f"kefu-{now():%Y%m%d-%H%M%S}"
