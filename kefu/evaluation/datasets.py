"""Reads public intent and emotion sets, and a set of one's own, in the files that they are published in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kefu.errors import DataError, NotFound, SettingsError
from kefu.evaluation.rows import read_json, read_rows, read_table

Row = tuple[str, str]  # text, label
Rows = tuple[Row, ...]
OUT_OF_SCOPE = "oos"
_SPLIT_SEED = 7  # of the sets that are published in one piece


@dataclass(frozen=True)
class Dataset:
    """A labelled set with its published split.

    Attributes:
        valid: for early stopping, where the set has such a part.
        out_of_scope: test texts that no label fits; the training rows of that kind carry the label OUT_OF_SCOPE.
    """

    train: Rows
    test: Rows
    valid: Rows | None = None
    out_of_scope: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """What can be said of a set's files; None takes the set's own way.

    Attributes:
        text_column, label_column: of csv and jsonl; by default ``text`` and ``label``.
        part: of smp2020, ``usual`` (the default) or ``virus``.
    """

    text_column: str | None = None
    label_column: str | None = None
    part: str | None = None


_Parts = Mapping[str, Callable[[], Rows]]  # of train, test, valid and oos those that the set has


def read_dataset(name: str, folder: Path, options: Options | None = None) -> Dataset:
    """The set ``name`` from its files in ``folder``.

    ``banking77``: train.csv and test.csv with the columns text, category. ``chnsenticorp``: ChnSentiCorp_htl_all.csv
    with the columns label, review, dealt 80/10/10 by a fixed seed, equal texts into the same part; or train.tsv,
    dev.tsv and test.tsv with the columns label, text_a. ``clinc150``: data_full.json. ``csv``: train.csv, test.csv
    and, if there is one, valid.csv; comma, tab, semicolon or bar between the columns. ``ewect``: train.jsonl and
    eval.jsonl, rows {text, emotion}. ``jsonl``: train.jsonl, test.jsonl and, if there is one, valid.jsonl.
    ``smp2020``: usual_train.txt with usual_eval_labeled.txt, usual_test_labeled.txt or both (then eval is ``valid``),
    arrays of {id, content, label}; or virus_train.txt and so on. Its files, and those of chnsenticorp, may lie one
    folder deeper; rows of these two without any text are passed over.

    Raises:
        SettingsError: no such set, or an option that it does not take.
        NotFound: a file is missing.
        DataError: a row breaks the format; the message names file, place, key and value.
    """
    parts = _parts(name, folder, options)
    return Dataset(
        parts["train"](),
        parts["test"](),
        parts["valid"]() if "valid" in parts else None,
        tuple(text for text, _ in parts["oos"]()) if "oos" in parts else (),
    )


def read_train(name: str, folder: Path, options: Options | None = None) -> Rows:
    """The training rows of the set alone; the other parts need not be there.

    Raises:
        SettingsError, NotFound, DataError: as read_dataset.
    """
    return _parts(name, folder, options)["train"]()


def _parts(name: str, folder: Path, options: Options | None) -> _Parts:
    if name not in _READERS:
        raise SettingsError(f"There is no data set {name!r}. Data sets are: {', '.join(_READERS)}.")
    options = options or Options()
    for option, value in vars(options).items():
        takers = _TAKERS[option]
        if value is not None and name not in takers:
            told = f"Option '--{option.replace('_', '-')}' has value {value!r}"
            raise SettingsError(f"{told}, but the data set {name!r} takes none; it is for {' and '.join(takers)}.")
    if not folder.is_dir():
        raise NotFound(f"There is no folder {str(folder)!r} with the files of {name}.")
    return _READERS[name](folder, options)


def _row(raw: Mapping[str, Any], where: str, text: str, label: str) -> Row:
    values = []
    for key in (text, label):
        value = raw.get(key)
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{where}: {key!r} must be a text of at least one character. But it was: {value!r}")
        values.append(value)
    return values[0], values[1]


def _labelled(rows: Iterable[tuple[str, Mapping[str, Any]]], text: str, label: str, blank: bool = False) -> Rows:
    """The rows; with ``blank`` those without any text are passed over."""

    def is_blank(raw: Mapping[str, Any]) -> bool:
        value = raw.get(text)
        return isinstance(value, str) and not value.strip()

    return tuple(_row(raw, where, text, label) for where, raw in rows if not (blank and is_blank(raw)))


def _lines(file: Path, text: str, label: str) -> Rows:
    return _labelled(read_rows(file), text, label)


def _table(file: Path, text: str, label: str, delimiter: str | None = None) -> Rows:
    return _labelled(read_table(file, (text, label), delimiter), text, label)


def _banking77(folder: Path, options: Options) -> _Parts:
    return {part: partial(_table, folder / f"{part}.csv", "text", "category", ",") for part in ("train", "test")}


def _ewect(folder: Path, options: Options) -> _Parts:
    files = {"train": "train.jsonl", "test": "eval.jsonl"}
    return {part: partial(_lines, folder / file, "text", "emotion") for part, file in files.items()}


def _own(read: Callable[[Path, str, str], Rows], suffix: str) -> Callable[[Path, Options], _Parts]:
    """A set of one's own in three files, the one for early stopping if it is there."""

    def parts(folder: Path, options: Options) -> _Parts:
        columns = options.text_column or "text", options.label_column or "label"
        names = ["train", "test", *(["valid"] if (folder / f"valid.{suffix}").exists() else [])]
        return {name: partial(read, folder / f"{name}.{suffix}", *columns) for name in names}

    return parts


