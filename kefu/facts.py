"""Facts: what the shop knows about this turn, a mapping of names (facts.yml) to the words an agent would say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

import yaml

from kefu.errors import DataError

FREE_TEXTS = ("policy", "product_info")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@lru_cache(maxsize=1)
def names() -> dict[str, str]:
    """Every fact's key with its Chinese name."""
    loaded: dict[str, str] = yaml.safe_load((files("kefu") / "facts.yml").read_text(encoding="utf-8"))
    return loaded


def placeholders(text: str) -> list[str]:
    """The fact keys that ``text`` names in braces, in order."""
    return PLACEHOLDER.findall(text)


def fill(text: str, facts: Mapping[str, str]) -> str:
    """``text`` with each {key} replaced by its fact.

    Raises:
        DataError: a placeholder has no fact.
    """
    missing = [key for key in placeholders(text) if key not in facts]
    if missing:
        raise DataError(f"{text!r} needs the fact {missing[0]!r}; given are {', '.join(facts) or 'none'}.")
    return PLACEHOLDER.sub(lambda m: str(facts[m[1]]), text)
