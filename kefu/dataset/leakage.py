"""Looks for held-out messages that are trained on: a model that learned them by heart would look better than it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kefu.dataset.nlu import NluExample
from kefu.dataset.problems import ERROR, WARNING, Problem, folded
from kefu.dataset.similar import similar_pairs
from kefu.dialogues import Dialogue, read_dialogues
from kefu.errors import KefuError
from kefu.taxonomy import EMOTIONS, INTENTS, STRATEGIES

TELLING = 6  # characters; shorter messages (好的, 谢谢) are the same everywhere and leak nothing
_Message = tuple[str, str]  # speaker, text


def leaks(
    folder: Path, examples: Sequence[NluExample], dialogues: Sequence[Dialogue], threshold: float
) -> Iterator[Problem]:
    """Problems of the held-out files themselves, and of their messages that are also, or nearly, in the training data.

    Each message is named once, where it stands first.
    """
    trained: dict[str, list[tuple[str, str]]] = {
        "user": [(e.text, f"{e.file}:{e.line}") for e in examples],
        "agent": [],
    }
    for dialogue in dialogues:
        for turn in dialogue.turns:
            trained[turn.speaker].append((turn.text, f"{dialogue.source}, {dialogue.id}"))
    held: dict[tuple[str, str], tuple[str, int]] = {}
    for found in _held_out(folder):
        if isinstance(found, Problem):
            yield found
            continue
        (speaker, text), source, number = found
        if speaker in trained and len(folded(text)) >= TELLING:
            held.setdefault((speaker, text), (source, number))
    for speaker, known in trained.items():
        yield from _compared({t: place for (s, t), place in held.items() if s == speaker}, known, threshold)


def _compared(held: dict[str, tuple[str, int]], trained: list[tuple[str, str]], threshold: float) -> Iterator[Problem]:
    exact = {folded(text): place for text, place in trained}
    rest = []
    for text, (source, number) in held.items():
        if (place := exact.get(folded(text))) is not None:
            yield Problem(source, number, ERROR, "leakage", f"{text!r} is trained on: {place}.")
        else:
            rest.append(text)
    long = [(text, place) for text, place in trained if len(folded(text)) >= TELLING]
    for i, j, score in similar_pairs(rest, [text for text, _ in long], threshold):
        source, number = held[rest[i]]
        message = f"{rest[i]!r} is {score:.0%} like {long[j][0]!r}, which is trained on: {long[j][1]}."
        yield Problem(source, number, WARNING, "leakage", message)


def _held_out(folder: Path) -> Iterator[Problem | tuple[_Message, str, int]]:
    for file in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if "question" in row:  # of retrieval, which check_retrieval reads
                    continue
                said = [("user", row["text"])] if "text" in row else [(str(s), str(t)) for s, t in row["context"]]
            except (json.JSONDecodeError, KeyError, TypeError, ValueError):
                message = "a row is a JSON object with 'text', or with 'context' as a list of [speaker, text]."
                yield Problem(str(file), number, ERROR, "format", message)
                continue
            for kind, value in _unknown_labels(row):
                message = f"{kind} {value!r} is not in taxonomy.yml."
                yield Problem(str(file), number, ERROR, "label", message)
            for message_ in said:
                yield message_, str(file), number
    for file in sorted(folder.glob("*.yml")) if folder.is_dir() else ():
        try:
            for dialogue in read_dialogues([file]):
                for turn in dialogue.turns:
                    yield (turn.speaker, turn.text), str(file), 0
        except KefuError as error:
            yield Problem(str(file), 0, ERROR, "format", str(error).replace(f"{file}", "").lstrip(":, "))


def _unknown_labels(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    accepted = row.get("strategy") or []
    wanted = [("intent", row.get("intent"), INTENTS), ("emotion", row.get("emotion"), EMOTIONS)]
    wanted += [("strategy", s, STRATEGIES) for s in ([accepted] if isinstance(accepted, str) else accepted)]
    for kind, value, names in wanted:
        if value is not None and value not in names:
            yield kind, str(value)
