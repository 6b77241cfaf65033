from __future__ import annotations

import json

import pytest
import yaml

from kefu.dialogues import read_dialogues
from kefu.errors import DataError, NotFound, SettingsError
from kefu.generation.adapter import check_adapter
from kefu.generation.examples import examples_of
from kefu.generation.preferences import Pair, PreferenceArguments, read_pairs, train_preferences

pytest.importorskip("trl")
PROMPT = "客户：钱呢\n【退款进度|焦急】信息传达："


@pytest.fixture(scope="module")
def start(tiny_gemma, tmp_path_factory):
    """(an adapter, the examples it learned)."""
    from kefu.generation.training import GeneratorTrainingArguments, train_generator

    folder = tmp_path_factory.mktemp("start")
    turns = [
        {"user": "钱呢", "intent": "ask_refund_status", "emotion": "anxious"},
        {"agent": "退款在路上。", "strategy": "inform"},
    ]
    raw = [{"id": f"d{i}", "scene": "退款", "turns": turns} for i in range(4)]
    (folder / "d.yml").write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    arguments = GeneratorTrainingArguments(
        base=str(tiny_gemma), epochs=2, held_out=0.25, threads=1, rank=4, precision="fp32"
    )
    train_generator([folder], folder / "adapter", arguments, report=lambda line: None)
    return folder / "adapter", examples_of(read_dialogues([folder]))


def test_the_chosen_gains_on_the_rejected_and_the_card_tells(start, tiny_gemma, tmp_path):
    adapter, examples = start
    pairs = [Pair(PROMPT, "在路上了。", "不知道。", 2, "correction"), Pair(PROMPT, "马上到。", "等着。", 1, "thumbs")]
    arguments = PreferenceArguments(least=2, epochs=6, learning_rate=2e-2, batch_size=1, accumulate=1, threads=1)
    card = train_preferences(pairs, str(tiny_gemma), adapter, tmp_path, arguments, examples)
    told = card["preferences"]
    before, after = told["margin"]
    assert after > before + 1
    assert told["pairs"] == 2 and told["sources"] == {"correction": 1, "thumbs": 1}
    assert len(told["history"]) == 18 and told["history"][-1]["margin"] > told["history"][0]["margin"]
    assert told["kept"] == (told["held_out_loss"][1] - told["held_out_loss"][0] <= 0.05)
    assert card["parent"]["adapter"] == str(adapter)
    assert check_adapter(tmp_path, str(tiny_gemma)) == card
    import torch

    from kefu.generation.loading import load_merged
    from kefu.generation.optimisation import encode
    from kefu.generation.preferences import margin

    model, tokenizer = load_merged(str(tiny_gemma), tmp_path, torch.float32)
    chosen, rejected = ([encode(tokenizer, PROMPT, text)] for text in (pairs[0].chosen, pairs[0].rejected))
    plain, _ = load_merged(str(tiny_gemma), adapter, torch.float32)
    assert margin(model, chosen, rejected, 0) > margin(plain, chosen, rejected, 0) + 0.5


def test_too_few_pairs_and_another_method_are_refused(start, tiny_gemma, tmp_path):
    adapter, _ = start
    with pytest.raises(DataError, match=r"1 pairs of replies, and 50 are needed.*kefu feedback review"):
        train_preferences([Pair("a", "b", "c")], str(tiny_gemma), adapter, tmp_path, PreferenceArguments())
    other = tmp_path / "other"
    other.mkdir()
    for file in adapter.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    card = json.loads((other / "kefu.json").read_text())
    card["arguments"]["method"] = "adalora"
    (other / "kefu.json").write_text(json.dumps(card))
    with pytest.raises(SettingsError, match="is adalora"):
        train_preferences([Pair("a", "b", "c")], str(tiny_gemma), other, tmp_path, PreferenceArguments(least=1))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{broken", "JSON"),
        ('{"prompt": "a", "chosen": "b"}', "'rejected'"),
        ('{"prompt": "a", "chosen": "b", "rejected": "c", "weight": 0}', "'weight'"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, told):
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps(Pair("a", "b", "c").as_dict()) + "\n" + line + "\n", "utf-8")
    with pytest.raises(DataError, match=rf"pairs\.jsonl, line 2.*{told}"):
        read_pairs(file)
    with pytest.raises(NotFound, match="kefu feedback export"):
        read_pairs(tmp_path / "none.jsonl")


def test_arguments_are_checked():
    with pytest.raises(SettingsError, match=r"beta.*0"):
        PreferenceArguments(beta=0)
