from __future__ import annotations

from pathlib import Path

import pytest

from kefu.dataset.nlu import read_nlu
from kefu.dialogues import read_dialogues
from kefu.generation.examples import examples_of, facts_of
from kefu.generation.prompt import fill, with_names
from kefu.generation.rehearsal import Message, Rehearsal
from kefu.generation.templates import bundled_templates
from kefu.taxonomy import STRATEGIES


@pytest.fixture(scope="module")
def parts():
    messages = [Message(m.text, m.intent, m.emotion, m.context) for m in read_nlu([Path("data/nlu")])]
    facts = facts_of(examples_of(read_dialogues([Path("data/dialogues/refund_status.yml")])))
    return messages, bundled_templates(), facts


@pytest.fixture(scope="module")
def drawn(parts):
    return Rehearsal(*parts, seed=1).draw(600)


def test_every_reply_is_a_template_whose_facts_are_there(drawn):
    known = {with_names(t.text) for t in bundled_templates() if not t.english}
    for example in drawn:
        assert example.reply in known
        assert "{" not in fill(example.reply, example.request.facts)
        assert set(example.request.new_facts) == set(example.request.facts)


def test_all_strategies_are_rehearsed(drawn):
    assert {e.request.strategy for e in drawn} == set(STRATEGIES)


def test_what_is_answered_by_hand_alone_is_not_rehearsed(drawn):
    assert not {"ask_bot_identity", "out_of_scope"} & {e.request.intent for e in drawn}
    assert not any("智能客服" in e.reply for e in drawn)


def test_statements_of_fact_state_facts(drawn):
    stated = [e for e in drawn if e.request.strategy in ("inform", "resolve")]
    assert stated and all("{" in e.reply for e in stated)


def test_emotions_are_managed_where_there_are_some(drawn):
    assert all(e.request.emotion != "neutral" for e in drawn if e.request.strategy == "manage_emotion")


def test_some_numbers_are_asked_for_before_the_facts_come(drawn):
    asked = [e for e in drawn if e.request.facts and len(e.request.turns) >= 3]
    assert asked and all(e.request.intent == "provide_info" for e in asked if e.request.turns[-2][0] == "agent")


def test_the_same_seed_draws_the_same(parts):
    assert Rehearsal(*parts, seed=4).draw(30) == Rehearsal(*parts, seed=4).draw(30)
