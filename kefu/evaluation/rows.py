"""Reads rows of labelled files: a JSON object a line, tables with a header line, JSON arrays."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from kefu.errors import DataError, NotFound

DELIMITERS = (",", "\t", ";", "|")


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields ("FILE, line N", object); empty lines are passed over.

    Raises:
        NotFound: no such file.
        DataError: a line is no JSON object, or there are no rows.
    """
    count = 0
    # Not splitlines(): it also cuts at characters such as U+2028 that JSON allows inside a text.
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


def read_table(
    path: Path, columns: Sequence[str], delimiter: str | None = None, quotes: bool = True
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields ("FILE, line N", {column: value}) of a file whose first line names the columns.

    Args:
        columns: those that must be there.
        delimiter: None takes the one of DELIMITERS that finds most of ``columns`` in the first line.
        quotes: whether a double quote opens a value that may hold delimiters and line ends.

    Raises:
        NotFound: no such file.
        DataError: a column is missing, the file cannot be read as a table, or there are no rows.
    """
    text = _text(path, "utf-8-sig")
    first = text.partition("\n")[0].rstrip("\r")
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE

    def named(by: str) -> list[str]:
        return next(csv.reader([first], delimiter=by, quoting=quoting), [])

    chosen = delimiter or max(DELIMITERS, key=lambda by: (len(set(columns) & set(named(by))), len(named(by))))
    for key in columns:
        if key not in named(chosen):
            raise DataError(f"{path}, line 1: no column {key!r}; there are: {', '.join(named(chosen))}.")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=chosen, quoting=quoting)
    count = 0
    try:
        for raw in reader:
            count += 1
            yield f"{path}, line {reader.line_num}", raw
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num} and after it: no table ({error}).") from None
    if not count:
        raise DataError(f"{path} has no rows.")


def read_json(path: Path) -> Any:
    """The JSON document of a file.

    Raises:
        NotFound: no such file.
        DataError: it is not JSON, or not UTF-8.
    """
    try:
        return json.loads(_text(path, "utf-8-sig"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}).") from None


def _text(path: Path, encoding: str = "utf-8") -> str:
    if not path.is_file():
        raise NotFound(f"There is no file {str(path)!r} with evaluation rows.")
    try:
        return path.read_bytes().decode(encoding)  # read_text() would turn the \r\n inside a quoted value into \n
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error}). Save it as UTF-8.") from None
