"""Spoils texts the way customers and their phones do: seeded, a given share of the characters, one kind or all kinds.

``homophone``: another common character of the same toneless pinyin, as an input method offers it; candidates are the
3,755 characters of GB2312's first level. ``swap``: a character changes places with the next. ``drop``: it is left out.
``traditional``: its traditional form. ``full_width``: the full-width form of a Latin letter, digit or mark.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from kefu.errors import SettingsError

_Edit = Mapping[int, Sequence[str]]  # place -> what may stand there instead
_FULL_WIDTH = 0xFEE0  # from ! to ～ the distance to the full-width form


def spoil(text: str, kinds: Sequence[str], share: float, seed: int) -> str:
    """``text`` with ``share`` of its characters changed, the same for the same arguments.

    The number of changes is ``share`` times the characters that are no white space, rounded up or down at random so
    that it is right in the mean; fewer where the text has fewer places that a kind can change. A swap is one change.

    Args:
        kinds: of KINDS; with more than one, each change draws its kind among those that fit its place.
        share: 0 to 1.

    Raises:
        SettingsError: no such kind, or ``share`` is out of range.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise SettingsError(f"There is no kind of noise {kind!r}. Kinds are: {', '.join(KINDS)}.")
    if not 0.0 <= share <= 1.0:
        raise SettingsError(f"Option '--share' must be from 0 to 1. But it was: {share!r}")
    draw = random.Random(f"{seed}\0{','.join(kinds)}\0{text}".encode("utf-8", "surrogatepass"))
    wanted = int(share * sum(not c.isspace() for c in text) + draw.random())
    edits = {kind: KINDS[kind](text) for kind in kinds} if wanted else {}
    places = sorted({place for edit in edits.values() for place in edit})
    draw.shuffle(places)
    characters, touched = list(text), set[int]()
    for place in places:
        fitting = [k for k in kinds if place in edits[k] and not _span(k, place) & touched]
        if wanted <= 0 or not fitting:
            continue
        kind = draw.choice(fitting)
        instead = draw.choice(edits[kind][place])
        for offset, position in enumerate(sorted(_span(kind, place))):
            characters[position] = instead[offset : offset + 1]
        touched |= _span(kind, place)
        wanted -= 1
    return "".join(characters) if any(not c.isspace() for c in characters if c) else text


def _span(kind: str, place: int) -> set[int]:
    return {place, place + 1} if kind == "swap" else {place}


def _homophone(text: str) -> _Edit:
    from pypinyin import lazy_pinyin

    apart: Any = list  # what has no sound stands for itself, character by character
    sounds = lazy_pinyin(text, errors=apart)  # in context: 重 of 重庆 is chong
    if len(sounds) != len(text):
        return {}
    alike = _by_sound()
    found = {i: [c for c in alike.get(s, ()) if c != text[i]] for i, s in enumerate(sounds) if s != text[i]}
    return {i: candidates for i, candidates in found.items() if candidates}


@lru_cache(maxsize=1)
def _by_sound() -> Mapping[str, Sequence[str]]:
    """{toneless pinyin: common characters whose usual reading it is}."""
    from pypinyin import lazy_pinyin

    level_one = bytes(b for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF) for b in (row, cell))
    groups: dict[str, list[str]] = defaultdict(list)
    for character in level_one.decode("gb2312", errors="ignore"):
        (sound,) = lazy_pinyin(character)
        groups[sound].append(character)
    return groups


def _swap(text: str) -> _Edit:
    pairs = [(i, text[i : i + 2]) for i in range(len(text) - 1)]
    return {i: [pair[::-1]] for i, pair in pairs if pair[0] != pair[1] and not any(c.isspace() for c in pair)}


def _drop(text: str) -> _Edit:
    return {i: [""] for i, c in enumerate(text) if not c.isspace()}


def _traditional(text: str) -> _Edit:
    converted = str(_converter().convert(text))
    if len(converted) != len(text):
        converted = "".join(c if len(t := str(_converter().convert(c))) != 1 else t for c in text)
    return {i: [t] for i, (c, t) in enumerate(zip(text, converted)) if c != t}


@lru_cache(maxsize=1)
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("s2t")


def _full_width(text: str) -> _Edit:
    return {i: [chr(ord(c) + _FULL_WIDTH)] for i, c in enumerate(text) if "!" <= c <= "~"}


KINDS: dict[str, Callable[[str], _Edit]] = {
    "homophone": _homophone,
    "swap": _swap,
    "drop": _drop,
    "traditional": _traditional,
    "full_width": _full_width,
}
