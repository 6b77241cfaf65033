"""Checks data/knowledge and data/shop: ids are unique, intents known, texts there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from kefu.dataset.problems import ERROR, Problem, invisible
from kefu.taxonomy import INTENTS

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_knowledge(data: Path) -> Iterator[Problem]:
    """Problems of the passages (knowledge/*.yml), promotions and products (shop/*.yml)."""
    passages: dict[str, str] = {}
    files = [*sorted((data / "knowledge").glob("*.yml")), data / "shop" / "promotions.yml"]
    for file in files:
        yield from _records(file, "id", ("id", "title", "text"), passages)
    yield from _records(data / "shop" / "products.yml", "sku", ("sku", "name", "category", "price", "stock"), {})


def _records(file: Path, key: str, wanted: tuple[str, ...], seen: dict[str, str]) -> Iterator[Problem]:
    if not file.is_file():
        yield Problem(str(file), 0, ERROR, "format", "the file is missing.")
        return
    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=_Loader)
        document = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or error
        yield Problem(str(file), mark.line + 1 if mark else 0, ERROR, "format", f"not YAML in UTF-8: {reason}.")
        return
    if node is None or not isinstance(document, list):
        yield Problem(str(file), 1, ERROR, "format", "expected a list.")
        return
    for part, record in zip(node.value, document, strict=True):
        line = int(part.start_mark.line) + 1
        for message in _faults(record, key, wanted):
            yield Problem(str(file), line, ERROR, "knowledge", message)
        if not isinstance(record, dict) or not record.get(key):
            continue
        name = str(record[key])
        if name in seen:
            yield Problem(str(file), line, ERROR, "duplicate", f"{key} {name!r} stands in {seen[name]} too.")
        seen.setdefault(name, f"{file}:{line}")


def _faults(record: Any, key: str, wanted: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(record, dict):
        yield f"expected a mapping, not {record!r}."
        return
    name = record.get(key)
    for field in wanted:
        if record.get(field) in (None, ""):
            yield f"{key} {name!r} has no {field!r}."
    for intent in record.get("intents") or ():
        if intent not in INTENTS:
            yield f"{key} {name!r} has the intent {intent!r}, which is not in taxonomy.yml."
    for text in _texts(record):
        if (found := invisible(text)) is not None:
            yield f"{key} {name!r}: {text!r} has an invisible or broken character, {found}."


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
