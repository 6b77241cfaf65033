"""Makes passages of a document's sections and writes them where the index reads them."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kefu.dataset.problems import visible
from kefu.dataset.similar import bigrams
from kefu.errors import DataError
from kefu.knowledge.documents import Section, read_document
from kefu.knowledge.passage import Passage
from kefu.taxonomy import INTENTS

LONGEST = 300  # characters of a passage
# Share of the shorter text's character pairs that the other holds, from which they say the same.
SAME = 0.8
_FEWEST_PAIRS = 6  # a text shorter than that is too short to be told apart by its pairs
_TITLE_CHARS = 40
_SENTENCE = re.compile(r"(?<=[。！？!?；;…])(?![”’」』）)])|(?<=[。！？!?][”’」』）)])|(?<=[a-z]\.)\s+(?=[A-Z])")


@dataclass
class Added:
    """What became of a document.

    Attributes:
        fresh: passages to be written.
        unchanged: ids that stand in the file already, with the same text.
        changed: passages whose id stands in the file with another text.
        repeated: (passage, id, likeness) of those that another passage says already.
    """

    fresh: list[Passage] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    changed: list[Passage] = field(default_factory=list)
    repeated: list[tuple[Passage, str, float]] = field(default_factory=list)


def passages_of(file: Path, intents: Sequence[str] = ()) -> list[Passage]:
    """The passages of a document: one a section, long ones cut between sentences.

    An id is made of the file's name, the heading and the part's number, so that a new version of a document gives its
    passages the ids that they had.

    Raises:
        NotFound, DataError: of read_document; an intent is unknown.
    """
    name = slug(file.stem)
    found: list[Passage] = []
    met: dict[str, int] = {}
    for section in read_document(file):
        title = visible(section.title or file.stem)[:_TITLE_CHARS]
        wanted = tuple(dict.fromkeys([*section.intents, *intents]))
        if wrong := [i for i in wanted if i not in INTENTS]:
            raise DataError(f"{file}, {title!r}: the intent {wrong[0]!r} does not stand in taxonomy.yml.")
        key = hashlib.sha256(title.encode()).hexdigest()[:6]
        for text in cut(visible(section.text)):
            met[key] = number = met.get(key, 0) + 1
            part = f"_{number}" if number > 1 else ""
            found.append(Passage(f"{name}_{key}{part}", title, text, wanted, _questions(section, title)))
    return found


def _questions(section: Section, title: str) -> tuple[str, ...]:
    return tuple(q for q in dict.fromkeys(map(visible, section.questions)) if q and q != title)


def cut(text: str, longest: int = LONGEST) -> list[str]:
    """``text`` in parts of at most ``longest`` characters and about the same length, of whole sentences.

    A sentence that is longer is cut at a comma, at worst anywhere.
    """
    pieces = [piece for sentence in _SENTENCE.split(text) if sentence for piece in _short(sentence.strip(), longest)]
    even = math.ceil(len(text) / max(1, math.ceil(len(text) / longest)))
    parts: list[str] = []
    for piece in pieces:
        space = " " if parts and parts[-1][-1].isascii() and piece[0].isascii() else ""
        if parts and len(parts[-1]) < even and len(parts[-1]) + len(space) + len(piece) <= longest:
            parts[-1] += space + piece
        else:
            parts.append(piece)
    return parts


def _short(sentence: str, longest: int) -> Iterator[str]:
    while len(sentence) > longest:
        comma = max(sentence.rfind(mark, longest // 3, longest) for mark in "，,、：")
        end = comma + 1 if comma > 0 else longest
        yield sentence[:end]
        sentence = sentence[end:].strip()
    if sentence:
        yield sentence


def slug(name: str) -> str:
    """``name`` in small letters, digits and underscores; Chinese in pinyin."""
    from pypinyin import lazy_pinyin

    words = re.findall(r"[a-z0-9]+", " ".join(lazy_pinyin(name)).lower())
    return "_".join(words)[:40].strip("_") or "document"


def sorted_out(made: Sequence[Passage], known: Sequence[Passage], there: Sequence[str]) -> Added:
    """Which of the passages made are new.

    Args:
        known: all passages of the data folder.
        there: the ids in the file that they are to be written to; those were made of an earlier version.

    Raises:
        DataError: an id stands in another file.
    """
    added = Added()
    texts = {p.id: p.text for p in known}
    pairs = [(p.id, bigrams(p.text)) for p in known]
    for passage in made:
        if passage.id in texts:
            if passage.id not in there:
                raise DataError(f"There is another passage {passage.id!r}. Rename the document, or write to its file.")
            if texts[passage.id] == passage.text:
                added.unchanged.append(passage.id)
            else:
                added.changed.append(passage)
            continue
        own = bigrams(passage.text)
        likeness, other = max(((_likeness(own, p), name) for name, p in pairs), default=(0.0, ""))
        if likeness >= SAME:
            added.repeated.append((passage, other, likeness))
        else:
            added.fresh.append(passage)
            pairs.append((passage.id, own))
    return added


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    smaller = min(len(one), len(other))
    if smaller < _FEWEST_PAIRS:
        return float(one == other)
    return len(one & other) / smaller


def ids_in(file: Path) -> list[str]:
    """The ids of a knowledge file's passages; none where there is no file."""
    return [str(raw["id"]) for raw in _entries(file)]


def write(file: Path, fresh: Sequence[Passage], changed: Sequence[Passage] = (), source: str = "") -> None:
    """Appends ``fresh`` to a knowledge file and gives ``changed`` their new texts; what was added by hand stays.

    Where a text changes the file is written anew and loses its comments.
    """
    if not fresh and not changed:
        return
    before = file.read_text(encoding="utf-8") if file.is_file() else f"# From {source}; kefu knowledge add made it.\n"
    if changed:
        texts = {p.id: p for p in changed}
        entries = [
            {**raw, "title": texts[raw["id"]].title, "text": texts[raw["id"]].text} if raw["id"] in texts else raw
            for raw in _entries(file)
        ]
        before = _dumped(entries)
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(f".{os.getpid()}.tmp")
    entries = [_entry(p) for p in fresh]
    scratch.write_text(before.rstrip("\n") + "\n" + (_dumped(entries) if entries else ""), encoding="utf-8")
    os.replace(scratch, file)


def _entry(passage: Passage) -> dict[str, Any]:
    lists = {"intents": list(passage.intents), "questions": list(passage.questions)}
    return {"id": passage.id, "title": passage.title, **{k: v for k, v in lists.items() if v}, "text": passage.text}


def _entries(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    try:
        entries = yaml.safe_load(file.read_text(encoding="utf-8")) or []
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{file} is not YAML: {error}") from None
    if not isinstance(entries, list) or not all(isinstance(raw, dict) and raw.get("id") for raw in entries):
        raise DataError(f"{file} is no list of passages, each with an 'id'.")
    return entries


def _dumped(entries: Sequence[dict[str, Any]]) -> str:
    return str(yaml.safe_dump(list(entries), allow_unicode=True, sort_keys=False, width=1000))
