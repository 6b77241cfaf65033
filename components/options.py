"""Checks of a component's options, made when `rasa train` creates it and not at the first message."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Collection, Iterable, List, Mapping, Set, Text, Union

import yaml
from rasa.shared.exceptions import InvalidConfigException

from kefu.pretrained.adapter import WEIGHTS


def refuse_unknown(component: str, config: Mapping[str, Any], known: Collection[str]) -> None:
    """A typing mistake in an option's name should not pass in silence.

    Raises:
        InvalidConfigException: ``config`` has a key that is not among ``known``.
    """
    for key in sorted(set(config) - set(known)):
        raise InvalidConfigException(
            f"{component} has no option {key!r} (value {config[key]!r}). Options are: {', '.join(known)}."
        )


def whole_number(component: str, config: Mapping[str, Any], key: str, least: int) -> None:
    """Raises InvalidConfigException unless ``config[key]`` is a whole number of at least ``least``."""
    value = config[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidConfigException(
            f"{component}: {key!r} must be a whole number of at least {least}. But it was: {value!r}"
        )


def number(component: str, config: Mapping[str, Any], key: str, below: float) -> None:
    """Raises InvalidConfigException unless ``config[key]`` is a number in [0, below)."""
    value = config[key]
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < below:
        raise InvalidConfigException(f"{component}: {key!r} must lie in [0, {below:g}). But it was: {value!r}")


def texts(component: str, config: Mapping[str, Any], key: str) -> None:
    """Raises InvalidConfigException unless ``config[key]`` is a list of texts."""
    value = config[key]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidConfigException(f"{component}: {key!r} must be a list of texts. But it was: {value!r}")


def digest_of(paths: Iterable[Union[str, Path]], encoder: Text = "") -> Text:
    """Of the files named, those below the folders named (\\*.yml) and the adapter of ``encoder``, so far as they exist.

    It belongs into a component's fingerprint: Rasa trains again when its value changes.
    """
    files: Set[Path] = set()
    for path in map(Path, paths):
        files.update(path.rglob("*.yml") if path.is_dir() else [path])
    _, plus, folder = encoder.partition("+")
    if plus:
        files.add(Path(folder) / WEIGHTS)
    digest = hashlib.sha256()
    for file in sorted(f for f in files if f.is_file()):
        content = file.read_bytes()
        digest.update(f"{file}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def catalogue(component: str, config: Mapping[str, Any], key: str) -> None:
    """Raises InvalidConfigException unless ``config[key]`` names a file that is there, or is empty."""
    value = config[key]
    if not isinstance(value, str) or (value and not Path(value).is_file()):
        raise InvalidConfigException(
            f"{component}: {key!r} names {value!r}, which is not there. Name your catalogue, or write {key}: ''."
        )


def product_names(component: str, config: Mapping[str, Any], key: str) -> List[str]:
    """The names and aliases in the catalogue that ``config[key]`` names; none if it is empty.

    Raises:
        InvalidConfigException: the file is not a list of products.
    """
    if not config[key]:
        return []
    try:
        products = yaml.safe_load(Path(config[key]).read_text(encoding="utf-8"))
        return [str(word) for product in products for word in (product["name"], *product.get("aliases", []))]
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, KeyError, AttributeError) as error:
        raise InvalidConfigException(
            f"{component}: {key!r} names {config[key]!r}, which is not a list of products "
            f"with a name each ({' '.join(str(error).split())})."
        ) from None
