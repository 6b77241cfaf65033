"""Reads data/dialogues/*.yml: hand-written dialogues that teach the strategy policy and the generator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kefu.errors import DataError, NotFound
from kefu.facts import FREE_TEXTS, names, placeholders
from kefu.taxonomy import EMOTIONS, INTENTS, STRATEGIES


@dataclass(frozen=True)
class Turn:
    """One message. Speaker ``user`` has intent and emotion; speaker ``agent`` has strategy and the facts it states."""

    speaker: str
    text: str
    intent: str | None = None
    emotion: str | None = None
    strategy: str | None = None
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dialogue:
    """A conversation, first message first."""

    id: str
    scene: str
    turns: tuple[Turn, ...]
    source: str = ""


def _turn(raw: Any, where: str) -> Turn:
    if not isinstance(raw, dict) or ("user" in raw) == ("agent" in raw):
        raise DataError(f"{where}: a turn is a mapping with either 'user' or 'agent', not {raw!r}.")
    speaker = "user" if "user" in raw else "agent"
    text = "" if raw[speaker] is None else str(raw[speaker]).strip()
    if not text:
        raise DataError(f"{where}: the turn of {speaker!r} is empty.")
    known = {"user": {"intent": INTENTS, "emotion": EMOTIONS}, "agent": {"strategy": STRATEGIES}}[speaker]
    extra = set(raw) - {speaker, *known} - ({"facts"} if speaker == "agent" else set())
    if extra:
        raise DataError(f"{where}: the turn {text!r} has a key {sorted(extra)[0]!r}; known are {', '.join(known)}.")
    labels: dict[str, str] = {}
    for key, allowed in known.items():
        if not isinstance(raw.get(key), str) or raw[key] not in allowed:
            raise DataError(f"{where}: the turn {text!r} has {key} {raw.get(key)!r}, which taxonomy.yml does not name.")
        labels[key] = raw[key]
    given = raw.get("facts") or {}
    if not isinstance(given, dict):
        raise DataError(f"{where}: the turn {text!r} has facts {given!r}; they are a mapping of names to texts.")
    facts = {str(k): str(v) for k, v in given.items()}
    for key in facts:
        if key not in names():
            raise DataError(f"{where}: the turn {text!r} has the fact {key!r}, which facts.yml does not name.")
    if speaker == "agent":
        for key in placeholders(text):
            if key not in facts or key in FREE_TEXTS:
                raise DataError(f"{where}: the turn {text!r} uses {{{key}}} without a fact of that name.")
    return Turn(speaker, text, facts=facts, **labels)


def read_dialogues(paths: Iterable[Path]) -> Iterator[Dialogue]:
    """Yields the dialogues of files, or of all ``*.yml`` below folders, sorted by path.

    Raises:
        NotFound: a path is not there.
        DataError: a dialogue breaks the format; the message names the file, the dialogue, the key and the value.
    """
    seen: dict[str, str] = {}
    for path in paths:
        if not path.exists():
            raise NotFound(f"There is no {str(path)!r} with dialogues.")
        for file in sorted(path.rglob("*.yml")) if path.is_dir() else [path]:
            try:
                document = yaml.safe_load(file.read_text(encoding="utf-8")) or []
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                raise DataError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
            if not isinstance(document, list):
                raise DataError(f"{file}: expected a list of dialogues.")
            for raw in document:
                identifier = str(raw.get("id") if isinstance(raw, dict) else None)
                where = f"{file}, dialogue {identifier!r}"
                if not isinstance(raw, dict) or not raw.get("id") or not isinstance(raw.get("turns") or None, list):
                    raise DataError(f"{where}: a dialogue needs an id and a list of turns.")
                if identifier in seen:
                    raise DataError(f"{where}: the id stands in {seen[identifier]} too.")
                seen[identifier] = str(file)
                turns = tuple(_turn(t, where) for t in raw["turns"])
                yield Dialogue(identifier, str(raw.get("scene", "")), turns, str(file))
