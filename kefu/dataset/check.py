"""Checks all hand-written data: labels, duplicates, leakage into the held-out sets, entities, facts, ids, encoding."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kefu.dataset.dialogues import check_dialogues
from kefu.dataset.knowledge import check_knowledge
from kefu.dataset.leakage import TELLING, leaks
from kefu.dataset.nlu import NluExample, nlu_files, read_nlu_file
from kefu.dataset.problems import ERROR, WARNING, Problem, folded, invisible
from kefu.dataset.retrieval import check_retrieval
from kefu.dataset.similar import similar_pairs
from kefu.dialogues import Dialogue
from kefu.errors import NotFound
from kefu.taxonomy import EMOTIONS, INTENTS, STRATEGIES

ENTITIES = ("product", "color", "size")


@dataclass
class Findings:
    """What the check found: problems sorted by place, and how much data there is."""

    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> list[Problem]:
        """Those that have to be mended."""
        return [p for p in self.problems if p.level == ERROR]

    @property
    def warnings(self) -> list[Problem]:
        """Those that a person should look at."""
        return [p for p in self.problems if p.level == WARNING]


def check(data: Path, threshold: float = 0.8, fewest: int = 20) -> Findings:
    """Checks the data folder.

    Args:
        threshold: bigram Jaccard similarity from which two messages count as nearly the same.
        fewest: an intent with fewer examples is named.

    Raises:
        NotFound: there is no such folder, or no nlu folder in it.
    """
    if not data.is_dir():
        raise NotFound(f"There is no folder {str(data)!r} with data; --data or KEFU_DATA_DIR names it.")
    examples: list[NluExample] = []
    problems: list[Problem] = []
    for file in nlu_files([data / "nlu"]):
        found, wrong = read_nlu_file(file)
        examples += found
        problems += wrong
    problems += [p for e in examples for p in _labels(e)]
    problems += _coverage(examples, data, fewest)
    problems += _duplicates(examples, threshold)
    dialogues, wrong = check_dialogues(data / "dialogues")
    problems += wrong
    problems += check_knowledge(data)
    problems += _disagreements(examples, dialogues)
    problems += leaks(data / "heldout", examples, dialogues, threshold)
    problems += check_retrieval(data)
    return Findings(sorted(problems), _counts(examples, dialogues))


def _labels(example: NluExample) -> Iterator[Problem]:
    def wrong(check: str, message: str, level: str = ERROR) -> Problem:
        return Problem(example.file, example.line, level, check, message)

    if example.intent not in INTENTS:
        yield wrong("label", f"intent {example.intent!r} is not in taxonomy.yml.")
    if example.emotion is None:
        yield wrong("label", f"{example.text!r} has no emotion in its metadata.")
    elif example.emotion not in EMOTIONS:
        yield wrong("label", f"emotion {example.emotion!r} of {example.text!r} is not in taxonomy.yml.")
    for key in example.metadata:
        if key not in ("emotion", "context"):
            yield wrong("label", f"the metadata of {example.text!r} has {key!r}; known are emotion and context.")
    if not example.text.strip():
        yield wrong("encoding", "an empty example.")
    if "\n" in example.raw:
        yield wrong("encoding", f"{example.raw!r} spans lines: is it two examples?", WARNING)
    for text in (example.raw, example.context or ""):
        if (found := invisible(text)) is not None:
            yield wrong("encoding", f"{text!r} has an invisible or broken character, {found}.")
    for kind, start, end in example.entities:
        if kind not in ENTITIES:
            yield wrong("entity", f"entity type {kind!r} in {example.raw!r}; known are {', '.join(ENTITIES)}.")
        elif example.text[start:end] != example.text[start:end].strip():
            yield wrong("entity", f"the {kind} in {example.raw!r} begins or ends with a space.", WARNING)
    if "](" in example.text or "[]" in example.raw:
        yield wrong("entity", f"broken entity markup in {example.raw!r}.")


def _coverage(examples: list[NluExample], data: Path, fewest: int) -> Iterator[Problem]:
    of_intent = Counter(e.intent for e in examples)
    for intent in INTENTS:
        if of_intent[intent] == 0:
            yield Problem(str(data / "nlu"), 0, ERROR, "label", f"no example of intent {intent!r}.")
        elif of_intent[intent] < fewest:
            message = f"only {of_intent[intent]} examples of intent {intent!r}."
            yield Problem(str(data / "nlu"), 0, WARNING, "label", message)
    present = {e.emotion for e in examples}
    for emotion in EMOTIONS:
        if emotion not in present:
            yield Problem(str(data / "nlu"), 0, ERROR, "label", f"no example of emotion {emotion!r}.")


def _duplicates(examples: list[NluExample], threshold: float) -> Iterator[Problem]:
    same: dict[tuple[str, str], list[NluExample]] = defaultdict(list)
    for example in examples:
        same[folded(example.text), folded(example.context) if example.context else ""].append(example)
    for group in same.values():
        first = group[0]
        for other in group[1:]:
            place = f"{other.text!r} stands in {first.file}:{first.line}"
            if other.intent != first.intent:
                message, level = f"{place} with intent {first.intent!r}, here {other.intent!r}.", ERROR
            elif other.emotion != first.emotion:
                message, level = f"{place} with emotion {first.emotion!r}, here {other.emotion!r}.", ERROR
            else:
                message, level = f"{place} too.", WARNING
            yield Problem(other.file, other.line, level, "duplicate", message)
    for i, j, score in similar_pairs([e.text for e in examples], None, threshold):
        one, other = examples[i], examples[j]
        if one.intent == other.intent or (folded(one.text) == folded(other.text) and one.context != other.context):
            continue  # within an intent likeness harms nobody; an answer means what was asked before it
        if folded(one.text) == folded(other.text):
            continue  # told above
        message = (
            f"{other.text!r} ({other.intent}) is {score:.0%} like {one.text!r} ({one.intent}, {one.file}:{one.line})."
        )
        yield Problem(other.file, other.line, WARNING, "near-duplicate", message)


def _disagreements(examples: list[NluExample], dialogues: list[Dialogue]) -> Iterator[Problem]:
    """Messages of dialogues that stand among the NLU examples under another label."""
    known = {folded(e.text): e for e in examples if e.context is None and len(folded(e.text)) >= TELLING}
    for dialogue in dialogues:
        for turn in dialogue.turns:
            example = known.get(folded(turn.text)) if turn.speaker == "user" else None
            if example is not None and (turn.intent, turn.emotion) != (example.intent, example.emotion):
                message = (
                    f"{dialogue.id}: {turn.text!r} is {turn.intent}, {turn.emotion} here and "
                    f"{example.intent}, {example.emotion} in {example.file}:{example.line}."
                )
                yield Problem(dialogue.source, 0, WARNING, "label", message)


def _counts(examples: list[NluExample], dialogues: list[Dialogue]) -> dict[str, Any]:
    table: dict[str, dict[str, int]] = {i: dict.fromkeys(EMOTIONS, 0) for i in INTENTS}
    for e in examples:
        if e.intent in table and e.emotion in EMOTIONS:
            table[e.intent][e.emotion] += 1
    agent = [t for d in dialogues for t in d.turns if t.speaker == "agent"]
    return {
        "examples": len(examples),
        "with_context": sum(e.context is not None for e in examples),
        "entities": dict(sorted(Counter(kind for e in examples for kind, _, _ in e.entities).items())),
        "intents": table,
        "emotions": {name: sum(row[name] for row in table.values()) for name in EMOTIONS},
        "dialogues": len(dialogues),
        "turns": sum(len(d.turns) for d in dialogues),
        "strategies": {name: sum(t.strategy == name for t in agent) for name in STRATEGIES},
    }
