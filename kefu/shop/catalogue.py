"""The catalogue: reads data/shop/products.yml into the database, and finds the article that a customer names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from sqlalchemy.orm import Session

from kefu.errors import DataError, NotFound
from kefu.shop.models import Product

_DETAILS = ("colors", "sizes", "specs", "box", "highlights", "usage")
_WANTED = ("sku", "name", "category", "price", "stock")


def read_products(path: Path) -> list[Product]:
    """The products of a products.yml, not yet stored.

    Raises:
        NotFound: there is no such file.
        DataError: the file is not a list of products, a product lacks a key or its sku stands twice.
    """
    if not path.is_file():
        raise NotFound(f"There is no {str(path)!r} with the shop's products; KEFU_DATA_DIR names the data folder.")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise DataError(f"{path} is not YAML: {error}") from None
    if not isinstance(document, list):
        raise DataError(f"{path}: expected a list of products.")
    products: dict[str, Product] = {}
    for raw in document:
        product = _product(raw, path)
        if product.sku in products:
            raise DataError(f"{path}: the sku {product.sku!r} stands twice.")
        products[product.sku] = product
    return list(products.values())


def _product(raw: Any, path: Path) -> Product:
    if not isinstance(raw, dict):
        raise DataError(f"{path}: a product is a mapping, not {raw!r}.")
    for key in _WANTED:
        if raw.get(key) is None:
            raise DataError(f"{path}: the product {raw.get('sku')!r} has no {key!r}.")
    try:
        price, stock = round(float(raw["price"]) * 100), int(raw["stock"])
        listed = round(float(raw["list_price"]) * 100) if raw.get("list_price") else None
    except (TypeError, ValueError):
        raise DataError(f"{path}: the product {raw['sku']!r} needs numbers for price, list_price and stock.") from None
    details: dict[str, Any] = {key: raw[key] for key in _DETAILS if raw.get(key)}
    for key in ("colors", "sizes", "box"):  # YAML reads a size such as 110 as a number
        if key in details:
            details[key] = [str(value) for value in details[key]]
    return Product(
        sku=str(raw["sku"]),
        name=str(raw["name"]),
        category=str(raw["category"]),
        price_fen=price,
        list_price_fen=listed,
        stock=stock,
        restock_date=str(raw["restock_date"]) if raw.get("restock_date") else None,
        warranty=str(raw.get("warranty") or ""),
        aliases=[str(alias) for alias in raw.get("aliases") or []],
        details=details,
    )


def store_products(session: Session, products: Iterable[Product]) -> int:
    """Adds the products, or brings those with the same sku up to date; returns how many."""
    count = 0
    for product in products:
        session.merge(product)
        count += 1
    return count


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def _score(query: str, product: Product) -> float:
    if query == product.sku.lower():
        return 100.0
    names = [_folded(name) for name in (product.name, product.spoken, *product.aliases)]
    if query in names:
        return 50.0 - names.index(query) / 10
    within = max((len(name) for name in names if name in query), default=0)
    if within:
        return 20.0 + within
    around = max((len(query) / len(name) for name in names if query in name), default=0.0)
    if around:
        return 10.0 + around
    shared = max(_overlap(query, name) for name in names)
    return shared if shared >= 0.5 else 0.0


def _overlap(one: str, other: str) -> float:
    """Dice coefficient of the character pairs."""
    left, right = {one[i : i + 2] for i in range(len(one) - 1)}, {other[i : i + 2] for i in range(len(other) - 1)}
    return 2 * len(left & right) / (len(left) + len(right)) if left and right else 0.0


def named_in(session: Session, text: str) -> str | None:
    """The longest name of an article that stands in ``text``."""
    folded = _folded(text)
    products = session.scalars(sa.select(Product)).all()
    every = (name for product in products for name in (product.spoken, *product.aliases))
    return max((name for name in every if _folded(name) in folded), key=len, default=None)


def find_products(session: Session, name: str, limit: int = 3) -> list[Product]:
    """The products that ``name`` may mean, best first; empty where none comes near."""
    query = _folded(name)
    if not query:
        return []
    rated = [(_score(query, product), product) for product in session.scalars(sa.select(Product)).all()]
    rated.sort(key=lambda pair: (-pair[0], pair[1].stock == 0, pair[1].sku))
    return [product for score, product in rated[:limit] if score > 0]
