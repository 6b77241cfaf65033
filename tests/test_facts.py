"""Facts and the placeholders that stand for them."""

from __future__ import annotations

import pytest

from kefu.errors import DataError
from kefu.facts import FREE_TEXTS, fill, names, placeholders


def test_every_fact_has_a_chinese_name() -> None:
    assert all(key.isidentifier() and any("\u4e00" <= c <= "\u9fff" for c in name) for key, name in names().items())
    assert set(FREE_TEXTS) <= set(names())
    assert {"order_id", "phone_tail", "refund_amount", "tracking_no"} <= set(names())


def test_placeholders_are_filled_in_order() -> None:
    text = "退款{refund_amount}已于{refund_date}退回。"
    assert placeholders(text) == ["refund_amount", "refund_date"]
    assert fill(text, {"refund_amount": "268.00元", "refund_date": "11月20日"}) == "退款268.00元已于11月20日退回。"
    assert fill("好的。", {}) == "好的。"


def test_a_value_with_braces_is_not_filled_again() -> None:
    assert fill("{product}", {"product": "{eta}"}) == "{eta}"


def test_a_missing_fact_is_named() -> None:
    with pytest.raises(DataError, match="needs the fact 'refund_date'; given are refund_amount"):
        fill("{refund_amount}于{refund_date}", {"refund_amount": "1元"})
    with pytest.raises(DataError, match="given are none"):
        fill("{eta}", {})
