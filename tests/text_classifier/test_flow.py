"""How the message before weighs on the reading of the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kefu.dialogues import Dialogue, Turn
from kefu.errors import ModelCorrupt
from kefu.text_classifier.flow import Flow

LABELS = ("greet", "price_protection", "thank")


def dialogue(*intents: str) -> Dialogue:
    turns = [Turn("user", "…", intent=intent, emotion="neutral") for intent in intents]
    said = [turn for pair in zip(turns, [Turn("agent", "好", strategy="inform")] * len(turns)) for turn in pair]
    return Dialogue("d", "s", tuple(said))


@pytest.fixture
def flow() -> Flow:
    talks = [dialogue("greet", "price_protection", "price_protection", "price_protection", "thank")] * 20
    return Flow.learn(talks, LABELS, weight=1.0)


def test_transitions_are_those_of_the_dialogues(flow: Flow) -> None:
    assert np.allclose(flow.follows.sum(1), 1.0)
    after = dict(zip(LABELS, flow.follows[LABELS.index("price_protection")]))
    assert after["price_protection"] > after["thank"] > after["greet"] > 0


def test_an_unclear_message_goes_on_with_the_matter(flow: Flow) -> None:
    unclear = [("greet", 0.4), ("price_protection", 0.35), ("thank", 0.25)]
    read = flow.read(unclear, before=[("price_protection", 0.9), ("greet", 0.1)])
    assert read[0][0] == "price_protection"
    assert sum(chance for _, chance in read) == pytest.approx(1.0)
    assert [chance for _, chance in read] == sorted((chance for _, chance in read), reverse=True)


def test_a_clear_message_keeps_its_meaning(flow: Flow) -> None:
    clear = [("greet", 0.98), ("price_protection", 0.01), ("thank", 0.01)]
    assert Flow(LABELS, flow.follows, 0.5).read(clear, before=[("price_protection", 1.0)])[0][0] == "greet"


def test_without_a_message_before_nothing_changes(flow: Flow) -> None:
    ranking = (("greet", 0.5), ("thank", 0.5))
    assert flow.read(ranking, before=[]) == ranking
    assert Flow(flow.labels, flow.follows, 0.0).read(ranking, before=[("thank", 1.0)]) == ranking


def test_what_a_ranking_leaves_out_or_does_not_know_is_no_obstacle(flow: Flow) -> None:
    read = flow.read([("thank", 1.0)], before=[("restart", 1.0)])
    assert read[0][0] == "thank" and len(read) == len(LABELS)


def test_it_comes_back_as_it_was_saved(flow: Flow, tmp_path: Path) -> None:
    assert Flow.load(tmp_path) is None
    flow.save(tmp_path)
    loaded = Flow.load(tmp_path)
    assert loaded is not None and loaded.labels == LABELS and loaded.weight == 1.0
    assert np.allclose(loaded.follows, flow.follows, atol=1e-5)
    (tmp_path / "flow.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelCorrupt, match=r"flow\.json"):
        Flow.load(tmp_path)
