"""The strategy model of a trained Rasa model, without Rasa."""

from __future__ import annotations

import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath

from kefu.errors import ModelCorrupt, ModelNotFound
from kefu.strategy import StrategyModel
from kefu.strategy.encoder import Encoder

_FILES = ("strategy.json", "strategy.npz", "strategy_rules.yml")


def load_strategy(path: Path, encoder: Encoder | None = None) -> StrategyModel:
    """Loads from a folder that StrategyModel.save wrote, a .tar.gz of Rasa, or a folder of them (the newest is taken).

    Raises:
        ModelNotFound: there is no such thing, or no strategy model in it.
        ModelCorrupt: a file cannot be read or does not fit this version.
    """
    if (path / _FILES[0]).is_file():
        return StrategyModel.load(path, encoder)
    if path.is_dir():
        newest = max(path.glob("*.tar.gz"), key=lambda f: f.stat().st_mtime, default=None)
        if newest is None:
            raise ModelNotFound(f"There is no model (*.tar.gz) in {str(path)!r}. Train one: make train.")
        path = newest
    if not path.is_file():
        raise ModelNotFound(f"There is no model {str(path)!r}. `kefu models list` shows those there are.")
    with tempfile.TemporaryDirectory(prefix="kefu-") as scratch:
        folder = Path(scratch)
        try:
            _take_out(path, folder)
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise ModelCorrupt(f"The model {str(path)!r} cannot be read ({error}). Train again: make train.") from error
        if not (folder / _FILES[0]).is_file():
            raise ModelNotFound(
                f"The model {str(path)!r} has no strategy model. "
                "Name components.strategy_policy.StrategyPolicy in config.yml and train."
            )
        return StrategyModel.load(folder, encoder)


def _take_out(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            name = PurePosixPath(member.name).name
            if name in _FILES and (content := tar.extractfile(member)) is not None:
                with content:
                    (folder / name).write_bytes(content.read())
