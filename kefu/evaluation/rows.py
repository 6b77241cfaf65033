"""Reads evaluation sets: a JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kefu.errors import DataError, NotFound


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields ("FILE, line N", object); empty lines are passed over.

    Raises:
        NotFound: no such file.
        DataError: a line is no JSON object, or there are no rows.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {str(path)!r} with evaluation rows.")
    count = 0
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            raw = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: not JSON ({error}).") from None
        if not isinstance(raw, dict):
            raise DataError(f"{where}: a row is a JSON object, not {raw!r}.")
        count += 1
        yield where, raw
    if not count:
        raise DataError(f"{path} has no rows.")


def _text(path: Path) -> str:
    # Not splitlines(): it also cuts at characters such as U+2028 that JSON allows inside a text.
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error}).") from None
