"""Plain text: what a message says once hidden characters, look-alikes and other widths are taken out.

Used on everything that strangers write before a model, a prompt or the guard reads it. Chinese punctuation stays as it
is: models and data know ，and not its half-width form.
"""

from __future__ import annotations

import re
import unicodedata

MAX_CHARS = 1000
_KEPT = frozenset("，。！？：；（）～、“”‘’…—《》「」【】·￥")
# Categories that show nothing: controls, formats (zero-width, bidi, tags), private use, surrogates, unassigned.
_HIDDEN = frozenset(("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp", "Mn", "Me"))
# Letters by their category that look empty.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
# Cyrillic and Greek letters beside the Latin ones that they look like.
_LOOKS = str.maketrans(
    "аАвВсСеЕнНіІјЈкКмМоОрРѕЅтТуУхХԁԛԝυΑΒΕΖΗΙΚΜΝΟΡΤΥΧαορν",
    "aABBcCeEHHiIjJkKmMoOpPsStTyYxXdqwuABEZHIKMNOPTYXaopv",
)
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[A-Za-z]")


def _character(char: str) -> str:
    if char in _KEPT:
        return char
    if char in "\n\r\t\u2028\u2029\x0b\x0c\x85":
        return " "
    return unicodedata.normalize("NFKC", char)


def hidden(text: str) -> list[str]:
    """The characters of ``text`` that cannot be seen, as U+XXXX; an emoji's variation selector and joiner are none."""
    shown = re.sub("(?<=[\\u2190-\\u2bff\\u3030\\U0001f000-\\U0001faff#*0-9])[\\ufe0f\\u200d\\u20e3]+", "", text)
    return [f"U+{ord(c):04X}" for c in shown if c in _BLANK or unicodedata.category(c) in _HIDDEN]


def plain(text: str, limit: int = MAX_CHARS) -> str:
    """``text`` in one line: nothing hidden, letters and digits of one width, look-alikes in Latin words made Latin.

    Beyond ``limit`` characters its middle is left out; people say what they want first or last.
    """
    text = text if len(text) <= 4 * limit else text[: 2 * limit] + text[-2 * limit :]
    composed = unicodedata.normalize("NFC", text)
    wide = "".join(_character(c) for c in composed if c not in _BLANK)
    seen = "".join(c for c in wide if unicodedata.category(c) not in _HIDDEN)
    flat = " ".join(_WORD.sub(_unmasked, seen).split())
    if len(flat) <= limit:
        return flat
    tail = limit // 3
    return f"{flat[: limit - tail - 1]}…{flat[-tail:]}"


def _unmasked(match: re.Match[str]) -> str:
    """A word of Latin letters with others among them, which only look so."""
    word = match[0]
    return word.translate(_LOOKS) if _LATIN.search(word) else word
