from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

torch = pytest.importorskip("torch")

from kefu.errors import DataError, ModelCorrupt, ModelNotFound, NotFound, SettingsError  # noqa: E402
from kefu.generation.adapter import check_adapter, write_card  # noqa: E402
from kefu.generation.loading import load_base, load_merged  # noqa: E402
from kefu.generation.optimisation import (  # noqa: E402
    Encoded,
    MasterWeights,
    batches,
    encode,
    held_out_loss,
    rate,
    reply_loss,
)
from kefu.generation.training import GeneratorTrainingArguments, train_generator  # noqa: E402


@pytest.fixture(scope="module")
def dialogues(tmp_path_factory):
    """Four short dialogues, enough to learn by heart."""
    folder = tmp_path_factory.mktemp("dialogues")
    raw = [
        {
            "id": f"d{i}",
            "scene": "退款",
            "turns": [
                {"user": "钱呢", "intent": "ask_refund_status", "emotion": "anxious"},
                {"agent": "退款在路上。", "strategy": "inform"},
                {"user": "好", "intent": "affirm", "emotion": "neutral"},
                {"agent": "还有别的吗？", "strategy": "request_feedback"},
            ],
        }
        for i in range(4)
    ]
    (folder / "d.yml").write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(tiny_gemma, dialogues, tmp_path_factory):
    out = tmp_path_factory.mktemp("adapter")
    lines: list[str] = []
    arguments = GeneratorTrainingArguments(
        base=str(tiny_gemma), epochs=12, learning_rate=2e-2, batch_size=4, rank=4, held_out=0.25, patience=24, threads=1
    )
    card = train_generator([dialogues], out, arguments, report=lines.append)
    return out, card, lines, arguments


def test_the_loss_falls_and_the_best_epoch_is_kept(trained):
    _, card, lines, _ = trained
    history = card["history"]
    assert history[-1]["loss"] < history[0]["loss"] - 0.2
    assert history[-1]["held_out_loss"] < history[0]["held_out_loss"] - 0.2
    assert card["held_out_loss"] == min(entry["held_out_loss"] for entry in history)
    assert [json.loads(line)["epoch"] for line in lines] == [i / 2 for i in range(1, 25)]  # two steps, two checks


def test_the_adapter_folder_is_complete_and_small(trained):
    out, card, _, _ = trained
    assert {p.name for p in out.iterdir()} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
        "kefu.json",
        "NOTICE",
    }
    assert json.loads((out / "kefu.json").read_text()) == card
    assert {"prompt_version", "base", "dialogues", "replies", "held_out_loss", "seconds"} <= set(card)
    from safetensors import safe_open

    with safe_open(str(out / "adapter_model.safetensors"), "pt") as file:
        assert {file.get_tensor(k).dtype for k in file.keys()} == {torch.float16}  # noqa: SIM118
        assert not any("embed" in k for k in file.keys())  # noqa: SIM118


def test_the_merged_model_learned_the_replies(trained, tiny_gemma):
    out, *_ = trained
    from kefu.dialogues import read_dialogues
    from kefu.generation.examples import examples_of
    from kefu.generation.prompt import format_prompt

    merged, tokenizer = load_merged(str(tiny_gemma), out, torch.float32)
    plain, _ = load_base(str(tiny_gemma), torch.float32)
    first = examples_of(read_dialogues([Path("data/dialogues/refund_status.yml")]))[0]
    item = encode(tokenizer, format_prompt(first.request), "退款在路上。")
    assert held_out_loss(merged, [item], 1, 0) < held_out_loss(plain, [item], 1, 0)


def test_the_adapters_config_names_the_base_and_no_folder_of_this_machine(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"r": 4, "base_model_name_or_path": "/home/me/cache/gemma"}')
    write_card(tmp_path, "bundled:gemma-3-270m", {})
    told = json.loads((tmp_path / "adapter_config.json").read_text())
    assert told == {"r": 4, "base_model_name_or_path": "bundled:gemma-3-270m"}


def test_the_notice_names_gemmas_terms(tmp_path):
    write_card(tmp_path, "bundled:gemma-3-270m", {})
    notice = (tmp_path / "NOTICE").read_text()
    assert "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms" in notice
    assert "Modified" in notice
    write_card(tmp_path, "Qwen/Qwen3-0.6B", {})
    assert "Gemma" not in (tmp_path / "NOTICE").read_text()