def _clinc150(folder: Path, options: Options) -> _Parts:
    file = folder / "data_full.json"
    document = read_json(file)
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
            yield _row({"text": raw[0], "label": raw[1]}, where, "text", "label")

    def with_out_of_scope(key: str) -> Rows:
        return (*part(key), *((text, OUT_OF_SCOPE) for text, _ in part(f"oos_{key}")))

    return {
        "train": lambda: with_out_of_scope("train"),
        "test": lambda: tuple(part("test")),
        "valid": lambda: with_out_of_scope("val"),
        "oos": lambda: tuple(part("oos_test")),
    }


def _find(folder: Path, name: str) -> Path:
    """``name`` in the folder or in one just below it; where it is in neither, the path that a reader will miss."""
    if (folder / name).exists():
        return folder / name
    return next(iter(sorted(folder.glob(f"*/{name}"))), folder / name)


def _smp2020(folder: Path, options: Options) -> _Parts:
    prefix = options.part or "usual"
    if prefix not in ("usual", "virus"):
        raise SettingsError(f"Option '--part' has value {prefix!r}. Parts of smp2020 are: usual, virus.")
    files = {part: _find(folder, f"{prefix}_{part}.txt") for part in ("train", "eval_labeled", "test_labeled")}
    measured = [file for part, file in files.items() if part != "train" and file.exists()]
    if not measured:
        measured = [files["eval_labeled"]]
    chosen = {"train": files["train"], "test": measured[-1], **({"valid": measured[0]} if len(measured) > 1 else {})}
    return {part: partial(_array, file) for part, file in chosen.items()}


def _array(file: Path) -> Rows:
    document = read_json(file)
    if not isinstance(document, list) or not document:
        raise DataError(
            f'{file}: expected an array of {{"id", "content", "label"}}. But it was: {str(document)[:80]!r}'
        )
    for i, raw in enumerate(document):
        if not isinstance(raw, dict):
            raise DataError(f'{file}, row {i}: a row is {{"id", "content", "label"}}. But it was: {raw!r}')
    return _labelled(((f"{file}, row {i}", raw) for i, raw in enumerate(document)), "content", "label", blank=True)


def _chnsenticorp(folder: Path, options: Options) -> _Parts:
    whole = _find(folder, "ChnSentiCorp_htl_all.csv")
    if whole.exists():
        rows = _labelled(read_table(whole, ("review", "label"), ","), "review", "label", blank=True)
        return {part: partial(tuple, drawn) for part, drawn in _dealt(rows, whole).items()}
    files = {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}

    def read(file: Path) -> Rows:  # a quote in these files is a quote
        return _labelled(read_table(file, ("text_a", "label"), "\t", quotes=False), "text_a", "label", blank=True)

    return {part: partial(read, _find(folder, name)) for part, name in files.items()}


def _dealt(rows: Rows, file: Path) -> dict[str, Rows]:
    """80 % of the distinct texts for training, 10 % each for early stopping and test."""
    texts = sorted({text for text, _ in rows})
    random.Random(_SPLIT_SEED).shuffle(texts)
    tenth = len(texts) // 10
    if not tenth:
        raise DataError(f"{file} has {len(texts)} different texts; to be dealt into three parts it needs 10.")
    part_of = {text: "valid" if i < tenth else "test" if i < 2 * tenth else "train" for i, text in enumerate(texts)}
    return {part: tuple(r for r in rows if part_of[r[0]] == part) for part in ("train", "valid", "test")}


_READERS: dict[str, Callable[[Path, Options], _Parts]] = {
    "banking77": _banking77,
    "chnsenticorp": _chnsenticorp,
    "clinc150": _clinc150,
    "csv": _own(_table, "csv"),
    "ewect": _ewect,
    "jsonl": _own(_lines, "jsonl"),
    "smp2020": _smp2020,
}
_TAKERS = {"text_column": ("csv", "jsonl"), "label_column": ("csv", "jsonl"), "part": ("smp2020",)}
NAMES = tuple(_READERS)
