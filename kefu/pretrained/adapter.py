"""Low-rank adaptation of the encoder (LoRA, Hu et al. 2021), through peft.

A full training takes an hour and is done once: what it learned about a shop's language is kept as an adapter of a few
megabytes. ``rasa train`` starts from the encoder with the adapter merged into it, and needs minutes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kefu.errors import ModelCorrupt, ModelNotFound
from kefu.pretrained.store import MANIFEST

if TYPE_CHECKING:
    from torch import nn

WEIGHTS, CARD = "adapter.safetensors", "adapter.json"
_SCALE = 2  # of the products of an adapter's matrices
_TARGETS = ["query", "key", "value", "dense"]  # every matrix of a BERT layer


def add(encoder: nn.Module, rank: int) -> None:
    """Puts trainable matrices of ``rank`` beside every matrix of the encoder's layers, and fixes the rest."""
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(r=rank, lora_alpha=_SCALE * rank, lora_dropout=0.0, target_modules=_TARGETS)
    inject_adapter_in_model(config, encoder)


def merge(encoder: nn.Module) -> None:
    """Adds the adapter's products to the matrices that they stand beside and takes the adapter out."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(encoder.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(encoder.get_submodule(parent), child, module.get_base_layer())


def approximation(tuned: nn.Module, source: Path, rank: int) -> nn.Module:
    """The encoder in ``source`` with the adapter of ``rank`` that comes nearest to ``tuned``, not merged.

    What a training changed in a matrix is cut to its largest singular values, the best that a matrix of that rank
    can do (Eckart and Young 1936). Biases and norms stay those of ``source``.
    """
    import torch
    from transformers import AutoModel

    encoder: nn.Module = AutoModel.from_pretrained(source, dtype=torch.float32, add_pooling_layer=False)
    add(encoder, rank)
    wanted = tuned.state_dict()
    own = dict(encoder.named_parameters())
    for name, matrix in own.items():
        if ".base_layer.weight" not in name:
            continue
        stem = name.removesuffix(".base_layer.weight")
        left, values, right = torch.linalg.svd(wanted[f"{stem}.weight"].float() - matrix.detach(), full_matrices=False)
        root = values[:rank].sqrt()
        with torch.no_grad():
            own[f"{stem}.lora_A.default.weight"].copy_(root[:, None] * right[:rank])
            own[f"{stem}.lora_B.default.weight"].copy_(left[:, :rank] * root / _SCALE)
    return encoder


def save(encoder: nn.Module, folder: Path, card: Mapping[str, Any]) -> None:
    """Writes the adapter's matrices in bfloat16, and ``card``, which says what they were trained on."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {n: p.detach().to(torch.bfloat16).contiguous() for n, p in encoder.named_parameters() if "lora_" in n}
    save_file(state, folder / WEIGHTS)
    (folder / CARD).write_text(json.dumps(dict(card), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def merged(source: Path, folder: Path, target: Path) -> None:
    """Writes the encoder in ``source`` with the adapter in ``folder`` merged into it to ``target``.

    Raises:
        ModelNotFound, ModelCorrupt: see ``apply``.
    """
    import shutil

    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    encoder = AutoModel.from_pretrained(source, dtype=torch.float32, add_pooling_layer=False)
    apply(encoder, folder)
    encoder.save_pretrained(target)
    for file in source.iterdir():  # the tokenizer and the licences; the weights and the cache's manifest are its own
        wanted = file.suffix in (".json", ".txt", ".model", "") and file.name != MANIFEST
        if wanted and file.is_file() and not (target / file.name).exists():
            shutil.copy(file, target / file.name)


def apply(encoder: nn.Module, folder: Path) -> None:
    """Merges the adapter in ``folder`` into ``encoder``.

    Raises:
        ModelNotFound: there is no adapter in the folder.
        ModelCorrupt: the adapter belongs to another encoder, or cannot be read.
    """
    from safetensors.torch import load_file

    if not (folder / WEIGHTS).is_file():
        raise ModelNotFound(
            f"There is no adapter {str(folder / WEIGHTS)!r}. Train one: kefu train encoder --out {folder}."
        )
    try:
        state = load_file(folder / WEIGHTS)
        rank = next(len(p) for n, p in state.items() if "lora_A" in n)
        add(encoder, rank)
        own = {n: p for n, p in encoder.named_parameters() if "lora_" in n}
        if own.keys() != state.keys() or any(own[n].shape != p.shape for n, p in state.items()):
            raise ValueError("it belongs to an encoder of another shape")
        encoder.load_state_dict({n: p.float() for n, p in state.items()}, strict=False)
    except Exception as error:  # safetensors and peft raise unrelated types
        raise ModelCorrupt(
            f"The adapter in {folder} does not fit the encoder ({error}). Train another, kefu train encoder, or "
            "name the encoder without it."
        ) from error
    merge(encoder)
    encoder.requires_grad_(True)
