"""A small shop in memory, at a fixed hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pytest

from kefu.shop import Shop
from kefu.shop import models as m
from kefu.shop.sample import Maker

NOW = datetime(2026, 11, 23, 14, 30)


def articles() -> list[m.Product]:
    """One article of each kind that a rule knows."""
    colors, single = {"colors": ["白色", "黑色"]}, {"highlights": "一个人刚好。", "specs": {"口径": "24厘米"}}
    year, fifteen = {"warranty": "整机1年"}, {"warranty": "质量问题15天内可换货"}
    return [
        m.Product("pot", "青禾三层蒸锅", "家居日用", 12900, 15900, 98, aliases=["蒸锅"], **fifteen),
        m.Product("air", "青禾1.5匹壁挂空调", "大家电", 229900, 259900, 3, aliases=["空调"], **year),
        m.Product("nuts", "青禾每日坚果30包", "食品", 9900, None, 0, "12月3日", aliases=["坚果"]),
        m.Product("socks", "青禾棉袜五双装", "服饰鞋包", 3500, None, 50, aliases=["袜子"], details=colors),
        m.Product("earphones", "青禾蓝牙耳机", "数码", 29900, 34900, 25, aliases=["蓝牙耳机", "耳机"], **year),
        m.Product(
            "small pot",
            "青禾迷你蒸锅",
            "家居日用",
            9900,
            stock=76,
            aliases=["小蒸锅"],
            details={**single, "usage": "先加水再开火。"},
        ),
    ]


class Counter:
    """Puts orders into the shop."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.maker = Maker(Random(1), NOW)

    def order(
        self,
        situation: str,
        sku: str = "pot",
        hours: float = 100,
        customer: str = "mei",
        dear: bool = False,
        signed_days_ago: float | None = None,
        channel: str = "微信零钱",
    ) -> str:
        """An order in a situation of kefu/shop/sample.py; its number."""
        with self.shop.session() as session:
            owner, product = session.get(m.Customer, customer), session.get(m.Product, sku)
            made = self.maker.order(owner, [(product, 1)], situation, timedelta(hours=hours), dear, channel)
            if signed_days_ago is not None:
                made.shipment.signed_at = NOW - timedelta(days=signed_days_ago)
            session.flush()
            return made.id


@pytest.fixture
def shop() -> Shop:
    """The catalogue and two customers, mei (phone tail 0816) and lan (0027); no orders."""
    made = Shop("sqlite://").create_all()
    with made.session() as session:
        session.add_all(articles())
        session.add(
            m.Customer("mei", "沈女士", "13700000816", "湖北", "武汉市梧桐里1栋101", points=1860, balance_fen=500)
        )
        session.add(m.Customer("lan", "蓝先生", "13700000027", "江苏", "苏州市桂语里2栋202"))
    return made


@pytest.fixture
def counter(shop: Shop) -> Counter:
    """Puts orders into ``shop``."""
    return Counter(shop)
