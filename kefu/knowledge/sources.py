"""Reads the passages: data/knowledge/*.yml, and the shop's products and promotions put into sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from kefu.errors import DataError, NotFound
from kefu.knowledge.passage import Passage
from kefu.taxonomy import INTENTS

_PRODUCT = ("ask_product_info", "ask_price", "ask_recommendation")
_PRODUCT_USE = ("ask_usage", "ask_product_info", "request_repair")


def read_passages(data_dir: Path) -> list[Passage]:
    """All passages below ``data_dir``, in the order of the files.

    Raises:
        NotFound: there is no knowledge folder.
        DataError: a passage breaks the format; the message names file, id, key and value.
    """
    folder = data_dir / "knowledge"
    if not folder.is_dir():
        raise NotFound(
            f"There is no folder {str(folder)!r} with passages. Set KEFU_DATA_DIR to the folder that holds it."
        )
    passages: list[Passage] = []
    for file in sorted(folder.glob("*.yml")):
        passages += [_passage(raw, file) for raw in _entries(file)]
    promotions, products = data_dir / "shop" / "promotions.yml", data_dir / "shop" / "products.yml"
    if promotions.is_file():
        passages += [_passage(raw, promotions, extra=("starts", "ends")) for raw in _entries(promotions)]
    if products.is_file():
        for raw in _entries(products):
            passages += product_passages(raw, products)
    seen: dict[str, Passage] = {}
    for passage in passages:
        if passage.id in seen:
            raise DataError(
                f"Two passages have the id {passage.id!r}: {seen[passage.id].title!r} and {passage.title!r}."
            )
        seen[passage.id] = passage
    return passages


def _entries(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8")) or []
    except yaml.YAMLError as error:
        raise DataError(f"{file} is not YAML: {error}") from None
    if not isinstance(document, list):
        raise DataError(f"{file}: expected a list, not {type(document).__name__}.")
    for raw in document:
        if not isinstance(raw, dict):
            raise DataError(f"{file}: an entry is a mapping, not {raw!r}.")
        yield raw


def _passage(raw: Mapping[str, Any], file: Path, extra: tuple[str, ...] = ()) -> Passage:
    where = f"{file}, passage {raw.get('id')!r}"
    for key in ("id", "title", "text"):
        if not str(raw.get(key) or "").strip():
            raise DataError(f"{where}: {key!r} is missing or empty.")
    known = {"id", "title", "text", "intents", "questions", *extra}
    if unknown := sorted(set(raw) - known):
        raise DataError(f"{where}: there is no key {unknown[0]!r}; known are {', '.join(sorted(known))}.")
    intents = tuple(map(str, raw.get("intents") or ()))
    if wrong := [i for i in intents if i not in INTENTS]:
        raise DataError(f"{where}: the intent {wrong[0]!r} does not stand in taxonomy.yml.")
    questions = tuple(map(str, raw.get("questions") or ()))
    return Passage(str(raw["id"]), str(raw["title"]), str(raw["text"]).strip(), intents, questions)


def _money(value: Any) -> str:
    return f"{float(value):.2f}".rstrip("0").rstrip(".") + "元"


def product_passages(raw: Mapping[str, Any], file: Path) -> list[Passage]:
    """Two passages of a product: price and specifications, and what it is good for; not the stock, which changes."""
    where = f"{file}, product {raw.get('sku')!r}"
    for key in ("sku", "name", "price"):
        if not raw.get(key):
            raise DataError(f"{where}: {key!r} is missing or empty.")
    sku, name = str(raw["sku"]), str(raw["name"])
    aliases = tuple(map(str, raw.get("aliases") or ()))
    usual = f"，日常价{_money(raw['list_price'])}" if raw.get("list_price") else ""
    facts = [f"{name}现价{_money(raw['price'])}{usual}。"]
    if specs := raw.get("specs"):
        facts.append("，".join(f"{key}{value}" for key, value in specs.items()) + "。")
    if colors := raw.get("colors"):
        facts.append(f"颜色有{'、'.join(map(str, colors))}。")
    sizes = [str(s) for s in raw.get("sizes") or ()]
    if len(sizes) > 1:
        facts.append(f"规格有{'、'.join(sizes)}。")
    if raw.get("warranty"):
        facts.append(f"{raw['warranty']}{'保修' if str(raw['warranty'])[-1] in '年月' else ''}。")
    good = [str(raw[key]).strip() for key in ("highlights", "usage") if raw.get(key)]
    if raw.get("box"):
        good.append(f"箱内有{'、'.join(map(str, raw['box']))}。")
    passages = [Passage(f"product:{sku}", name, "".join(facts), _PRODUCT, (name, *aliases))]
    if good:
        asked = tuple(f"{alias}怎么用" for alias in (name, *aliases))
        passages.append(
            Passage(f"product:{sku}:usage", f"{name}怎么用", f"{name}：{''.join(good)}", _PRODUCT_USE, asked)
        )
    return passages
