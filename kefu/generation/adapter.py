"""The adapter's folder: its card, its notice, and the checks before it is loaded.

adapter_config.json  adapter_model.safetensors      as peft writes them; a whole model where all weights were trained
kefu.json                                           prompt version, base model, data, loss
NOTICE                                              of the base model's licence
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kefu.errors import ModelCorrupt, ModelNotFound
from kefu.generation.prompt import PROMPT_VERSION

CARD = "kefu.json"
WEIGHTS = "adapter_model.safetensors"
_FILES = {"full": ("model.safetensors", "config.json")}
_RETRAIN = "Train it again: kefu train generator --out {folder}"
_GEMMA = "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms\n"


def write_card(folder: Path, base: str, card: dict[str, Any]) -> dict[str, Any]:
    """Writes ``kefu.json`` and ``NOTICE`` and gives back the whole card.

    peft writes the folder that the base model was loaded from, on this machine; its name takes that one's place.
    """
    config = folder / "adapter_config.json"
    if config.is_file():
        told = {**json.loads(config.read_text(encoding="utf-8")), "base_model_name_or_path": base}
        config.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    whole = {"prompt_version": PROMPT_VERSION, "base": base, **card}
    (folder / CARD).write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    kind = {"lora": "a LoRA adapter for", "full": "all weights of"}.get(method_of(whole), "an adapter for")
    changed = f"Modified: {kind} {base}, fine-tuned on hand-written customer-service dialogues.\n"
    (folder / "NOTICE").write_text((_GEMMA if "gemma" in base.lower() else "") + changed, encoding="utf-8")
    return whole


def check_adapter(folder: Path, base: str) -> dict[str, Any]:
    """The adapter's card.

    Raises:
        ModelNotFound: there is no adapter in the folder.
        ModelCorrupt: it lacks files, or was trained for another prompt or another base model.
    """
    mend = _RETRAIN.format(folder=folder)
    absent = ModelNotFound(
        f"There is no adapter in {str(folder)!r}. {mend}, or set KEFU_ADAPTER=none for the bare model."
    )
    if not (folder / WEIGHTS).is_file() and not (folder / "model.safetensors").is_file():
        raise absent
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelCorrupt(f"{folder / CARD} cannot be read. {mend}") from None
    if not all((folder / name).is_file() for name in _FILES.get(method_of(card), (WEIGHTS, "adapter_config.json"))):
        raise absent
    if card.get("prompt_version") != PROMPT_VERSION:
        raise ModelCorrupt(
            f"The adapter in {str(folder)!r} was trained with prompt version {card.get('prompt_version')!r}, "
            f"this kefu writes version {PROMPT_VERSION}. {mend}"
        )
    if card.get("base") != base:
        raise ModelCorrupt(
            f"The adapter in {str(folder)!r} was trained on {card.get('base')!r}, KEFU_GENERATOR is {base!r}. {mend}, "
            f"or set KEFU_GENERATOR={card.get('base')}"
        )
    return card


def method_of(card: dict[str, Any]) -> str:
    """How the adapter was trained, see kefu.generation.methods."""
    return str(card.get("arguments", {}).get("method", "lora"))


def held_out_by(adapter: str) -> tuple[float, int]:
    """(share, seed) by which an adapter's training held dialogues out; the defaults where there is no card."""
    try:
        arguments = json.loads((Path(adapter) / CARD).read_text(encoding="utf-8")).get("arguments", {})
    except (OSError, ValueError):
        arguments = {}
    return float(arguments.get("held_out") or 0.1), int(arguments.get("seed", 7))
