"""The sentences of a passage that answer a question best, word for word."""

from __future__ import annotations

import re

from kefu.generation.similarity import bigrams

_SENTENCE = re.compile(r"[^。！？；!?;]+[。！？；!?;]?[”」’）)]?")


def sentences(text: str) -> list[str]:
    """``text`` cut behind 。！？；, the marks kept."""
    return [s.strip() for s in _SENTENCE.findall(" ".join(text.split())) if s.strip()]


def excerpt(text: str, question: str, limit: int) -> str:
    """Whole sentences of ``text``, in order, of at most ``limit`` characters, around the one most like ``question``.

    The first sentence wins ties: passages say the main thing first. A single sentence over the limit is cut at its last
    comma within it.
    """
    parts = sentences(text)
    if not parts:
        return ""
    if len(text) <= limit:
        return _ended("".join(parts))
    asked = bigrams(question)
    best = max(range(len(parts)), key=lambda i: (len(bigrams(parts[i]) & asked), -i))
    chosen = parts[best]
    for following in parts[best + 1 :]:
        if len(chosen) + len(following) > limit:
            break
        chosen += following
    if len(chosen) > limit:
        cut = max(chosen.rfind(mark, 0, limit) for mark in "，,、")
        chosen = chosen[:cut] if cut > limit // 3 else chosen[: limit - 1]
    return _ended(chosen)


def _ended(text: str) -> str:
    text = text.rstrip("；;，,、 ")
    return text if text[-1:] in "。！？!?”」）)" else text + "。"
