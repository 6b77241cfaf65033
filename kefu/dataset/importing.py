"""Writes a user's own copy of a labelled set as training examples in Rasa's NLU YAML."""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

import yaml

from kefu.dataset.nlu import read_nlu
from kefu.dataset.problems import folded, visible
from kefu.errors import DataError, NotFound, SettingsError
from kefu.taxonomy import EMOTIONS, INTENTS

KINDS: dict[str, Mapping[str, str]] = {"intent": INTENTS, "emotion": EMOTIONS}
_LEFT_OUT = ("", "~", "null")  # a label mapped to one of these is not imported
_MARKUP = re.compile(r"\](?=[({])|(?<=\[)(?=\])")  # [x](y) and [] in a text that has no marks
_SHOWN = 5  # labels named in an error


@dataclass(frozen=True)
class Target:
    """What the labels of the set become.

    Attributes:
        kind: ``intent`` or ``emotion``.
        intent: of all examples where the label is an emotion.
        emotion: of all examples where the label is an intent; None leaves it out, and the emotion is not trained.

    Raises:
        SettingsError: a value is none of its kind, or one is missing or too much.
    """

    kind: str = "intent"
    intent: str | None = None
    emotion: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SettingsError(f"Option '--as' has value {self.kind!r}. A label becomes one of: {', '.join(KINDS)}.")
        if self.kind == "emotion" and self.intent is None:
            raise SettingsError("With --as emotion the examples still need an intent: --intent NAME.")
        if getattr(self, self.kind) is not None:
            raise SettingsError(f"--{self.kind} goes with --as {_other(self.kind)}: here the label is the {self.kind}.")
        other, names = getattr(self, _other(self.kind)), KINDS[_other(self.kind)]
        if other is not None and other not in names:
            hint = _nearest(other, names) or f"Known are: {', '.join(names)}."
            raise SettingsError(
                f"Option '--{_other(self.kind)}' has value {other!r}, which is not in taxonomy.yml. {hint}"
            )


@dataclass
class Imported:
    """What an import wrote and what it left out.

    Attributes:
        examples: (text, intent, emotion) as written.
        unmapped: rows whose label the map leaves out.
        repeated: rows that say an earlier one again.
        contradictory: texts with more than one label, all of whose rows are left out.
        blank: rows without a visible character.
    """

    examples: list[tuple[str, str, str | None]] = field(default_factory=list)
    unmapped: int = 0
    repeated: int = 0
    contradictory: int = 0
    blank: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        left_out = {name: value for name, value in vars(self).items() if name != "examples"}
        intents, emotions = (Counter(e[i] for e in self.examples if e[i]) for i in (1, 2))
        return {
            "examples": len(self.examples),
            "intents": dict(intents.most_common()),
            "emotions": dict(emotions.most_common()),
            **left_out,
        }


def read_label_map(path: Path) -> dict[str, str | None]:
    """{label of the set: intent or emotion} of a YAML file; None where nothing stands behind the label.

    Raises:
        NotFound: no such file.
        DataError: the file is no mapping of names to names.
    """
    if not path.is_file():
        raise NotFound(f"There is no label map {str(path)!r}.")
    try:
        # As text: YAML would read the labels 0, no and on as a number and truth values.
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict) or not document:
        raise DataError(f"{path} must be lines 'label: intent'. But it was: {document!r}")
    for label, name in document.items():
        if not isinstance(label, str) or not isinstance(name, str):
            raise DataError(f"{path}: {label!r} must be mapped to one name. But it was: {name!r}")
    return {label: None if name in _LEFT_OUT else name for label, name in document.items()}


