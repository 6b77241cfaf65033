from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kefu.errors import DataError, NotFound
from kefu.strategy import History, Message, Rules, read_rules
from kefu.strategy.rules import LABELS, Moment

FLAT = np.zeros(len(LABELS))


def user(text: str, intent: str, emotion: str = "neutral") -> Message:
    return Message("user", text, {intent: 1.0}, {emotion: 1.0})


def agent(strategy: str) -> Message:
    return Message("agent", "…", strategies={strategy: 1.0})


def apply(
    rules: Rules, history: History, left: int = 2, logits: np.ndarray = FLAT
) -> tuple[dict[str, float], list[str]]:
    ruled = rules.apply(logits, Moment(history, left))
    return {label: float(p) for label, p in zip(LABELS, ruled.probabilities)}, list(ruled.fired)


def favouring(strategy: str) -> np.ndarray:
    logits = np.zeros(len(LABELS))
    logits[LABELS.index(strategy)] = 5.0
    return logits


def test_missing_order_is_asked_for_with_the_last_reply(rules: Rules) -> None:
    asked = [user("退款呢", "ask_refund_status")]
    history = History(asked, outcome="needs_order_id")
    first = rules.apply(favouring("inform"), Moment(history, 2))
    assert first.owed == ("verify_identity",)
    assert dict(zip(LABELS, first.probabilities))["inform"] < 1e-6
    scores, fired = apply(rules, History([*asked, agent("manage_emotion")], outcome="needs_order_id"), left=1)
    assert scores["verify_identity"] == pytest.approx(1.0)
    assert "must_ask_for_order" in fired


def test_what_was_asked_for_is_no_longer_owed(rules: Rules) -> None:
    history = History([user("退款呢", "ask_refund_status"), agent("verify_identity")], outcome="needs_phone")
    assert rules.apply(FLAT, Moment(history, 1)).owed == ()


def test_never_the_same_strategy_twice_in_a_block(rules: Rules) -> None:
    history = History([user("锅怎么样", "ask_product_info"), agent("inform")])
    scores, fired = apply(rules, history, logits=favouring("inform"))
    assert scores["inform"] < 1e-6
    assert "never_twice" in fired


def test_never_more_than_twice_running(rules: Rules) -> None:
    u = user("换号了", "account_issue")
    assert apply(rules, History([u, agent("clarify"), u]))[0]["clarify"] > 0.01
    assert apply(rules, History([u, agent("clarify"), u, agent("clarify"), u]))[0]["clarify"] < 1e-6


@pytest.mark.parametrize("emotion", ["angry", "anxious"])
def test_feelings_come_before_facts(rules: Rules, emotion: str) -> None:
    opening = [user("没收到", "complain_delivery", emotion)]
    facts = frozenset({"location"})
    scores, _ = apply(rules, History(opening, facts, facts, "found", order_id=True))
    assert scores["inform"] < 1e-6 and scores["resolve"] < 1e-6 < scores["manage_emotion"]
    scores, _ = apply(rules, History([*opening, agent("manage_emotion")], facts, facts, "found", order_id=True), left=1)
    assert scores["inform"] > 0.01


def test_calm_customers_get_facts_at_once(rules: Rules) -> None:
    facts = frozenset({"location"})
    history = History([user("没收到", "complain_delivery")], facts, facts, "found", order_id=True)
    assert apply(rules, history)[0]["inform"] > 0.01


@pytest.mark.parametrize(
    ("new", "outcome", "allowed"),
    [((), "none", False), (("refund_state",), "found", True), ((), "opened", True), ((), "handed_over", True)],
)
def test_resolve_needs_results(rules: Rules, new: tuple[str, ...], outcome: str, allowed: bool) -> None:
    keys = frozenset(new)
    history = History([user("退款呢", "ask_refund_status")], keys, keys, outcome, order_id=True)
    assert (apply(rules, history)[0]["resolve"] > 1e-6) is allowed


def test_texts_alone_do_not_rule_resolve_out(rules: Rules) -> None:
    history = History([user("退款呢 尾号0816", "ask_refund_status")], observed=False)
    assert apply(rules, history)[0]["resolve"] > 1e-6


