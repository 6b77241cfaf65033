from __future__ import annotations

from pathlib import Path

import pytest

from kefu.dialogues import Dialogue, Turn, read_dialogues
from kefu.generation.examples import Augmenter, examples_of, knowledge_examples, split
from kefu.generation.prompt import MAX_TURNS, fill, format_prompt
from kefu.knowledge.passage import Passage

DIALOGUE = Dialogue(
    "d1",
    "退款",
    (
        Turn("agent", "您好。", strategy="greet"),
        Turn("user", "退款呢", intent="ask_refund_status", emotion="anxious"),
        Turn("agent", "{product}退了{refund_amount}。", strategy="inform",
             facts={"product": "锅", "refund_amount": "20元", "policy": "原路退"}),
        Turn("user", "哪儿", intent="ask_refund_status", emotion="confused"),
        Turn("agent", "退到{refund_channel}。", strategy="inform", facts={"refund_channel": "零钱"}),
    ),
)  # fmt: skip


def test_each_agent_turn_after_a_customers_is_an_example():
    first, second = examples_of([DIALOGUE])
    assert first.reply == "{商品}退了{退款金额}。"
    assert first.request.facts == {"product": "锅", "refund_amount": "20元"}
    assert [p.text for p in first.request.passages] == ["原路退"]
    assert first.request.turns == (("agent", "您好。"), ("user", "退款呢"))
    assert second.request.turns[2] == ("agent", "锅退了20元。")  # the context is as the customer saw it
    assert second.earlier == {"product": "锅", "refund_amount": "20元"}
    assert (second.request.intent, second.request.emotion) == ("ask_refund_status", "confused")


@pytest.fixture(scope="module")
def real():
    return examples_of(read_dialogues([Path("data/dialogues")]))


def test_augmented_requests_keep_what_the_reply_states(real):
    augment = Augmenter(real, [], seed=1)
    for example in real:
        request = augment(example)
        assert fill(example.reply, request.facts)
        assert example.request.facts.items() <= request.facts.items()
        assert len(request.turns) >= 1 and request.turns[-1] == example.request.turns[-1]
        assert {p.id for p in example.request.passages} <= {p.id for p in request.passages}


def test_augmentation_varies_facts_turns_and_passages(real):
    example = next(e for e in real if len(e.request.turns) > MAX_TURNS and len(e.request.facts) > 1)
    augment = Augmenter(real, [Passage("k", "", "别的规定。")], seed=1)
    drawn = [augment(example) for _ in range(60)]
    assert len({tuple(r.facts) for r in drawn}) > 10
    assert len({len(r.turns) for r in drawn}) > 2
    assert len({r.new_facts for r in drawn}) > 2
    assert any(len(r.passages) > len(example.request.passages) for r in drawn) == (
        example.request.strategy in {"inform", "suggest", "resolve", "continue_relationship"}
    )


def test_the_same_seed_draws_the_same(real):
    first, second = Augmenter(real, [], 5), Augmenter(real, [], 5)
    assert [format_prompt(first(e)) for e in real[:20]] == [format_prompt(second(e)) for e in real[:20]]


def test_whole_dialogues_are_held_out(real):
    train, test = split(real, 0.1, seed=7)
    assert not {e.dialogue for e in train} & {e.dialogue for e in test}
    assert len(train) + len(test) == len(real)
    assert 0.05 < len(test) / len(real) < 0.15


def test_passages_with_questions_teach_to_quote():
    passages = [
        Passage("a", "", "券过期不补。别的另说。", ("ask_promotion",), ("券过期了咋办",)),
        Passage("b", "", "x。"),
    ]
    (example,) = knowledge_examples(passages, seed=1)
    assert example.reply in passages[0].text and example.request.turns == (("user", "券过期了咋办"),)
    assert example.request.intent == "ask_promotion"