@pytest.mark.parametrize(
    ("change", "told"),
    [({"prompt_version": 0}, "prompt version 0"), ({"base": "other/model"}, "other/model")],
)
def test_an_adapter_of_another_prompt_or_base_is_refused_with_its_mend(trained, tiny_gemma, tmp_path, change, told):
    out, card, _, _ = trained
    for file in out.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "kefu.json").write_text(json.dumps({**card, **change}))
    with pytest.raises(ModelCorrupt, match=told) as caught:
        check_adapter(tmp_path, str(tiny_gemma))
    assert "kefu train generator" in str(caught.value)


def test_a_folder_without_an_adapter_and_a_broken_one_are_told_apart(trained, tiny_gemma, tmp_path):
    with pytest.raises(ModelNotFound, match="KEFU_ADAPTER"):
        check_adapter(tmp_path, str(tiny_gemma))
    out, *_ = trained
    for file in out.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "adapter_model.safetensors").write_bytes(b"cut short")
    with pytest.raises(ModelCorrupt, match="does not load"):
        load_merged(str(tiny_gemma), tmp_path, torch.float32)


def test_only_reply_tokens_count(tiny_gemma):
    model, tokenizer = load_base(str(tiny_gemma), torch.float32)
    item = encode(tokenizer, "客户：钱呢\n信息传达：", "在路上。")
    loss, count = reply_loss(model, [item], 0)
    assert count == len("在路上。") + 1  # and <eos>
    with torch.no_grad():
        logits = model(torch.tensor([item.ids])).logits[0].log_softmax(-1)
    expected = -sum(logits[i - 1, item.ids[i]] for i in range(item.start, len(item.ids)))
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-4)


def test_padding_changes_nothing(tiny_gemma):
    model, tokenizer = load_base(str(tiny_gemma), torch.float32)
    short, long = (encode(tokenizer, "客户：" + "钱" * n, "在路上。") for n in (2, 40))
    with torch.no_grad():
        alone = sum(float(reply_loss(model, [item], 0)[0]) for item in (short, long))
        together = float(reply_loss(model, [short, long], 0)[0])
    assert together == pytest.approx(alone, rel=1e-4)


def test_master_weights_gather_steps_too_small_for_bfloat16():
    parameter = torch.nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    master = MasterWeights([parameter])
    optimiser = torch.optim.SGD(master.copies, lr=1e-3)
    for _ in range(10):
        parameter.grad = torch.ones_like(parameter)
        master.take_gradients()
        optimiser.step()
        master.give_back()
    assert parameter.item() == pytest.approx(0.99, abs=4e-3) and parameter.item() < 1


def test_batches_hold_everything_once_and_like_lengths_together():
    items = [Encoded([1] * n, 1) for n in range(10, 410, 5)]
    cut = batches(items, 8, random.Random(1))
    assert sorted(len(e.ids) for b in cut for e in b) == [len(e.ids) for e in items]
    assert max(max(len(e.ids) for e in b) - min(len(e.ids) for e in b) for b in cut) < 80


def test_the_rate_warms_up_and_falls_to_a_tenth():
    rates = [rate(step, 100, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1.0
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert rates[100] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("learning_rate", -1), ("held_out", 1.0), ("rank", 0), ("method", "ia3"), ("precision", "int4")],
)
def test_arguments_are_checked(name, value):
    with pytest.raises(SettingsError, match=f"{name}.*{value}"):
        GeneratorTrainingArguments(**{name: value})


def test_too_little_data_and_none_are_named(tiny_gemma, tmp_path):
    arguments = GeneratorTrainingArguments(base=str(tiny_gemma))
    with pytest.raises(NotFound, match="nowhere"):
        train_generator([tmp_path / "nowhere"], tmp_path / "out", arguments)
    with pytest.raises(DataError, match="too few"):
        train_generator([tmp_path], tmp_path / "out", arguments)


