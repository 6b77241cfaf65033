"""Reads Rasa's NLU YAML with the line of each example, so that a finding can be looked up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kefu.dataset.problems import ERROR, Problem
from kefu.errors import DataError, NotFound

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MARKUP = re.compile(r"\[(?P<text>[^\[\]]+)\](?:\((?P<type>[^()]+)\)|(?P<json>\{[^{}]+\}))")


@dataclass(frozen=True)
class NluExample:
    """One example. ``entities`` are (type, start, end) in ``text``, whose markup is gone; ``raw`` still has it."""

    text: str
    intent: str
    emotion: str | None
    context: str | None
    entities: tuple[tuple[str, int, int], ...]
    raw: str
    file: str
    line: int
    metadata: tuple[str, ...] = ()


def without_markup(raw: str) -> tuple[str, tuple[tuple[str, int, int], ...]]:
    """``[加湿器](product)坏了`` gives ``加湿器坏了`` and (("product", 0, 3),)."""
    text, entities, position = "", [], 0
    for match in _MARKUP.finditer(raw):
        text += raw[position : match.start()]
        kind = match["type"] or _json_type(match["json"])
        entities.append((kind.split(":")[0], len(text), len(text) + len(match["text"])))
        text, position = text + match["text"], match.end()
    return text + raw[position:], tuple(entities)


def _json_type(source: str) -> str:
    try:
        return str(json.loads(source).get("entity", ""))
    except (json.JSONDecodeError, AttributeError):
        return ""


def nlu_files(paths: Iterable[Path]) -> Iterator[Path]:
    """The files themselves and all ``*.yml`` below folders, sorted.

    Raises:
        NotFound: a path is not there.
    """
    for path in paths:
        if not path.exists():
            raise NotFound(f"There is no {str(path)!r} with NLU examples.")
        yield from sorted(path.rglob("*.yml")) if path.is_dir() else [path]


def read_nlu(paths: Iterable[Path]) -> list[NluExample]:
    """All examples.

    Raises:
        NotFound: a path is not there.
        DataError: a file breaks the format; the message names file and line.
    """
    examples: list[NluExample] = []
    for file in nlu_files(paths):
        found, problems = read_nlu_file(file)
        if problems:
            raise DataError(f"{problems[0].where}: {problems[0].message}")
        examples += found
    return examples


def read_nlu_file(file: Path) -> tuple[list[NluExample], list[Problem]]:
    """The examples of one file, and what breaks the format in it."""
    problems: list[Problem] = []

    def wrong(line: int, message: str) -> None:
        problems.append(Problem(str(file), line, ERROR, "format", message))

    try:
        document = yaml.compose(file.read_text(encoding="utf-8"), Loader=_Loader)
    except UnicodeDecodeError as error:
        wrong(0, f"not UTF-8 at byte {error.start}; save the file as UTF-8.")
        return [], problems
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        wrong(mark.line + 1 if mark else 0, f"not YAML: {getattr(error, 'problem', error)}.")
        return [], problems
    examples: list[NluExample] = []
    blocks = _get(document, "nlu")
    if not isinstance(blocks, yaml.SequenceNode):
        wrong(1, "expected a mapping with a list under 'nlu'.")
        return [], problems
    for block in blocks.value:
        intent = _get(block, "intent")
        if intent is None:  # synonyms, regular expressions and lookup tables
            continue
        listed = _get(block, "examples")
        if not isinstance(listed, yaml.SequenceNode):
            wrong(_line(block), f"the examples of {intent.value!r} are not a list of 'text' and 'metadata'.")
            continue
        for node in listed.value:
            text = _get(node, "text")
            if not isinstance(text, yaml.ScalarNode):
                wrong(_line(node), "an example has no 'text'.")
                continue
            examples.append(_example(node, text, str(intent.value), str(file)))
    return examples, problems


def _example(node: Any, text: Any, intent: str, file: str) -> NluExample:
    raw = str(text.value).strip()
    plain, entities = without_markup(raw)
    metadata = _get(node, "metadata")
    keys = tuple(str(k.value) for k, _ in metadata.value) if isinstance(metadata, yaml.MappingNode) else ()
    # A literal block's text stands in the line after its key.
    line = _line(text) + (1 if text.style in ("|", ">") else 0)
    return NluExample(
        text=plain,
        intent=intent,
        emotion=_scalar(metadata, "emotion"),
        context=_scalar(metadata, "context"),
        entities=entities,
        raw=raw,
        file=file,
        line=line,
        metadata=keys,
    )


def _get(node: Any, key: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return value
    return None


def _scalar(node: Any, key: str) -> str | None:
    value = _get(node, key)
    return str(value.value) if isinstance(value, yaml.ScalarNode) and value.value else None


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
