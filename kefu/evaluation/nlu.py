"""Figures of intent and emotion on labelled messages, with the time that a message takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kefu.errors import DataError
from kefu.evaluation.metrics import accuracy, expected_calibration_error, macro_f1, percentile
from kefu.evaluation.rows import read_rows
from kefu.evaluation.transcripts import message_row, read_transcripts
from kefu.taxonomy import EMOTIONS, INTENTS

_NOTHING = "(none)"  # what a model said that said nothing; equal to no label
_WARM_UP = 3  # messages parsed before the clock runs


class Result(Protocol):
    """What is needed of kefu.rasa_bridge.Parsed."""

    @property
    def intent(self) -> str | None:
        """The likeliest intent."""

    @property
    def intent_confidence(self) -> float:
        """Its probability."""

    @property
    def emotion(self) -> str | None:
        """The likeliest emotion."""

    @property
    def latency_ms(self) -> float:
        """What the message took."""


class Parser(Protocol):
    """What is needed of kefu.rasa_bridge.RasaModel."""

    def parse(self, text: str, context: str | None = None, before: Sequence[Sequence[str]] = ()) -> Result:
        """Reads one message."""


@dataclass(frozen=True)
class NluRow:
    """A message with the agent's turn before it, or everything said before it, and the labels that are known."""

    text: str
    context: str | None = None
    intent: str | None = None
    emotion: str | None = None
    before: tuple[tuple[str, str], ...] = ()


def read_nlu_rows(path: Path, transcripts: Path | None = None) -> list[NluRow]:
    """Rows {text, context? or before?, intent?, emotion?} of a .jsonl file.

    With ``transcripts`` a row names its message: {dialogue, turn, …}.

    Raises:
        NotFound: no such file.
        DataError: a row breaks the format; the message names file, line, key and value.
    """
    if transcripts is None:
        return [_row(raw, where) for where, raw in read_rows(path)]
    read = read_transcripts(transcripts)
    return [_row(message_row(read, raw, where), where) for where, raw in read_rows(path)]


def _row(raw: Mapping[str, Any], where: str) -> NluRow:
    if not isinstance(raw.get("text"), str):
        raise DataError(f"{where}: 'text' must be a text. But it was: {raw.get('text')!r}")
    context, before = raw.get("context") or None, raw.get("before") or []
    if context is not None and not isinstance(context, str):
        raise DataError(f"{where}: 'context' must be a text, the agent's previous turn. But it was: {context!r}")
    if not isinstance(before, list) or not all(_is_turn(turn) for turn in before):
        raise DataError(
            f"{where}: 'before' must be pairs of a speaker, user or agent, and a text. But it was: {before!r}"
        )
    for key, labels in (("intent", INTENTS), ("emotion", EMOTIONS)):
        value = raw.get(key)
        if value is not None and (not isinstance(value, str) or value not in labels):
            raise DataError(f"{where}: {key!r} has value {value!r}; known are {', '.join(labels)}.")
    said = tuple((speaker, text) for speaker, text in before)
    return NluRow(raw["text"], context, raw.get("intent"), raw.get("emotion"), said)


def _is_turn(raw: Any) -> bool:
    return (
        isinstance(raw, (list, tuple))
        and len(raw) == 2
        and raw[0] in ("user", "agent")
        and isinstance(raw[1], str)
        and bool(raw[1])
    )


def evaluate_nlu(model: Parser, rows: Sequence[NluRow], on_row: Callable[[], None] | None = None) -> dict[str, Any]:
    """{"intent": {n, accuracy, macro_f1, ece}, "emotion": {n, accuracy, macro_f1}, "latency_ms": {p50, p95}}.

    Shares from 0 to 1. ``n`` counts the rows that carry the label.
    """
    for row in rows[:_WARM_UP]:
        model.parse(row.text, row.context, row.before)
    results = []
    for row in rows:
        results.append(model.parse(row.text, row.context, row.before))
        if on_row:
            on_row()
    figures: dict[str, Any] = figures_of(rows, results)
    sure = [(result.intent_confidence, row.intent == result.intent) for row, result in zip(rows, results) if row.intent]
    figures["intent"]["ece"] = expected_calibration_error([c for c, _ in sure], [right for _, right in sure])
    times = [result.latency_ms for result in results]
    return {**figures, "latency_ms": {"p50": percentile(times, 0.5), "p95": percentile(times, 0.95)}}


def figures_of(rows: Sequence[NluRow], results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """{"intent": {n, accuracy, macro_f1}, "emotion": {…}} of what a model read in the rows."""
    intents = [(row.intent, result.intent or _NOTHING) for row, result in zip(rows, results) if row.intent]
    emotions = [(row.emotion, result.emotion or _NOTHING) for row, result in zip(rows, results) if row.emotion]
    return {"intent": _figures(intents), "emotion": _figures(emotions)}


def _figures(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    gold, said = [g for g, _ in pairs], [s for _, s in pairs]
    return {"n": len(gold), "accuracy": accuracy(gold, said), "macro_f1": macro_f1(gold, said)}
