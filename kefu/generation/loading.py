"""Loads a causal language model with its tokenizer, and merges an adapter into it."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from kefu.errors import ModelCorrupt
from kefu.generation.adapter import check_adapter, method_of
from kefu.pretrained import resolve
from kefu.settings import Settings

logger = logging.getLogger(__name__)


def load_base(name: str, dtype: Any) -> tuple[Any, Any]:
    """(model, tokenizer) of ``name``, as kefu.pretrained.resolve takes it.

    Raises:
        ModelNotFound: no such model.
        ModelCorrupt: its files cannot be loaded.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    folder = resolve(name)
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    except Exception as error:  # transformers and safetensors raise a dozen unrelated types
        raise ModelCorrupt(f"The model {name!r} in {folder} does not load: {type(error).__name__}: {error}") from None
    return model, tokenizer


def load_merged(name: str, adapter: Path | None, dtype: Any) -> tuple[Any, Any]:
    """(model, tokenizer) with the adapter's weights added to the base model's, in their place, or before its prompts.

    Raises:
        ModelNotFound, ModelCorrupt: of the base model or of the adapter.
    """
    resolve(name)
    method = method_of(check_adapter(adapter, name)) if adapter is not None else "none"
    if adapter is None or method == "full":
        return load_base(name if adapter is None else str(adapter), dtype)
    model, tokenizer = load_base(name, dtype)
    from peft import PeftModel

    try:
        tuned: Any = PeftModel.from_pretrained(model, str(adapter))
        if method == "prefix":
            from kefu.generation.prefix import PrefixedModel

            merged: Any = PrefixedModel(tuned)
        else:
            merged = tuned.merge_and_unload()
    except Exception as error:
        raise ModelCorrupt(
            f"The adapter in {str(adapter)!r} does not load: {type(error).__name__}: {error}. "
            f"Train it again: kefu train generator --out {adapter}"
        ) from None
    return merged, tokenizer


def faster_dtype(threads: int) -> Any:
    """bfloat16 or float32, whichever multiplies faster on this CPU."""
    import torch

    torch.set_num_threads(threads)
    times: dict[Any, float] = {}
    for dtype in (torch.bfloat16, torch.float32):
        prompt, weight = torch.randn(96, 640, dtype=dtype), torch.randn(2048, 640, dtype=dtype)
        for _ in range(3):
            began = time.perf_counter()
            torch.nn.functional.linear(prompt, weight)
            times[dtype] = min(times.get(dtype, 1e9), time.perf_counter() - began)
    return min(times, key=lambda d: times[d])


def load_model(settings: Settings) -> tuple[Any, Any]:
    """(model, tokenizer) that the settings ask for, on its device and in the type that is fastest there.

    Raises:
        ModelNotFound, ModelCorrupt: of the base model or the adapter.
    """
    import torch

    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = faster_dtype(settings.threads) if device == "cpu" else torch.bfloat16
    adapter = None if settings.adapter in ("", "none") else Path(settings.adapter)
    model, tokenizer = load_merged(settings.generator, adapter, dtype)
    logger.info(
        "Generator %s on %s in %s, adapter %s.", settings.generator, device, str(dtype).split(".")[-1], settings.adapter
    )
    return model.eval().to(device), tokenizer
