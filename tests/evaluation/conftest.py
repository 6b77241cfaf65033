"""A model that answers from a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Answer:
    intent: str | None
    intent_confidence: float
    emotion: str | None
    latency_ms: float


class TableModel:
    """Reads the intent off the text before the colon, chooses strategies by the last text."""

    def __init__(self) -> None:
        self.contexts: list[str | None] = []

    def parse(self, text: str, context: str | None = None, before: Any = ()) -> Answer:
        self.contexts.append(context)
        intent, _, emotion = text.partition(":")
        return Answer(intent or None, 0.9, emotion or None, float(len(text)))

    def strategies(self, context: Sequence[Sequence[str]], facts: object = None) -> list[tuple[str, float]]:
        return [(name, 0.3) for name in context[-1][1].split()]


@pytest.fixture()
def table_model() -> TableModel:
    return TableModel()


@pytest.fixture()
def jsonl(tmp_path: Path) -> Callable[[list[Any]], Path]:
    def write(rows: list[Any]) -> Path:
        path = tmp_path / "rows.jsonl"
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write
