"""The stated half of the customer model, from customers.yml; the other half is estimated, see estimates.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from kefu.errors import DataError, NotFound
from kefu.taxonomy import EMOTIONS

UPSET = ("angry", "anxious", "disappointed")
WORSE = {
    "happy": "neutral",
    "neutral": "disappointed",
    "confused": "disappointed",
    "disappointed": "angry",
    "anxious": "angry",
    "angry": "angry",
}
BETTER = {
    "angry": "neutral",
    "disappointed": "neutral",
    "anxious": "neutral",
    "confused": "neutral",
    "neutral": "happy",
    "happy": "happy",
}
# How good a mood is, for averages and rewards.
VALENCE = {"happy": 1.0, "neutral": 0.5, "confused": 0.0, "anxious": -0.25, "disappointed": -0.5, "angry": -1.0}
_GROUPS: dict[str, tuple[str, ...]] = {
    "patience": ("least", "more"),
    "weariness": tuple(EMOTIONS),
    "helps": (
        *("inform_ready", "inform_unclear", "inform_early", "suggest_ready", "suggest_unclear", "suggest_early"),
        *("inform_action", "resolve_ready", "resolve_unclear", "resolve_question", "restate_detail", "detail_told"),
    ),
    "worsens": (
        "asked_again",
        "asked_in_vain",
        "no_answer",
        "repeated",
        "empty_promise",
        "asked_too_early",
        "closed_too_early",
        "detained",
    ),
    "rating": ("chance", "wrong"),
}
_SINGLE = ("upset_share", "leaves_when_closed", "relief", "most_questions")
_AMOUNTS = ("patience", "weariness", "most_questions")  # at least 0; all else is a probability


@dataclass(frozen=True)
class Behaviour:
    """customers.yml, checked; the comments there say what each number is."""

    patience: Mapping[str, float]
    weariness: Mapping[str, float]
    helps: Mapping[str, float]
    worsens: Mapping[str, float]
    rating: Mapping[str, float]
    upset_share: float
    leaves_when_closed: float
    relief: float
    most_questions: float


def read_behaviour(path: Path | None = None) -> Behaviour:
    """The numbers of ``path``, by default the package's own.

    Raises:
        NotFound: no such file.
        DataError: a key is missing or unknown or a value cannot be; the message names both.
    """
    if path is not None and not path.is_file():
        raise NotFound(f"There is no file {str(path)!r} with the customers' numbers.")
    source: Any = path or files("kefu") / "simulation" / "customers.yml"
    try:
        raw = yaml.safe_load(source.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DataError(f"{source} is not YAML: {error}") from None
    _keys(raw, (*_GROUPS, *_SINGLE), str(source))
    for group, keys in _GROUPS.items():
        _keys(raw[group], keys, f"{source}, {group!r}")
        for key, value in raw[group].items():
            _number(f"{source}, {group!r}: {key!r}", value, group in _AMOUNTS)
    for key in _SINGLE:
        _number(f"{source}: {key!r}", raw[key], key in _AMOUNTS)
    return Behaviour(**raw)


def shaken(behaviour: Behaviour, size: float, random: np.random.Generator) -> Behaviour:
    """Other customers that could be stated as well: each number moved by chance.

    Args:
        size: standard deviation of the moves, of a probability's log odds and of an amount's logarithm.
    """

    def move(value: float, amount: bool) -> float:
        factor = math.exp(random.normal(0.0, size))
        return value * factor if amount else value * factor / (1.0 - value + value * factor)

    moved: dict[str, Any] = {
        group: {k: move(v, group in _AMOUNTS) for k, v in getattr(behaviour, group).items()} for group in _GROUPS
    }
    moved |= {key: move(getattr(behaviour, key), False) for key in _SINGLE if key not in _AMOUNTS}
    return replace(behaviour, **moved)


def _keys(raw: Any, expected: tuple[str, ...], where: str) -> None:
    if not isinstance(raw, dict):
        raise DataError(f"{where}: expected a mapping. But it was: {raw!r}")
    for key in (*raw, *expected):
        if key not in expected or key not in raw:
            state = "is missing" if key in expected else "is not known"
            raise DataError(f"{where}: the key {key!r} {state}; the keys are {', '.join(expected)}.")


def _number(where: str, value: Any, amount: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 or (value > 1 and not amount):
        raise DataError(
            f"{where} must be a number {'of at least 0' if amount else 'from 0 to 1'}. But it was: {value!r}"
        )
