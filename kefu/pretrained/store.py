"""The cache of converted models: a folder each, made once, checked by sha256 whenever it is opened."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from kefu.errors import ModelCorrupt

MANIFEST = "kefu.json"


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def verify(path: Path, expected: str, mend: str) -> None:
    """Raises ModelCorrupt unless the file is there and has that digest; ``mend`` says what to do about it."""
    if not path.is_file():
        raise ModelCorrupt(f"{path} is missing. {mend}")
    found = sha256(path)
    if found != expected:
        raise ModelCorrupt(f"{path} has sha256 {found[:12]}…, expected {expected[:12]}…. {mend}")


def converted(folder: Path, convert: Callable[[Path], None]) -> Path:
    """``folder``, after ``convert(scratch)`` has filled it once; safe when several processes ask at the same time.

    Raises:
        ModelCorrupt: a file of an earlier conversion was changed or cut short.
    """
    mend = f"Delete {folder} and run the command again; it is made anew in under a minute."
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder) + ".lock"):
        if not folder.is_dir():
            scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=folder.name))
            try:
                convert(scratch)
                digests = {p.name: sha256(p) for p in sorted(scratch.iterdir())}
                (scratch / MANIFEST).write_text(json.dumps(digests, indent=1))
                os.replace(scratch, folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    try:
        digests = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        raise ModelCorrupt(f"{folder / MANIFEST} cannot be read. {mend}") from None
    for name, digest in digests.items():
        verify(folder / name, digest, mend)
    return folder
