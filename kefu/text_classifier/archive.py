"""The classifier's folder inside a model archive of Rasa, without Rasa."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from kefu.errors import ModelCorrupt, ModelNotFound
from kefu.text_classifier.classifier import CONFIG, GRAPH, META
from kefu.text_classifier.tokenizer import TOKENIZER


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The folder that ``save`` wrote, taken out of a .tar.gz for as long as the block runs.

    Raises:
        ModelCorrupt: the archive cannot be read.
        ModelNotFound: there is no classifier in it.
    """
    with tempfile.TemporaryDirectory(prefix="kefu-") as scratch:
        try:
            folder = _take_out(archive, Path(scratch))
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise ModelCorrupt(
                f"The model {str(archive)!r} cannot be read ({error}). Train again: make train."
            ) from error
        if folder is None:
            raise ModelNotFound(
                f"The model {str(archive)!r} has no classifier of intents and emotions. "
                "Name components.intent_classifier.BertIntentClassifier in config.yml and train."
            )
        yield folder


def _take_out(archive: Path, scratch: Path) -> Path | None:
    """The files that are named as the classifier's, each component's in a folder of their own; names lead nowhere."""
    folders: dict[PurePosixPath, Path] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if path.name in (GRAPH, META, CONFIG, TOKENIZER) and (content := tar.extractfile(member)) is not None:
                folder = folders.setdefault(path.parent, scratch / str(len(folders)))
                folder.mkdir(exist_ok=True)
                with content, (folder / path.name).open("wb") as file:
                    shutil.copyfileobj(content, file)
    return next((f for f in folders.values() if (f / GRAPH).is_file() and (f / META).is_file()), None)
