"""Labels that name turns of transcripts find the right words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kefu.errors import DataError
from kefu.evaluation.nlu import read_nlu_rows
from kefu.evaluation.strategy import read_strategy_rows

TURNS = [
    {"user": "在吗", "system": "在的，什么事呢"},
    {"user": "退款", "system": ""},
    {"user": "多久到", "system": "三天内"},
]


def lines(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return file


@pytest.fixture
def transcripts(tmp_path: Path) -> Path:
    return lines(tmp_path / "t.jsonl", [{"id": "d1", "turns": TURNS}])


def test_a_message_gets_what_both_sides_said_before(tmp_path: Path, transcripts: Path) -> None:
    labels = lines(
        tmp_path / "l.jsonl",
        [{"dialogue": "d1", "turn": i, "intent": "greet", "emotion": "neutral"} for i in (0, 2)],
    )
    first, last = read_nlu_rows(labels, transcripts)
    assert (first.text, first.context, first.before) == ("在吗", None, ())
    said = (("user", "在吗"), ("agent", "在的，什么事呢"), ("user", "退款"))
    assert (last.text, last.context, last.before) == ("多久到", None, said)


def test_a_reply_gets_all_that_was_said(tmp_path: Path, transcripts: Path) -> None:
    labels = lines(tmp_path / "l.jsonl", [{"dialogue": "d1", "turn": 2, "strategy": ["inform"]}])
    (row,) = read_strategy_rows(labels, transcripts)
    assert row.context == (("user", "在吗"), ("agent", "在的，什么事呢"), ("user", "退款"), ("user", "多久到"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"dialogue": "d9", "turn": 0}, "'dialogue' has value 'd9'"),
        ({"dialogue": "d1", "turn": 3}, "'turn' must be below 3. But it was: 3"),
        ({"dialogue": "d1", "turn": "0"}, "But it was: '0'"),
    ],
)
def test_a_turn_that_is_not_there_is_named(
    tmp_path: Path, transcripts: Path, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_nlu_rows(lines(tmp_path / "l.jsonl", [{**row, "intent": "greet"}]), transcripts)
