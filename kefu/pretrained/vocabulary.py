"""Which word pieces of a multilingual tokenizer Chinese and English need.

Dropping the rest shrinks the embedding (and, for a language model, the output layer, where most of its time goes).
A dropped word still reads: it falls back to shorter pieces, single characters or bytes.
"""

from __future__ import annotations

import unicodedata

# Unicode blocks whose characters Chinese and English texts are written in: (first, last) code points, inclusive.
_RANGES = (
    (0x20, 0x7E),  # ASCII
    (0xA0, 0xFF),  # Latin-1: ¥ ° · × é
    (0x2000, 0x206F),  # general punctuation: … — “ ”
    (0x20A0, 0x20CF),  # currency signs
    (0x2100, 0x27BF),  # letterlike, arrows, circled numbers, dingbats
    (0x2B00, 0x2BFF),
    (0x3000, 0x303F),  # CJK punctuation
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFF00, 0xFFEF),  # full-width forms
    (0x1F000, 0x1FAFF),  # emoji
    (0x2581, 0x2581),  # SentencePiece's space
)


def is_chinese_or_english(piece: str) -> bool:
    """Whether every character of ``piece`` belongs to written Chinese or English, emoji included."""
    return all(any(lo <= ord(c) <= hi for lo, hi in _RANGES) for c in piece)


def keeps(piece: str, rank: int, latin_cut: int) -> bool:
    """Whether to keep the piece at ``rank`` of a vocabulary sorted by frequency.

    Single characters stay, so that any word can still be spelled. Longer pieces with Latin letters stay if they are
    plain ASCII and frequent (rank below ``latin_cut``): the rest mostly serves other European languages.
    """
    if not is_chinese_or_english(piece):
        return False
    word = piece.replace("\u2581", "")
    if len(word) <= 1 or not any(c.isalpha() and unicodedata.name(c, "").startswith("LATIN") for c in word):
        return True
    return word.isascii() and rank < latin_cut
