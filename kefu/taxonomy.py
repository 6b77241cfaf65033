"""The label names: intents, emotions, stages and strategies, with their Chinese glosses, from taxonomy.yml."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml


@lru_cache(maxsize=1)
def _document() -> dict[str, dict[str, str]]:
    loaded: Any = yaml.safe_load((files("kefu") / "taxonomy.yml").read_text(encoding="utf-8"))
    return loaded  # type: ignore[no-any-return]


def _glosses(kind: str) -> dict[str, str]:
    return {name: str(gloss) for name, gloss in _document()[kind].items()}


INTENTS: dict[str, str] = _glosses("intents")
EMOTIONS: dict[str, str] = _glosses("emotions")
STAGES: dict[str, str] = _glosses("stages")
STRATEGIES: dict[str, str] = _glosses("strategies")


def short_name(gloss: str) -> str:
    """The name before the colon of a gloss: '细化问题：追问细节 [identify]' gives '细化问题'."""
    return re.split(r"[：:，,（(\s\[]", gloss, maxsplit=1)[0]


def stages_of(strategy: str) -> list[str]:
    """The stages in which a strategy is typical, from the brackets of its gloss; empty where it names none."""
    match = re.search(r"\[([\w, ]+)\]", STRATEGIES[strategy])
    return [s.strip() for s in match[1].split(",")] if match else []
