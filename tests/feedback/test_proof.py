"""A better reply states nothing that is not known."""

from __future__ import annotations

import pytest

from kefu.errors import DataError
from kefu.feedback.proof import prove, templated, unproven

FACTS = {"refund_amount": "268.00元", "refund_date": "11月20日", "product": "三层蒸锅"}


def test_known_facts_become_placeholders() -> None:
    reply, used = prove("三层蒸锅的268.00元已于11月20日退回。", FACTS, "", [])
    assert reply == "{product}的{refund_amount}已于{refund_date}退回。"
    assert used == FACTS


def test_only_facts_that_are_used_are_kept() -> None:
    assert prove("已于{refund_date}退回。", FACTS, "", []) == ("已于{refund_date}退回。", {"refund_date": "11月20日"})
    assert prove("这就帮您看。", FACTS, "信用卡3到5个工作日到账。", []) == ("这就帮您看。", {})


def test_knowledge_proves_and_becomes_policy() -> None:
    known = "信用卡3到5个工作日到账。"
    assert prove("信用卡要3到5个工作日。", {}, known, []) == ("信用卡要3到5个工作日。", {"policy": known})


def test_the_customers_own_numbers_may_be_repeated() -> None:
    assert prove("让您等了五天，抱歉。", {}, "", ["都五天了"]) == ("让您等了五天，抱歉。", {})


@pytest.mark.parametrize(
    ("reply", "facts", "named"),
    [
        ("48小时内退给您。", FACTS, "48小时"),
        ("三天内退给您。", FACTS, "3天"),
        ("补您20元。", FACTS, "20元"),
        ("预计{eta}送到。", FACTS, "eta"),
        ("请看{policy}", {"policy": "七天内可退"}, "policy"),
        ("好", {"nonsense": "1"}, "nonsense"),
    ],
)
def test_refused_with_the_number_or_key(reply: str, facts: dict[str, str], named: str) -> None:
    with pytest.raises(DataError, match=named):
        prove(reply, facts, "", ["我要退款"])


def test_templates_do_not_cut_numbers_apart() -> None:
    assert templated("12件2026年", {"quantity": "2"}) == "12件2026年"
    assert templated("共2件", {"quantity": "2"}) == "共{quantity}件"
    assert templated("到11月20日为止", {"deadline": "11月2"}) == "到11月20日为止"


def test_words_are_no_numbers() -> None:
    assert unproven("我一起帮您看一下，一定尽快。", []) == []
