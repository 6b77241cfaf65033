"""The texts of the shop's knowledge by passage id, as far as they prove what a reply stated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from kefu import knowledge


def read_passages(data: Path) -> dict[str, str]:
    """{id: text} of all passages; empty where the data folder has none: then nothing but facts proves a number.

    Raises:
        DataError: a passage breaks the format.
    """
    if not (data / "knowledge").is_dir():
        return {}
    return {passage.id: passage.text for passage in knowledge.read_passages(data)}


def texts_of(ids: Iterable[str], passages: Mapping[str, str]) -> str:
    """The texts of these passages, one after the other; unknown ids are left out."""
    return " ".join(passages[i] for i in ids if passages.get(i))
