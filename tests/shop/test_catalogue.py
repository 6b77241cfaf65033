"""The catalogue: reading it, finding articles, saying what it knows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from kefu.errors import DataError, NotFound
from kefu.shop import check_product, recommend
from kefu.shop import models as m
from kefu.shop.catalogue import find_products, named_in, read_products, store_products

NOW = datetime(2026, 11, 23, 14, 30)
SHOPS_OWN = Path(__file__).parents[2] / "data" / "shop" / "products.yml"


def test_the_shops_own_catalogue_is_read_and_every_name_finds_its_article(shop):
    products = read_products(SHOPS_OWN)
    with shop.session() as session:
        session.execute(sa.delete(m.Product))
        assert store_products(session, products) == len(products)
        for product in products:
            assert find_products(session, product.name, 1)[0].sku == product.sku
            assert find_products(session, product.sku, 1)[0].sku == product.sku


def test_storing_again_updates(shop):
    with shop.session() as session:
        store_products(session, [m.Product("pot", "青禾三层蒸锅", "家居日用", 9900, stock=1)])
        assert session.get(m.Product, "pot").price_fen == 9900


@pytest.mark.parametrize(
    ("words", "sku"),
    [
        ("蒸锅", "pot"),
        ("小蒸锅", "small pot"),
        ("迷你蒸锅", "small pot"),
        ("三层的蒸锅", "pot"),
        ("EARPHONES", "earphones"),
        ("耳机", "earphones"),
        ("蓝牙 耳机", "earphones"),
        ("1.5匹空调", "air"),
    ],
)
def test_finding(shop, words, sku):
    with shop.session() as session:
        assert find_products(session, words, 1)[0].sku == sku


def test_the_longest_name_in_a_message_counts(shop):
    with shop.session() as session:
        assert named_in(session, "你们那个小蒸锅还有吗") == "小蒸锅"
        assert named_in(session, "在吗") is None


@pytest.mark.parametrize("words", ["机票", "", "  "])
def test_nothing_comes_near(shop, words):
    with shop.session() as session:
        assert find_products(session, words) == []


def test_price_and_stock(shop):
    with shop.session() as session:

        def facts(name: str, intent: str) -> dict[str, str]:
            return check_product(session, [name], None, intent, NOW).facts

        pot = facts("三层蒸锅", "ask_price")
        assert (pot["price"], pot["old_price"], pot["stock_state"]) == ("129.00元", "159.00元", "有货")
        nuts = facts("坚果", "ask_stock")
        assert (nuts["stock_state"], nuts["restock_date"]) == ("缺货", "12月3日")
        assert facts("空调", "ask_stock")["stock_state"] == "只剩3件"
        assert facts("小蒸锅", "ask_usage")["product_info"] == "迷你蒸锅：先加水再开火"
        assert "口径24厘米" in facts("小蒸锅", "ask_product_info")["product_info"]
        assert facts("耳机", "ask_product_info")["warranty"] == "整机1年"


def test_a_date_of_restocking_that_has_passed_is_not_told(shop):
    with shop.session() as session:
        facts = check_product(session, ["坚果"], None, "ask_stock", datetime(2026, 12, 20)).facts
    assert "restock_date" not in facts


def test_the_article_talked_about_stays_in_hand(shop):
    with shop.session() as session:
        assert check_product(session, [], "pot", "ask_stock", NOW).facts["product"] == "三层蒸锅"
        assert check_product(session, [], None, "ask_stock", NOW).outcome == "none"
        assert check_product(session, ["飞机"], "pot", "ask_stock", NOW).outcome == "not_found"


def test_recommending_stays_in_the_budget_and_in_stock(shop):
    with shop.session() as session:
        cheap = recommend(session, ["蒸锅"], "", 10000, NOW)
        free = recommend(session, [], "有没有什么耳机推荐", None, NOW)
        none = recommend(session, ["坚果"], "", None, NOW)
        assert cheap.facts["product"] == "迷你蒸锅" and free.facts["product"] == "蓝牙耳机"
        assert none.outcome == "none"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- {sku: a, name: b, category: c, price: 1}", "'stock'"),
        ("- {sku: a, name: b, category: c, price: x, stock: 1}", "needs numbers"),
        ("- {sku: a, name: b, category: c, price: 1, stock: 1}\n" * 2, "stands twice"),
        ("a: 1", "list of products"),
        ("- [", "not YAML"),
    ],
)
def test_a_broken_catalogue_is_refused(tmp_path, text, says):
    file = tmp_path / "products.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=says):
        read_products(file)


def test_a_missing_catalogue_names_the_setting(tmp_path):
    with pytest.raises(NotFound, match="KEFU_DATA_DIR"):
        read_products(tmp_path / "products.yml")
