"""Texts to token ids."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kefu.text_classifier.tokenizer import encode, load_tokenizer


def test_a_batch_is_padded_to_its_longest(tiny_encoder: Path) -> None:
    ids, mask = encode(load_tokenizer(tiny_encoder, 64), [("退款", ""), ("退", "订单")])
    assert ids.shape == mask.shape == (2, 7) and ids.dtype == mask.dtype == np.int64
    assert ids[0, 0] == 0 and ids[0, 3] == 2  # <s> 退 款 </s>
    assert ids[0, 4:].tolist() == [1, 1, 1]  # <pad>
    assert mask.sum(1).tolist() == [4, 7]


def test_the_longer_side_is_cut_first(tiny_encoder: Path) -> None:
    tokenizer = load_tokenizer(tiny_encoder, 16)
    ids, _ = encode(tokenizer, [("退" * 5, "款" * 50)])
    assert ids.shape == (1, 16)
    assert (ids == tokenizer.token_to_id("退")).sum() == 5
    assert (ids == tokenizer.token_to_id("款")).sum() == 16 - 4 - 5


def test_ten_thousand_characters_are_cut(tiny_encoder: Path) -> None:
    ids, _ = encode(load_tokenizer(tiny_encoder, 64), [("退" * 10_000, ""), ("😡" * 100, ""), ("", "")])
    assert ids.shape == (3, 64)


@pytest.mark.filterwarnings("ignore")
def test_a_vocabulary_is_enough(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "退", "款", "order"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": len(words)}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    ids, mask = encode(load_tokenizer(tmp_path, 32), [("退款 order", ""), ("退", "")])
    assert ids.tolist() == [[2, 5, 6, 7, 3], [2, 5, 3, 0, 0]]
    assert mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert (tmp_path / "tokenizer.json").is_file()