@pytest.fixture(scope="module")
def methods(tiny_gemma, dialogues, tmp_path_factory):
    """{method: (folder, card)} of a short training by each method but lora."""
    made = {}
    for method, rate_, more in (
        ("adalora", 5e-2, {"accumulate": 2, "precision": "bf16"}),
        ("prefix", 5e-2, {"precision": "fp32"}),
        ("full", 5e-3, {"precision": "bf16", "checkpointing": True}),
    ):
        out = tmp_path_factory.mktemp(method)
        arguments = GeneratorTrainingArguments(
            base=str(tiny_gemma), method=method, epochs=16, checks=1, patience=16, learning_rate=rate_, batch_size=3,
            rank=4, prefix_tokens=4, held_out=0.25, threads=1, **more,
        )  # fmt: skip
        made[method] = (out, train_generator([dialogues], out, arguments, report=lambda line: None))
    return made


@pytest.mark.parametrize("method", ["adalora", "prefix", "full"])
def test_every_method_learns_and_is_served(methods, tiny_gemma, dialogues, method):
    from kefu.generation.decoder import CausalDecoder, GemmaDecoder, decoder_for

    out, card = methods[method]
    history = card["history"]
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    assert check_adapter(out, str(tiny_gemma))["arguments"]["method"] == method
    model, tokenizer = load_merged(str(tiny_gemma), out, torch.float32)
    plain, _ = load_base(str(tiny_gemma), torch.float32)
    decoder = decoder_for(model.eval())
    assert isinstance(decoder, CausalDecoder if method == "prefix" else GemmaDecoder)
    item = encode(tokenizer, "客户：钱呢\n【退款进度|焦急】信息传达：", "退款在路上。")

    def likelihood(of):
        of.clear()
        logits = [of.prefill(item.ids[: item.start]), *(of.step([t])[0] for t in item.ids[item.start : -1])]
        return sum(float(row.log_softmax(-1)[t]) for row, t in zip(logits, item.ids[item.start :]))

    # a prefix is out of sight for most layers of the tiny model, whose window is 16 tokens
    assert likelihood(decoder) > likelihood(decoder_for(plain.eval())) + (0.3 if method == "prefix" else 1)
    decoder.clear()
    first = decoder.prefill(item.ids[: item.start])
    after = decoder.step([item.ids[item.start]])[0]
    decoder.clear()
    decoder.prefill(item.ids[: item.start])
    assert torch.allclose(decoder.step([item.ids[item.start]])[0], after, atol=1e-4) and not torch.equal(first, after)


def test_a_prefix_is_served_as_it_was_trained(methods, tiny_gemma):
    from peft import PeftModel

    out, _ = methods["prefix"]
    plain, tokenizer = load_base(str(tiny_gemma), torch.float32)
    tuned = PeftModel.from_pretrained(plain, str(out)).eval()
    item = encode(tokenizer, "客户：钱呢\n信息传达：", "退款在路上。")
    loss = held_out_loss(tuned, [item], 1, 0)
    served, _ = load_merged(str(tiny_gemma), out, torch.float32)
    from transformers import DynamicCache

    with torch.no_grad():
        logits = served(torch.tensor([item.ids]), past_key_values=DynamicCache(), use_cache=True).logits[0]
    target = torch.tensor(item.ids[item.start :])
    own = torch.nn.functional.cross_entropy(logits[item.start - 1 : -1], target)
    assert float(own) == pytest.approx(loss, rel=1e-3)


def test_a_training_goes_on_from_an_adapter_and_must_beat_it(trained, tiny_gemma, dialogues, tmp_path):
    before, card, _, arguments = trained
    go_on = replace(arguments, start_from=str(before), epochs=1, learning_rate=1e-9, precision="fp32")
    after = train_generator([dialogues], tmp_path, go_on, report=lambda line: None)
    assert after["history"][0]["epoch"] == 0
    assert after["held_out_loss"] == pytest.approx(card["held_out_loss"], abs=0.05)
    assert check_adapter(tmp_path, str(tiny_gemma))
    with pytest.raises(SettingsError, match=r"is lora: give --method lora"):
        train_generator([dialogues], tmp_path / "x", replace(go_on, method="full"))


def test_a_time_budget_ends_the_training_with_what_is_best(tiny_gemma, dialogues, tmp_path):
    arguments = GeneratorTrainingArguments(
        base=str(tiny_gemma), epochs=500, checks=1, held_out=0.25, threads=1, minutes=0.01, rank=4
    )
    card = train_generator([dialogues], tmp_path, arguments, report=lambda line: None)
    assert card["stopped"] == "minutes" and card["history"][-1]["epoch"] < 500
    assert check_adapter(tmp_path, str(tiny_gemma))