def convert(
    rows: Iterable[tuple[str, str]], target: Target, label_map: Mapping[str, str | None] | None = None
) -> Imported:
    """(text, label) rows as examples, in the order of taxonomy.yml.

    A label that ``label_map`` does not have stands for the intent or emotion of that name. Texts lose line ends and
    invisible characters, and no longer look like entity marks.

    Raises:
        DataError: a label leads to no intent or emotion of taxonomy.yml, or nothing is left to write.
    """
    rows, label_map = list(rows), label_map or {}
    names = KINDS[target.kind]
    meaning = {label: label_map.get(label, label) for _, label in rows}
    _check(meaning, target.kind)
    made = Imported()
    said: dict[str, set[str]] = defaultdict(set)
    first: dict[str, str] = {}
    for text, label in rows:
        name, text = meaning[label], _MARKUP.sub(_apart, visible(text))
        if name is None:
            made.unmapped += 1
        elif not text:
            made.blank += 1
        else:
            key = folded(text)
            made.repeated += name in said[key]
            said[key].add(name)
            first.setdefault(key, text)
    for key, text in first.items():
        if len(said[key]) > 1:
            made.contradictory += 1
            continue
        (name,) = said[key]
        made.examples.append(
            (text, name, target.emotion) if target.kind == "intent" else (text, target.intent or "", name)
        )
    if not made.examples:
        raise DataError(f"Of {len(rows)} rows none is left to write: {_left_out(made)}.")
    order = list(names)
    made.examples.sort(key=lambda e: order.index(e[1] if target.kind == "intent" else e[2] or ""))
    return made


def write_nlu(made: Imported, out: Path, force: bool = False) -> None:
    """Writes the examples to ``out`` and reads them back before the file takes its place.

    Raises:
        DataError: the file is there and ``force`` is not given, its name does not end in .yml, or what was written
            does not read back (then ``out`` is as before).
    """
    check_out(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_suffix(".draft")
    try:
        draft.write_text(_yaml(made), encoding="utf-8")
        read = [(e.text, e.intent, e.emotion) for e in read_nlu([draft])]
        for written, back in zip_longest(made.examples, read):
            if written != back:
                raise DataError(f"{out}: {written!r} would be read as {back!r}; nothing was written.")
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


def check_out(out: Path, force: bool) -> None:
    """Whether ``out`` may be written.

    Raises:
        DataError: it is there and ``force`` is not given, or its name does not end in .yml.
    """
    if out.suffix != ".yml":
        raise DataError(f"Option '--out' has value {str(out)!r}; give a file that ends in .yml, as Rasa reads them.")
    if out.is_dir() or (out.exists() and not force):
        raise DataError(f"Option '--out' has value {str(out)!r}, which is there already; --force overwrites a file.")


def _yaml(made: Imported) -> str:
    lines = ["# Written by `kefu data import`.", 'version: "3.1"', "nlu:"]
    for intent, group in groupby(made.examples, key=lambda e: e[1]):
        lines += [f"- intent: {intent}", "  examples:"]
        for text, _, emotion in group:
            lines += ["  - text: |", f"      {text}"]
            lines += [f"    metadata: {{emotion: {emotion}}}"] if emotion else []
    return "\n".join(lines) + "\n"


def _check(meaning: Mapping[str, str | None], kind: str) -> None:
    names = KINDS[kind]
    wrong = {label: name for label, name in meaning.items() if name is not None and name not in names}
    if not wrong:
        return
    told = [repr(label) if label == name else f"{label!r} (mapped to {name!r})" for label, name in wrong.items()]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    hint = next(filter(None, (_nearest(name, names) for label, name in wrong.items() if label != name)), "")
    raise DataError(
        f"No {kind} of taxonomy.yml are the labels {', '.join(told[:_SHOWN])}{more}. {hint + ' ' if hint else ''}"
        f"Map them with --intent-map FILE.yml, lines 'label: {kind}'; 'label:' alone leaves its rows out."
    )


def _nearest(name: str | None, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name or "", names, 3, 0.5)
    return f"Did you mean {' or '.join(near)}?" if near else ""


def _other(kind: str) -> str:
    return "emotion" if kind == "intent" else "intent"


def _apart(match: re.Match[str]) -> str:
    return match[0] + " "


def _left_out(made: Imported) -> str:
    counts = {name.replace("_", " "): value for name, value in vars(made).items() if name != "examples" and value}
    return ", ".join(f"{value} {name}" for name, value in counts.items()) or "the set has no rows"
