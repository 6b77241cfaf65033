"""Reads public intent and emotion sets, and a set of one's own, in the files that they are published in."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kefu.errors import DataError, NotFound, SettingsError
from kefu.evaluation.rows import read_rows

Row = tuple[str, str]  # text, label
OUT_OF_SCOPE = "oos"


@dataclass(frozen=True)
class Dataset:
    """A labelled set with its published split.

    Attributes:
        valid: for early stopping, where the set has such a part.
        out_of_scope: test texts that no label fits; the training rows of that kind carry the label OUT_OF_SCOPE.
    """

    train: tuple[Row, ...]
    test: tuple[Row, ...]
    valid: tuple[Row, ...] | None = None
    out_of_scope: tuple[str, ...] = ()


def read_dataset(name: str, folder: Path) -> Dataset:
    """The set ``name`` from its files in ``folder``.

    ``banking77``: train.csv and test.csv with the columns text, category. ``clinc150``: data_full.json. ``ewect``:
    train.jsonl and eval.jsonl, rows {text, emotion}. ``jsonl``: train.jsonl, test.jsonl and, if there is one,
    valid.jsonl, rows {text, label}.

    Raises:
        SettingsError: no such set.
        NotFound: a file is missing.
        DataError: a row breaks the format; the message names file, place, key and value.
    """
    if name not in _READERS:
        raise SettingsError(f"There is no data set {name!r}. Data sets are: {', '.join(_READERS)}.")
    if not folder.is_dir():
        raise NotFound(f"There is no folder {str(folder)!r} with the files of {name}.")
    return _READERS[name](folder)


def _row(raw: Mapping[str, Any], label: str, where: str) -> Row:
    values = []
    for key in ("text", label):
        value = raw.get(key)
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{where}: {key!r} must be a text of at least one character. But it was: {value!r}")
        values.append(value)
    return values[0], values[1]


def _lines(file: Path, label: str) -> tuple[Row, ...]:
    return tuple(_row(raw, label, where) for where, raw in read_rows(file))


def _table(file: Path, label: str) -> tuple[Row, ...]:
    if not file.is_file():
        raise NotFound(f"There is no file {str(file)!r} with evaluation rows.")
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        for key in ("text", label):
            if key not in (reader.fieldnames or ()):
                raise DataError(f"{file}, line 1: no column {key!r}; there are: {', '.join(reader.fieldnames or ())}.")
        rows = tuple(_row(raw, label, f"{file}, line {reader.line_num}") for raw in reader)
    if not rows:
        raise DataError(f"{file} has no rows.")
    return rows


def _banking77(folder: Path) -> Dataset:
    return Dataset(_table(folder / "train.csv", "category"), _table(folder / "test.csv", "category"))


def _ewect(folder: Path) -> Dataset:
    return Dataset(_lines(folder / "train.jsonl", "emotion"), _lines(folder / "eval.jsonl", "emotion"))


def _jsonl(folder: Path) -> Dataset:
    valid = folder / "valid.jsonl"
    return Dataset(
        _lines(folder / "train.jsonl", "label"),
        _lines(folder / "test.jsonl", "label"),
        _lines(valid, "label") if valid.exists() else None,
    )


def _clinc150(folder: Path) -> Dataset:
    file = folder / "data_full.json"
    if not file.is_file():
        raise NotFound(f"There is no file {str(file)!r} with evaluation rows.")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not JSON ({error}).") from None
    if not isinstance(document, dict):
        raise DataError(f"{file}: expected an object with the keys train, val, test, oos_train, oos_val, oos_test.")

    def part(key: str) -> Iterator[Row]:
        rows = document.get(key)
        if not isinstance(rows, list) or not rows:
            raise DataError(f"{file}: {key!r} must be a list of rows. But it was: {rows!r}")
        for i, raw in enumerate(rows):
            where = f"{file}, {key!r}, row {i}"
            if not isinstance(raw, list) or len(raw) != 2:
                raise DataError(f"{where}: a row is a list of text and label. But it was: {raw!r}")
            yield _row({"text": raw[0], "label": raw[1]}, "label", where)

    def with_out_of_scope(key: str) -> tuple[Row, ...]:
        return (*part(key), *((text, OUT_OF_SCOPE) for text, _ in part(f"oos_{key}")))

    out_of_scope = tuple(text for text, _ in part("oos_test"))
    return Dataset(with_out_of_scope("train"), tuple(part("test")), with_out_of_scope("val"), out_of_scope)


_READERS: dict[str, Callable[[Path], Dataset]] = {
    "banking77": _banking77,
    "clinc150": _clinc150,
    "ewect": _ewect,
    "jsonl": _jsonl,
}
NAMES = tuple(_READERS)
