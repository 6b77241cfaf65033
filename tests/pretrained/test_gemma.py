"""The tokenizer built from a GGUF file's pieces and scores, and the names of its tensors."""

from __future__ import annotations

import pytest

from kefu.errors import ModelCorrupt
from kefu.pretrained.gemma import build_tokenizer, kept_ids, tensor_name

CONTROL, NORMAL, USER, BYTE = 3, 1, 4, 6


def pieces() -> tuple[list[str], list[float], list[int]]:
    """Specials, all 256 bytes, runs of white space, then pieces: the earlier a piece, the better its score."""
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>"]
    types = [CONTROL] * 3 + [2]
    tokens += [f"<0x{i:02X}>" for i in range(256)]
    types += [BYTE] * 256
    tokens += ["<start_of_turn>", "<end_of_turn>", "\n", "\n\n", "▁▁"]
    types += [CONTROL] * 2 + [USER] * 3
    words = ["退款", "re", "ref", "nd", "und", "refund", "▁refund", "款单", "▁", *"退款单refund好，"]
    tokens += list(dict.fromkeys(words))
    types += [NORMAL] * (len(tokens) - len(types))
    scores = [0.0] * 265 + [-float(i) for i in range(len(tokens) - 265)]
    return tokens, scores, types


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("退款单", ["退款", "单"]),  # 退款 is the better-scored merge than 款单
        ("refund", ["refund"]),
        ("退款 refund", ["退款", "▁refund"]),
        ("好的", ["好", "<0xE7>", "<0x9A>", "<0x84>"]),  # what no piece spells falls back to bytes
        ("好\n\n好", ["好", "\n\n", "好"]),
        ("<start_of_turn>好<end_of_turn>", ["<start_of_turn>", "好", "<end_of_turn>"]),
    ],
)
def test_text_is_cut_as_sentencepiece_does(text: str, cut: list[str]) -> None:
    tokenizer = build_tokenizer(*pieces())
    encoded = tokenizer.encode(text, add_special_tokens=False)
    assert encoded.tokens == cut
    assert tokenizer.decode(encoded.ids, skip_special_tokens=False) == text


def test_ids_are_positions() -> None:
    tokens, scores, types = pieces()
    tokenizer = build_tokenizer(tokens, scores, types)
    assert [tokenizer.token_to_id(t) for t in tokens] == list(range(len(tokens)))
    assert tokenizer.get_vocab_size() == len(tokens)


def test_specials_are_left_out_of_the_text() -> None:
    tokenizer = build_tokenizer(*pieces())
    ids = tokenizer.encode("<bos>好<eos>", add_special_tokens=False).ids
    assert len(ids) == 3 and tokenizer.decode(ids) == "好"


def test_kept_are_controls_bytes_chinese_and_frequent_english() -> None:
    tokens = ["<pad>", "<eos>", "<bos>", "<unk>", "<unused0>", "<start_of_turn>", "<0x0A>", "退款", "привет", "▁ok"]
    tokens += ["▁rare", "\n\n", "\n" * 30]
    types = [CONTROL] * 4 + [USER, CONTROL, BYTE] + [NORMAL] * 4 + [USER] * 2
    kept = [tokens[i] for i in kept_ids(tokens, types, cut=10)]
    assert kept == ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<0x0A>", "退款", "▁ok", "\n\n"]


def test_tensors_are_named_as_transformers_does() -> None:
    assert tensor_name("token_embd.weight") == "model.embed_tokens.weight"
    assert tensor_name("blk.17.attn_q_norm.weight") == "model.layers.17.self_attn.q_norm.weight"
    assert tensor_name("blk.0.post_ffw_norm.weight") == "model.layers.0.post_feedforward_layernorm.weight"
    with pytest.raises(ModelCorrupt, match=r"'blk\.0\.router\.weight'"):
        tensor_name("blk.0.router.weight")
