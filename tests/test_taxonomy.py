"""The label sets, which domain, data and evaluation share."""

from __future__ import annotations

from kefu.taxonomy import EMOTIONS, INTENTS, STAGES, STRATEGIES, short_name, stages_of


def test_the_sets_are_those_agreed() -> None:
    assert (len(INTENTS), len(EMOTIONS), len(STAGES), len(STRATEGIES)) == (47, 6, 5, 12)
    assert {"neutral", "angry", "happy", "anxious"} <= set(EMOTIONS)
    for labels in (INTENTS, EMOTIONS, STAGES, STRATEGIES):
        assert all(name.isidentifier() and name.islower() and gloss.strip() for name, gloss in labels.items())


def test_no_name_stands_for_two_things() -> None:
    # A slot or an entity may hold an intent or an emotion; to greet is an intent and a strategy, and the same thing.
    every = [*INTENTS, *EMOTIONS, *(s for s in STRATEGIES if s != "greet")]
    assert len(every) == len(set(every))


def test_short_names_are_what_a_page_shows() -> None:
    assert short_name("细化问题：追问细节 [identify]") == "细化问题"
    assert short_name("安抚, 道歉") == "安抚"
    assert all(0 < len(short_name(gloss)) <= 8 for gloss in STRATEGIES.values())


def test_stages_of_a_strategy_are_stages() -> None:
    found = [stage for strategy in STRATEGIES for stage in stages_of(strategy)]
    assert found and set(found) <= set(STAGES)
