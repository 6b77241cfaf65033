"""Texts to token ids. Serving needs this and no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

TOKENIZER = "tokenizer.json"


def load_tokenizer(folder: Path, max_tokens: int) -> Any:
    """A tokenizers.Tokenizer that pads a batch to its longest member and cuts the longer of message and context first.

    A hub model that carries only a vocabulary gets its tokenizer.json written beside it.
    """
    from tokenizers import Tokenizer

    file = folder / TOKENIZER
    if not file.is_file():
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained(folder).backend_tokenizer.save(str(file))
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.enable_truncation(max_tokens, strategy="longest_first")
    pad = next((p for p in ("<pad>", "[PAD]") if tokenizer.token_to_id(p) is not None), None)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(pad) if pad else 0, pad_token=pad or "[PAD]")
    return tokenizer


def encode(tokenizer: Any, inputs: Sequence[tuple[str, str]]) -> tuple[Any, Any]:
    """(input_ids, attention_mask), both (batch, tokens) int64 numpy arrays, of (message, context) pairs."""
    encoded = tokenizer.encode_batch([(text, context) if context else text for text, context in inputs])
    return np.array([e.ids for e in encoded], np.int64), np.array([e.attention_mask for e in encoded], np.int64)
