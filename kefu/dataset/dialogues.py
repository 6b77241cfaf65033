"""Checks data/dialogues: the format, the proof of numbers, sentences that stand twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kefu.dataset.problems import ERROR, WARNING, Problem, folded, invisible
from kefu.dialogues import Dialogue, Turn, read_dialogues
from kefu.errors import KefuError
from kefu.feedback.proof import unproven

_REPLIES = 3  # agent messages in a row
_TELLING = 6  # characters


def check_dialogues(folder: Path) -> tuple[list[Dialogue], list[Problem]]:
    """The dialogues that can be read, and what is wrong. Of a file that breaks the format the first break is told."""
    problems: list[Problem] = []
    dialogues: list[Dialogue] = []
    if not folder.is_dir():
        return [], [Problem(str(folder), 0, ERROR, "format", "no folder of dialogues.")]
    for file in sorted(folder.rglob("*.yml")):
        try:
            found = list(read_dialogues([file]))
        except UnicodeDecodeError as error:
            problems.append(Problem(str(file), 0, ERROR, "encoding", f"not UTF-8 at byte {error.start}."))
            continue
        except KefuError as error:
            message = str(error).replace(str(file), "").lstrip(":, ")
            problems.append(Problem(str(file), _line_of(file, message), ERROR, "format", message))
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        for dialogue in found:
            problems += _turns(dialogue, file, lines)
        dialogues += found
    problems += _repeated(dialogues)
    return dialogues, problems


def _line_of(file: Path, message: str) -> int:
    """The line of the dialogue whose id the message quotes, else of the YAML error it tells, else 0."""
    words = message.split("'")
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if len(words) > 1 and line.strip().startswith("- id:") and line.split("id:")[1].strip() == words[1]:
            return number
    if " line " in message:
        digits = message.rsplit(" line ", 1)[1].split(",")[0]
        return int(digits) if digits.isdigit() else 0
    return 0


def _turn_line(lines: list[str], text: str) -> int:
    start = text[:12]
    return next((n for n, line in enumerate(lines, 1) if start in line), 0)


def _turns(dialogue: Dialogue, file: Path, lines: list[str]) -> Iterator[Problem]:
    said: list[str] = []
    block: list[Turn] = []

    def found(turn: Turn, level: str, check: str, message: str) -> Problem:
        return Problem(str(file), _turn_line(lines, turn.text), level, check, f"{dialogue.id}: {message}")

    for turn in dialogue.turns:
        if (character := invisible(turn.text)) is not None:
            yield found(turn, ERROR, "encoding", f"{turn.text!r} has an invisible or broken character, {character}.")
        if turn.speaker == "user":
            said.append(turn.text)
            block = []
            continue
        if any(turn.strategy == before.strategy for before in block):
            yield found(turn, WARNING, "dialogue", f"{turn.text!r} uses {turn.strategy} twice in one answer.")
        block.append(turn)
        if len(block) == _REPLIES + 1:
            yield found(turn, WARNING, "dialogue", f"{turn.text!r} is the fourth agent message in a row.")
        missing = unproven(turn.text, [*turn.facts.values(), *said])
        if missing:
            yield found(turn, WARNING, "facts", f"{turn.text!r} states {missing[0]!r}, which none of its facts proves.")


def _repeated(dialogues: list[Dialogue]) -> Iterator[Problem]:
    seen: dict[str, Dialogue] = {}
    for dialogue in dialogues:
        for turn in dialogue.turns:
            key = folded(turn.text)
            if turn.speaker == "user" or len(key) < _TELLING:
                continue
            before = seen.setdefault(key, dialogue)
            if before is not dialogue:
                message = f"{dialogue.id}: {turn.text!r} stands in {before.id} too."
                lines = Path(dialogue.source).read_text(encoding="utf-8").splitlines()
                yield Problem(dialogue.source, _turn_line(lines, turn.text), WARNING, "duplicate", message)
