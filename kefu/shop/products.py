"""What the catalogue knows of an article, as facts in an agent's words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kefu.shop.access import Finding
from kefu.shop.catalogue import find_products
from kefu.shop.models import Product
from kefu.shop.words import month_day, yuan

FEW = 20  # at most so many left are worth saying
# Which catalogue texts an intent wants to hear first.
_WANTED = {
    "ask_usage": ("usage",),
    "ask_stock": ("colors", "sizes"),
    "ask_price": (),
    "ask_promotion": (),
    "ask_recommendation": ("highlights", "specs"),
}
_EVERYTHING = ("highlights", "specs", "colors", "sizes", "box")
_LABELS = {"colors": "颜色", "sizes": "规格", "box": "包装里有"}


def product_facts(product: Product, intent: str, now: datetime) -> dict[str, str]:
    """Price, stock and what the catalogue says about the article, as far as the intent asks for it."""
    facts = {"product": product.spoken, "price": yuan(product.price_fen), "stock_state": _stock(product)}
    if product.list_price_fen and product.list_price_fen > product.price_fen:
        facts["old_price"] = yuan(product.list_price_fen)
    if product.stock == 0 and product.restock_date:
        expected = month_day(product.restock_date, now)
        if expected is None or expected >= now.date():
            facts["restock_date"] = product.restock_date
    if intent in ("ask_product_info", "ask_usage", "ask_authenticity", "request_repair") and product.warranty:
        facts["warranty"] = product.warranty
    text = _text(product.details, _WANTED.get(intent, _EVERYTHING))
    return facts | ({"product_info": f"{product.spoken}：{text}"} if text else {})


def _stock(product: Product) -> str:
    if product.stock == 0:
        return "缺货"
    return f"只剩{product.stock}件" if product.stock <= FEW else "有货"


def _text(details: dict[str, Any], keys: tuple[str, ...]) -> str:
    parts = []
    for key in keys:
        value = details.get(key)
        if not value:
            continue
        if isinstance(value, dict):
            parts.append("，".join(f"{name}{text}" for name, text in value.items()))
        elif isinstance(value, list):
            parts.append(f"{_LABELS[key]}{'、'.join(value)}")
        else:
            parts.append(str(value).rstrip("。"))
    return "；".join(parts)


def check_product(session: Session, names: list[str], sku: str | None, intent: str, now: datetime) -> Finding:
    """Looks up the article named first; ``sku`` is the one talked about before, for a message that names none."""
    product = next((hits[0] for name in names if (hits := find_products(session, name, 1))), None)
    if product is None and names:
        return Finding("not_found")
    if product is None and sku:
        product = session.get(Product, sku)
    if product is None:
        return Finding()
    return Finding("found", product_facts(product, intent, now), subject=f"product:{product.sku}")


def recommend(session: Session, names: list[str], text: str, budget_fen: int | None, now: datetime) -> Finding:
    """The article in stock that suits best: of the kind named, within the budget; the next ones are named too."""
    pool = [product for name in names for product in find_products(session, name, 6)]
    if not pool:
        products = session.scalars(sa.select(Product)).all()
        pool = [p for p in products if any(alias in text for alias in p.aliases)]
    pool = [p for p in dict.fromkeys(pool) if p.stock > 0]
    within = [p for p in pool if budget_fen is None or p.price_fen <= budget_fen]
    chosen = (within or pool)[:3]
    if not chosen:
        return Finding()
    facts = product_facts(chosen[0], "ask_recommendation", now)
    others = "；".join(f"{p.spoken}{yuan(p.price_fen)}" for p in chosen[1:])
    if others:
        facts["product_info"] = f"{facts.get('product_info', '')}。同类还有{others}"
    return Finding("found", facts, subject=f"product:{chosen[0].sku}")
