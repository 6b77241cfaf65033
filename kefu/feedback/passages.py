"""The texts of the shop's knowledge by passage id, as far as they prove what a reply stated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_passages(data: Path) -> dict[str, str]:
    """{id: text} of knowledge/*.yml and shop/promotions.yml; products are ``product:SKU`` and ``product:SKU:usage``.

    Empty where the data folder is elsewhere: then nothing but facts proves a number.
    """
    texts: dict[str, str] = {}
    for file in [*sorted((data / "knowledge").glob("*.yml")), data / "shop" / "promotions.yml"]:
        texts.update({str(r["id"]): str(r["text"]) for r in _records(file) if "id" in r and "text" in r})
    for product in _records(data / "shop" / "products.yml"):
        name = f"product:{product.get('sku')}"
        texts[name] = "，".join(_words({k: v for k, v in product.items() if k not in ("sku", "usage", "stock")}))
        texts[f"{name}:usage"] = str(product.get("usage") or "")
    return texts


def texts_of(ids: Iterable[str], passages: Mapping[str, str]) -> str:
    """The texts of these passages, one after the other; unknown ids are left out."""
    return " ".join(passages[i] for i in ids if passages.get(i))


def _records(file: Path) -> list[dict[str, Any]]:
    document = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader) if file.is_file() else []
    return [r for r in document if isinstance(r, dict)] if isinstance(document, list) else []


def _words(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}{word}" for key, one in value.items() for word in _words(one)]
    if isinstance(value, list):
        return [word for one in value for word in _words(one)]
    return [str(value)]