def test_after_hand_over_other_is_preferred(rules: Rules) -> None:
    talk = [user("人呢", "contact_human")]
    before, after = (apply(rules, History(talk, handed_over=over))[0]["other"] for over in (False, True))
    assert after > 2 * before


def test_greeting_belongs_to_the_start(rules: Rules) -> None:
    u, greeted = user("退款呢", "ask_refund_status"), user("在吗", "greet")
    assert apply(rules, History([u]))[0]["greet"] > 0.01
    assert apply(rules, History([u, agent("inform"), u]))[0]["greet"] < 1e-6
    assert apply(rules, History([u, agent("inform"), greeted]))[0]["greet"] > 0.01


@pytest.mark.parametrize("intent", ["chitchat", "out_of_scope", "ask_bot_identity", "ask_product_info"])
def test_no_order_question_where_no_order_is_needed(rules: Rules, intent: str) -> None:
    assert apply(rules, History([user("你是机器人吗", intent)]))[0]["verify_identity"] < 1e-6


def test_order_is_asked_for_until_it_was_asked_twice(rules: Rules) -> None:
    u = user("退款呢", "ask_refund_status")
    never = apply(rules, History([u]))[0]["verify_identity"]
    twice = [u, agent("verify_identity"), u, agent("clarify"), u, agent("verify_identity"), u, agent("clarify"), u]
    assert apply(rules, History(twice))[0]["verify_identity"] < never


def test_closing_waits_for_thanks(rules: Rules) -> None:
    talk = [user("多少钱", "ask_price"), agent("inform")]
    before = apply(rules, History([*talk, user("多少钱", "ask_price")]))[0]["thank_and_close"]
    after = apply(rules, History([*talk, user("谢谢", "thank")]))[0]["thank_and_close"]
    assert after > 3 * before


def test_rules_that_would_forbid_everything_are_not_heard(tmp_path: Path) -> None:
    names = ", ".join(LABELS)
    file = tmp_path / "r.yml"
    file.write_text(f"strategy_rules:\n- {{name: all, reason: x, forbid: [{names}]}}\n", encoding="utf-8")
    scores, fired = apply(read_rules(file), History([user("在吗", "greet")]))
    assert sum(scores.values()) == pytest.approx(1.0)
    assert fired == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("strategy_rules:\n- {name: a, reason: x, forbid: [smile]}", "smile"),
        ("strategy_rules:\n- {name: a, reason: x, forbid: [greet], when: {mood_in: [angry]}}", "mood_in"),
        ("strategy_rules:\n- {name: a, reason: x, forbid: [greet], when: {emotion_in: [furious]}}", "furious"),
        ("strategy_rules:\n- {name: a, reason: x, forbid: [greet], when: {order_known: perhaps}}", "perhaps"),
        ("strategy_rules:\n- {name: a, reason: x, forbid: [greet], when: {asked_at_most: two}}", "two"),
        ("strategy_rules:\n- {name: a, reason: x, forbid: [greet], when: {intent_in: no_such_group}}", "no_such_group"),
        ("strategy_rules:\n- {name: a, reason: x, favour: {greet: much}}", "much"),
        ("strategy_rules:\n- {name: a, reason: x, limit: {in_row: 1}}", "in_row"),
        ("strategy_rules:\n- {name: a, reason: x, require: smile}", "smile"),
        ("strategy_rules:\n- {name: a, reason: x}", "'a'"),
        ("strategy_rules:\n- {name: a, forbid: [greet]}", "reason"),
        ("strategy_rules:\n- {name: a, reason: x, frobid: [greet]}", "frobid"),
        ("strategy_rules:\n- {name: a, reason: x, forbid: [greet]}\n- {name: a, reason: y, forbid: [greet]}", "'a'"),
        ("ruels: []", "rules"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=named):
        read_rules(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.yml"):
        read_rules(tmp_path / "none.yml")


def test_every_rule_of_the_shop_has_a_chinese_reason(rules: Rules) -> None:
    assert rules.rules
    assert all(any("\u4e00" <= c <= "\u9fff" for c in rule.reason) for rule in rules.rules)
