"""Labels that name a turn of somebody else's transcripts, so that no sentence of theirs need be kept here.

A label row is {"dialogue": id, "turn": index, …}; transcripts are JSON lines {"id", "turns": [{"user", "system"}]}, in
which a turn is a customer's message and the agent's answer, either of them empty where there was none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kefu.errors import DataError
from kefu.evaluation.rows import read_rows


@dataclass(frozen=True)
class Transcript:
    """A conversation as (user, system) pairs."""

    turns: tuple[tuple[str, str], ...]

    def before(self, index: int) -> Iterator[tuple[str, str]]:
        """("user" or "agent", text) of everything said before turn ``index``, oldest first."""
        for user, system in self.turns[:index]:
            if user:
                yield "user", user
            if system:
                yield "agent", system


def read_transcripts(file: Path) -> dict[str, Transcript]:
    """{id: transcript} of a .jsonl file.

    Raises:
        NotFound: no such file.
        DataError: a row breaks the format.
    """
    transcripts = {}
    for where, raw in read_rows(file):
        turns = raw.get("turns")
        if not isinstance(raw.get("id"), str) or not isinstance(turns, list):
            raise DataError(f"{where}: a transcript has the keys 'id' and 'turns'. But it was: {sorted(raw)}")
        transcripts[raw["id"]] = Transcript(tuple(_pair(turn, where) for turn in turns))
    return transcripts


def _pair(turn: Any, where: str) -> tuple[str, str]:
    if not isinstance(turn, Mapping) or not all(isinstance(turn.get(k), str) for k in ("user", "system")):
        raise DataError(f"{where}: a turn has the texts 'user' and 'system'. But it was: {turn!r}")
    return turn["user"].strip(), turn["system"].strip()


def find(transcripts: Mapping[str, Transcript], raw: Mapping[str, Any], where: str) -> tuple[Transcript, int]:
    """The transcript and the turn's index that a label row names.

    Raises:
        DataError: there is no such turn.
    """
    transcript, index = transcripts.get(str(raw.get("dialogue"))), raw.get("turn")
    if transcript is None:
        raise DataError(f"{where}: 'dialogue' has value {raw.get('dialogue')!r}; the transcripts have no such id.")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(transcript.turns):
        raise DataError(f"{where}: 'turn' must be below {len(transcript.turns)}. But it was: {index!r}")
    return transcript, index


def message_row(transcripts: Mapping[str, Transcript], raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """``raw`` with the customer's message as 'text', and everything said before it as 'before'."""
    transcript, index = find(transcripts, raw, where)
    return {**raw, "text": transcript.turns[index][0], "before": [list(pair) for pair in transcript.before(index)]}


def reply_row(transcripts: Mapping[str, Transcript], raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """``raw`` with everything said before the agent's answer as 'context'."""
    transcript, index = find(transcripts, raw, where)
    context: list[Sequence[str]] = [list(pair) for pair in transcript.before(index)]
    user = transcript.turns[index][0]
    return {**raw, "context": [*context, ["user", user]] if user else context}
