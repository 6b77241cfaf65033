"""Checks the held-out questions of retrieval: passages are there, none stands twice, none copies a passage's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kefu.dataset.problems import ERROR, WARNING, Problem, folded
from kefu.dataset.similar import similar_pairs
from kefu.errors import KefuError
from kefu.taxonomy import INTENTS

COPY = 0.6  # likeness from which a question is one that the index holds


def check_retrieval(data: Path) -> Iterator[Problem]:
    """Problems of heldout/retrieval.jsonl, rows {question, intent?, passage: [ids]}; none where there is no file."""
    file = data / "heldout" / "retrieval.jsonl"
    if not file.is_file():
        return
    from kefu.knowledge import read_passages

    try:
        passages = read_passages(data)
    except KefuError as error:
        yield Problem(str(file), 0, ERROR, "format", f"the passages cannot be read: {error}")
        return
    ids = {p.id for p in passages}
    questions: dict[str, int] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        row = _read(line)
        if row is None:
            message = "a row is a JSON object with 'question' and 'passage', a list of ids."
            yield Problem(str(file), number, ERROR, "format", message)
            continue
        for name in row["passage"]:
            if name not in ids:
                yield Problem(str(file), number, ERROR, "label", f"there is no passage {name!r}.")
        if row.get("intent") is not None and row["intent"] not in INTENTS:
            yield Problem(str(file), number, ERROR, "label", f"intent {row['intent']!r} is not in taxonomy.yml.")
        same = folded(row["question"])
        if same in seen:
            message = f"{row['question']!r} stands in line {seen[same]} too."
            yield Problem(str(file), number, ERROR, "duplicate", message)
        seen.setdefault(same, number)
        questions.setdefault(row["question"], number)
    own = [(question, p.id) for p in passages for question in p.questions]
    asked = list(questions)
    for i, j, score in similar_pairs(asked, [question for question, _ in own], COPY):
        level = ERROR if folded(asked[i]) == folded(own[j][0]) else WARNING
        message = f"{asked[i]!r} is {score:.0%} like {own[j][0]!r}, a question of the passage {own[j][1]!r}."
        yield Problem(str(file), questions[asked[i]], level, "leakage", message)


def _read(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
        names = row["passage"]
        well = bool(row["question"].strip()) and isinstance(names, list) and names and all(map(str.strip, names))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return row if well else None
