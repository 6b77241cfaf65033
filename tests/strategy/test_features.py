from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kefu.facts import FREE_TEXTS, names
from kefu.strategy import History, Message, features
from kefu.strategy.features import FACT_GROUPS, Featurizer


@pytest.fixture(scope="module")
def featurizer(encoder: object) -> Featurizer:
    return Featurizer.fit(encoder, ["退款", "还没到", "在吗", "尾号多少", "谢谢您", "麻烦了"], 4)  # type: ignore[arg-type]


ASKED = History([Message("user", "退款呢", {"ask_refund_status": 1.0}, {"angry": 1.0})])


def changed(featurizer: Featurizer, one: History, other: History) -> set[str]:
    before, after = featurizer.blocks(one), featurizer.blocks(other)
    return {name for name in before if not np.array_equal(before[name], after[name])}


def test_every_fact_is_in_one_group() -> None:
    members = [key for group in FACT_GROUPS.values() for key in group]
    assert sorted(members) == sorted(set(names()) - set(FREE_TEXTS))


def test_the_vector_has_the_size_of_its_layout(featurizer: Featurizer) -> None:
    assert featurizer(ASKED).shape == (max(where.stop for where in featurizer.layout.values()),)


def test_emotion_moves_the_emotion_blocks_only(featurizer: Featurizer) -> None:
    calm = replace(ASKED, messages=[replace(ASKED.messages[0], emotions={"neutral": 1.0})])
    assert changed(featurizer, ASKED, calm) == {"emotion.last", "emotion.opening"}


def test_new_facts_move_the_fact_blocks(featurizer: Featurizer) -> None:
    found = replace(ASKED, facts=frozenset({"ticket_id"}), new_facts=frozenset({"ticket_id"}), outcome="opened")
    assert changed(featurizer, ASKED, found) == {"facts.new", "facts.known", "facts.outcome"}


def test_facts_are_blank_where_no_action_was_run(featurizer: Featurizer) -> None:
    texts = replace(ASKED, facts=frozenset({"ticket_id"}), outcome="opened", observed=False)
    assert not featurizer.blocks(texts)["facts.new"].any() and not featurizer.blocks(texts)["facts.outcome"].any()


def test_a_known_order_moves_the_position(featurizer: Featurizer) -> None:
    assert changed(featurizer, ASKED, replace(ASKED, order_id=True)) == {"position"}


def test_the_agents_reply_moves_strategies_and_text(featurizer: Featurizer) -> None:
    said = replace(ASKED, messages=[*ASKED.messages, Message("agent", "尾号多少", strategies={"clarify": 1.0})])
    assert {"strategy.last", "strategy.block", "text.agent", "position"} <= changed(featurizer, ASKED, said)


def test_a_text_is_embedded_once(featurizer: Featurizer, monkeypatch: pytest.MonkeyPatch) -> None:
    first = featurizer.embed(["第一次见", "退款"])
    monkeypatch.setattr(featurizer, "encoder", None)
    assert (featurizer.embed(["退款", "第一次见", "退款"]) == first[[1, 0, 1]]).all()


def test_what_is_remembered_is_bounded(featurizer: Featurizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_REMEMBERED", 3)
    for number in range(10):
        featurizer.embed([f"第{number}句", "在吗"])
    assert len(featurizer._remembered) <= 3


def test_an_empty_text_has_no_direction(featurizer: Featurizer) -> None:
    assert not featurizer.embed([""]).any()
