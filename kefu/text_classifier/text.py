"""What the classifiers read of a message: one normal form, and no more of it than the encoder needs."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

MAX_TEXT = 256  # characters of the message
MAX_CONTEXT = 64  # characters of the previous turn, its end: that is where the question stands
_SPACE = re.compile(r"\s+")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u00ad\ud800-\udfff]")
_HAN = re.compile(r"[\u3400-\u9fff]")


@lru_cache(maxsize=1)
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def normalise(text: str) -> str:
    """Full-width to half-width (NFKC), traditional to simplified, invisible characters out, white space folded.

    Halves of surrogate pairs, which broken clients send, go too: no tokenizer takes them.
    """
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    text = _SPACE.sub(" ", text).strip()
    return str(_converter().convert(text)) if _HAN.search(text) else text


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """A text longer than ``limit`` characters without its middle: openings and ends carry the intent."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    return text[:head] + "…" + text[-(limit - head - 1) :]


def model_input(text: str, context: str | None) -> tuple[str, str]:
    """(message, end of the previous turn) as the encoder is given them, training and serving alike."""
    return cut(normalise(text)), normalise(context)[-MAX_CONTEXT:] if context else ""
