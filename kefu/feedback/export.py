"""Writes reviewed items as training data: NLU examples and dialogues, in the formats of data/nlu and data/dialogues."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kefu.dataset.nlu import NluExample, read_nlu
from kefu.dataset.problems import folded
from kefu.dialogues import read_dialogues
from kefu.facts import fill
from kefu.feedback.export_dialogues import dialogues_of
from kefu.feedback.export_nlu import Example, example_of, nlu_yaml
from kefu.feedback.guard import Limits, limited
from kefu.feedback.passages import read_passages
from kefu.feedback.store import ACCEPTED, CORRECTED, ReviewItem, ReviewStore

_TELLING = 6  # characters; a shorter message means what its context makes of it


@dataclass
class Export:
    """What goes into the training data, and what does not and why.

    Attributes:
        examples: NLU examples, sorted as written.
        dialogues: documents for data/dialogues' format.
        conflicts: reviewed labels that contradict data/nlu or an earlier review; the (later) review wins here.
        refused: replies that cannot be taught, with the reason.
        held_out: messages that stand in the held-out sets.
        repeated: items whose example is there already.
        held_back: {sender: items above the sender's share}.
    """

    examples: list[Example] = field(default_factory=list)
    dialogues: list[dict[str, Any]] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    held_out: list[str] = field(default_factory=list)
    repeated: int = 0
    held_back: dict[str, int] = field(default_factory=dict)
    items: list[ReviewItem] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "examples": len(self.examples),
            "dialogues": len(self.dialogues),
            "better_replies": sum(i.reviewed_reply is not None for i in self.items),
            "repeated": self.repeated,
            "conflicts": self.conflicts,
            "refused": self.refused,
            "held_out": self.held_out,
            "held_back": self.held_back,
        }

    def corrections(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """(NLU rows, strategy rows) of what reviewers corrected, in the shape of the held-out sets."""
        corrected = [i for i in self.items if i.status == CORRECTED]
        nlu = [{"text": i.text, "context": i.context, "intent": i.labels[0], "emotion": i.labels[1]} for i in corrected]
        strategy = []
        for dialogue in self.dialogues:  # each ends with a reviewed reply
            *before, last = dialogue["turns"]
            context = [_spoken(turn) for turn in before]
            strategy.append({"context": context, "strategy": [last["strategy"]]})
        return nlu, strategy


def _spoken(turn: Mapping[str, Any]) -> list[str]:
    if "user" in turn:
        return ["user", turn["user"]]
    return ["agent", fill(turn["agent"], turn.get("facts") or {})]


def gather(store: ReviewStore, data: Path, limits: Limits | None = None) -> Export:
    """Everything reviewed so far, merged.

    Args:
        data: the hand-written data; its nlu examples are compared with, its held-out sets kept clean.
        limits: on one sender's share.
    """
    made = Export()
    reviewed = store.items([ACCEPTED, CORRECTED], by_priority=False)
    made.items, made.held_back = limited(reviewed, limits or Limits())
    secret = held_out_texts(data / "heldout")
    clean = [i for i in made.items if folded(i.text) not in secret]
    made.held_out = [f"item {i.id}: {i.text!r}" for i in made.items if folded(i.text) in secret]
    made.items = clean
    known = read_nlu([data / "nlu"]) if (data / "nlu").is_dir() else []
    _merge(made, _table(known))
    made.dialogues, made.refused = dialogues_of(store, clean, read_passages(data), secret)
    return made


def write(export: Export, folder: Path) -> list[Path]:
    """Writes nlu/feedback.yml and dialogues/feedback.yml below ``folder``; a file with nothing to say is removed.

    Raises:
        DataError: what was written does not read back (then the old files are still in place).
    """
    targets = {
        folder / "nlu" / "feedback.yml": nlu_yaml(export.examples) if export.examples else None,
        folder / "dialogues" / "feedback.yml": dialogues_yaml(export.dialogues) if export.dialogues else None,
    }
    drafts: list[tuple[Path, Path]] = []
    for path, text in targets.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink(missing_ok=True)
            continue
        draft = path.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8")
        if path.parent.name == "nlu":
            read_nlu([draft])
        else:
            list(read_dialogues([draft]))
        drafts.append((draft, path))
    for draft, path in drafts:
        os.replace(draft, path)
    return [path for _, path in drafts]


def dialogues_yaml(dialogues: Sequence[Mapping[str, Any]]) -> str:
    """A YAML list, one turn a line; every line's JSON is YAML too."""
    lines = ["# Written by `kefu feedback export` from reviewed feedback; the next export overwrites it."]
    for dialogue in dialogues:
        lines += [f"- id: {dialogue['id']}", f"  scene: {_json(dialogue['scene'])}", "  turns:"]
        lines += [f"  - {_json(turn)}" for turn in dialogue["turns"]]
    return "\n".join(lines) + "\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _table(examples: Sequence[NluExample]) -> dict[tuple[str, str], NluExample]:
    return {(folded(e.text), folded(e.context) if e.context else ""): e for e in reversed(examples)}


def _merge(made: Export, known: Mapping[tuple[str, str], NluExample]) -> None:
    chosen: dict[tuple[str, str], tuple[ReviewItem, Example]] = {}
    for item in sorted(made.items, key=lambda i: (str(i.reviewed_at), i.id)):
        example = example_of(item)
        if example is None:
            continue
        key = (folded(example.text), folded(example.context) if example.context else "")
        if (before := chosen.get(key)) is not None:
            made.repeated += before[1].labels == example.labels
            if before[1].labels != example.labels:
                made.conflicts.append(
                    f"item {item.id}: {item.text!r} was reviewed as {_said(before[1].labels)} in item {before[0].id} "
                    f"and as {_said(example.labels)} later; the later review is exported."
                )
        chosen[key] = (item, example)
    for key, (item, example) in chosen.items():
        other = known.get(key) or (known.get((key[0], "")) if len(key[0]) >= _TELLING else None)
        if other is not None and (other.intent, other.emotion) != example.labels:
            made.conflicts.append(
                f"item {item.id}: {item.text!r} was reviewed as {_said(example.labels)}; {other.file}:{other.line} has "
                f"{_said((other.intent, other.emotion))}. The review is exported; mend the file if it is wrong."
            )
        elif other is not None and known.get(key) is other:
            made.repeated += 1
            continue
        made.examples.append(example)
    made.examples.sort()


def _said(labels: tuple[str, str | None]) -> str:
    return ", ".join(label or "no emotion" for label in labels)


def held_out_texts(folder: Path) -> frozenset[str]:
    """The folded messages of customers in the held-out sets, short ones aside."""
    texts: set[str] = set()
    for file in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line) if line.strip() else {}
            if "text" in row:  # its context is the agent's turn
                texts.add(str(row["text"]))
            else:
                texts.update(str(text) for speaker, text in row.get("context") or () if speaker == "user")
    return frozenset(f for f in map(folded, texts) if len(f) >= _TELLING)
