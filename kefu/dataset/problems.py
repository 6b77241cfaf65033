"""What can be wrong with a data set: problems with the place they were found at."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from kefu.text_classifier.text import normalise

ERROR, WARNING = "error", "warning"
_INVISIBLE = re.compile(
    r"[\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\u00ad\ufffd\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\ufffe\uffff]"
)
_JOINED = re.compile(
    "(?<=[\U0001f000-\U0001faff\u2190-\u2bff\ufe0f])\u200d(?=[\U0001f000-\U0001faff\u2190-\u2bff])"
)  # one emoji


@dataclass(frozen=True, order=True)
class Problem:
    """One finding. ``line`` counts from 1; 0 where the whole file is meant."""

    file: str
    line: int
    level: str
    check: str
    message: str

    @property
    def where(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def as_dict(self) -> dict[str, str | int]:
        """For JSON."""
        return dict(vars(self))


def invisible(text: str) -> str | None:
    """The first character of ``text`` that cannot be seen or that broke on the way, as U+XXXX with its name."""
    match = _INVISIBLE.search(_JOINED.sub("", text))
    if match is None:
        return None
    return f"U+{ord(match[0]):04X} {unicodedata.name(match[0], 'a control character')}"


def visible(text: str) -> str:
    """``text`` in one line, without what ``invisible`` names."""
    line = " ".join(text.split())
    kept = {match.start() for match in _JOINED.finditer(line)}
    return " ".join(_INVISIBLE.sub(lambda m: m[0] if m.start() in kept else "", line).split())


@lru_cache(maxsize=1 << 16)
def folded(text: str) -> str:
    """What makes two messages the same: normalised as for the classifiers, lower case; punctuation and spaces out."""
    kept = "".join(c for c in normalise(text).lower() if c.isalnum() or unicodedata.category(c) == "So")
    return kept or normalise(text)
