from __future__ import annotations

import pytest

from kefu.strategy import History, Message
from kefu.strategy.history import names_order


def user(text: str, intent: str = "provide_info") -> Message:
    return Message("user", text, {intent: 0.9, "deny": 0.1}, {"neutral": 1.0})


def agent(text: str, strategy: str | None = None) -> Message:
    return Message("agent", text, strategies={strategy: 1.0} if strategy else {})


def test_block_and_asked_split_at_the_customers_last_messages() -> None:
    history = History([user("a"), agent("b"), user("c"), user("d"), agent("e"), agent("f")])
    assert [m.text for m in history.block] == ["e", "f"]
    assert [m.text for m in history.asked] == ["c", "d"]
    assert history.before is not None and history.before.text == "b"


def test_topic_is_the_last_intent_that_names_a_matter() -> None:
    messages = [user("退款呢", "ask_refund_status"), agent("尾号"), user("0816", "provide_info"), user("嗯", "affirm")]
    assert History(messages).topic == "ask_refund_status"
    assert History([user("嗯", "affirm")]).topic is None


@pytest.mark.parametrize(
    ("messages", "known"),
    [
        ([user("订单202611187734920615")], True),
        ([user("13800138000")], True),
        ([user("尾号 0816")], True),
        ([user("0816")], False),
        ([agent("手机尾号多少"), user("0816")], True),
        ([agent("报下号码", "verify_identity"), user("0816")], True),
        ([agent("在的", "greet"), user("花了0816")], False),
        ([user("20261118773492061512345")], False),
    ],
)
def test_names_order(messages: list[Message], known: bool) -> None:
    assert names_order(messages) is known


def test_order_is_known_from_slots_or_facts() -> None:
    assert History([user("在吗")], order_id=True).order_known
    assert History([user("在吗")], facts=frozenset({"order_id"})).order_known
    assert not History([user("在吗")]).order_known


def test_policy_passages_are_no_business_facts() -> None:
    assert not History((), new_facts=frozenset({"policy", "product_info"})).business_facts


def test_an_inferred_strategy_counts_only_when_it_is_sure() -> None:
    assert Message("agent", "x", strategies={"inform": 0.6, "suggest": 0.4}).strategy == "inform"
    assert Message("agent", "x", strategies={"inform": 0.4, "suggest": 0.3}).strategy is None
