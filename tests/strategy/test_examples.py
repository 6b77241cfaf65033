from __future__ import annotations

import numpy as np
import pytest

from kefu.dialogues import Dialogue
from kefu.strategy.examples import Confuser, Noise, blurred, points_of
from kefu.taxonomy import EMOTIONS, INTENTS

NEEDS_ORDER = frozenset({"complain_delivery"})


@pytest.fixture()
def angry(dialogues: list[Dialogue]) -> Dialogue:
    return dialogues[0]


def test_points_follow_the_dialogue(angry: Dialogue) -> None:
    told = [(p.strategy, p.listen) for p in points_of(angry, NEEDS_ORDER)]
    assert told == [
        ("manage_emotion", None),
        ("verify_identity", False),
        (None, True),
        ("inform", None),
        (None, True),
        ("thank_and_close", None),
        (None, True),
    ]


def test_facts_of_a_block_are_known_before_its_first_message(angry: Dialogue) -> None:
    points = points_of(angry, NEEDS_ORDER)
    assert points[0].history.outcome == "needs_order_id"
    assert points[3].history.new_facts == {"location"} and points[3].history.outcome == "found"
    assert points[5].history.facts == {"location"} and not points[5].history.new_facts


def test_the_text_of_a_point_has_its_placeholders_filled(angry: Dialogue) -> None:
    assert points_of(angry, NEEDS_ORDER)[4].history.messages[-1].text == "包裹在苏州1"


@pytest.mark.parametrize(("wrong", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_blurred_labels_are_distributions_around_the_gold_one(encoder: object, wrong: float, share: float) -> None:
    confuser, random = Confuser(encoder), np.random.default_rng(0)  # type: ignore[arg-type]
    noise = Noise(intent_wrong=wrong, emotion_wrong=wrong)
    misses = 0
    for _ in range(50):
        intents = confuser.intents("退款怎么还没到", "ask_refund_status", noise, random)
        emotions = confuser.emotions("angry", noise, random)
        assert set(intents) == set(INTENTS) and set(emotions) == set(EMOTIONS)
        assert sum(intents.values()) == pytest.approx(1.0) and sum(emotions.values()) == pytest.approx(1.0)
        assert noise.least <= max(intents.values()) <= noise.most
        misses += max(intents, key=lambda name: intents[name]) != "ask_refund_status"
    assert misses / 50 == share


def test_a_message_is_blurred_alike_throughout_its_dialogue(angry: Dialogue, encoder: object) -> None:
    read = {m.text: {"other": 1.0} for m in points_of(angry, NEEDS_ORDER)[-1].history.agents}
    noise = Noise(inferred=1.0, unobserved=1.0)
    points = blurred(
        points_of(angry, NEEDS_ORDER),
        read,
        Confuser(encoder),
        noise,
        np.random.default_rng(0),  # type: ignore[arg-type]
    )
    first = points[0].history.messages[0]
    assert all(p.history.messages[0] == first for p in points)
    assert points[-1].history.agents[0].strategies == {"other": 1.0}
    assert all(not p.history.observed and not p.history.facts for p in points)
