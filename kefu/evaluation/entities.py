"""Precision, recall and F1 of the spans found in labelled messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kefu.errors import DataError
from kefu.evaluation.rows import read_rows

Place = tuple[str, int, int]  # type, start, end


class Result(Protocol):
    """What is needed of kefu.rasa_bridge.Parsed."""

    @property
    def entities(self) -> Sequence[Mapping[str, Any]]:
        """Objects with ``entity``, ``start`` and ``end``."""


class Parser(Protocol):
    """What is needed of kefu.rasa_bridge.RasaModel."""

    def parse(self, text: str) -> Result:
        """Reads one message."""


@dataclass(frozen=True)
class EntityRow:
    """A message and all of its spans, in order of position."""

    text: str
    spans: tuple[Place, ...]


def read_entity_rows(path: Path) -> list[EntityRow]:
    """Rows {text, entities: [{entity, value}…]} of a .jsonl file; values as the text has them, in its order.

    Raises:
        NotFound: no such file.
        DataError: a row breaks the format; the message names file, line, key and value.
    """
    return [_row(raw, where) for where, raw in read_rows(path)]


def _row(raw: Mapping[str, Any], where: str) -> EntityRow:
    text, entities = raw.get("text"), raw.get("entities")
    if not isinstance(text, str):
        raise DataError(f"{where}: 'text' must be a text. But it was: {text!r}")
    if not isinstance(entities, list):
        raise DataError(f"{where}: 'entities' must be a list, empty if there are none. But it was: {entities!r}")
    spans: list[Place] = []
    end = 0
    for entity in entities:
        kind, value = (entity.get("entity"), entity.get("value")) if isinstance(entity, dict) else (None, None)
        if not (isinstance(kind, str) and kind and isinstance(value, str) and value):
            raise DataError(f'{where}: an entity is {{"entity": "…", "value": "…"}}. But it was: {entity!r}')
        start = text.find(value, end)
        if start < 0:
            raise DataError(f"{where}: 'value' {value!r} does not stand in the text behind the entity before it.")
        end = start + len(value)
        spans.append((kind, start, end))
    return EntityRow(text, tuple(spans))


def evaluate_entities(
    model: Parser, rows: Sequence[EntityRow], on_row: Callable[[], None] | None = None
) -> dict[str, dict[str, Any]]:
    """{type: {n, precision, recall, f1}, …, "micro": {…}}; shares from 0 to 1, ``n`` spans of the rows.

    A span is right if type, start and end are. Types that no row carries are left out of all figures: the rows do not
    tell where they are.
    """
    kinds = sorted({kind for row in rows for kind, _, _ in row.spans})
    counts = {kind: [0, 0, 0] for kind in kinds}  # right, found, present
    for row in rows:
        found = {(e["entity"], e["start"], e["end"]) for e in model.parse(row.text).entities if e["entity"] in counts}
        present = set(row.spans)
        for position, places in enumerate((found & present, found, present)):
            for kind, _, _ in places:
                counts[kind][position] += 1
        if on_row:
            on_row()
    micro = [sum(column) for column in zip(*counts.values())] or [0, 0, 0]
    return {kind: _figures(*counts[kind]) for kind in kinds} | {"micro": _figures(*micro)}


def _figures(right: int, found: int, present: int) -> dict[str, Any]:
    return {
        "n": present,
        "precision": right / found if found else 0.0,
        "recall": right / present if present else 0.0,
        "f1": 2 * right / (found + present) if found + present else 0.0,
    }
