"""Masks personal data in messages and keeps their shape, so that they can be stored, read by a reviewer and trained on.

Digits become other digits, a name another name, a street another street. The replacement is drawn from a keyed hash
(HMAC-SHA256) of what it replaces: one phone number gets the same stand-in wherever it turns up, its last four digits
the same tail, and nobody without the salt can go back. Cities and provinces stay; they decide delivery and say little.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kefu.feedback.mask_patterns import (
    ADDRESS_WORDS,
    COMPANY,
    ESTATES,
    GIVEN_NAMES,
    ROADS,
    RULES,
    SURNAMES,
    split_place,
    whole_name,
)


@dataclass(frozen=True)
class Masked:
    """A masked text. ``cuts`` are (start, end in the original, length of the stand-in), in order, not overlapping."""

    text: str
    cuts: tuple[tuple[int, int, int], ...] = ()

    def moved(self, start: int, end: int) -> tuple[int, int] | None:
        """Where ``original[start:end]`` stands in the masked text; None where masking touched it."""
        shift = 0
        for low, high, length in self.cuts:
            if low < end and start < high:
                return None
            if high <= start:
                shift += length - (high - low)
        return start + shift, end + shift


class Masker:
    """Replaces personal data deterministically for one salt."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._makers: dict[str, Callable[[str], str]] = {
            "keep": str,
            "digits": self._digits,
            "order": self._order,
            "identity": self._identity,
            "mobile": self._mobile,
            "tail": self._tail,
            "date": self._date,
            "code": self._code,
            "email": lambda found: self._code(found.split("@")[0]) + "@example.com",
            "link": lambda found: "https://example.com/" + self._stream(found, 6),
            "numerals": self._numerals,
            "name": self._name,
            "surname": lambda found: self._pick(found, SURNAMES[:20]),
            "road": lambda found: self._place(found, ROADS),
            "estate": lambda found: self._place(found, ESTATES),
            "person": lambda found: "Alex",
        }

    def mask(self, text: str) -> Masked:
        """``text`` with everything personal replaced."""
        taken: list[tuple[int, int, str]] = []
        for kind, pattern in RULES:
            for match in pattern.finditer(text):
                start, end = match.span(1 if pattern.groups else 0)
                if all(end <= low or high <= start for low, high, _ in taken):
                    taken.append((start, end, self._makers[kind](text[start:end])))
        taken.sort()
        out, position = [], 0
        for start, end, replacement in taken:
            out += [text[position:start], replacement]
            position = end
        masked = "".join([*out, text[position:]])
        return Masked(masked, tuple((s, e, len(r)) for s, e, r in taken if r != text[s:e]))

    def text(self, text: str) -> str:
        """The masked text alone."""
        return self.mask(text).text

    def fact(self, key: str, value: str) -> str:
        """A fact's value, masked by what its key says it is: bare tails and names carry no other sign."""
        if key == "phone_tail":
            return re.sub(r"\d{4}(?!\d)", lambda m: self._tail(m[0]), value)
        if key in ("signed_by", "invoice_title") and whole_name(value):
            return self._name(value)
        if key == "invoice_title" and (match := COMPANY.fullmatch(value.strip())):
            return self._pick(value, ROADS) + match[1]
        return self.text(value)

    def pseudonym(self, name: str) -> str:
        """16 digits in place of a customer's id, the same for the same id."""
        return self._stream(f"customer\0{name}", 16)

    def _stream(self, value: str, length: int) -> str:
        """``length`` decimal digits that depend on the salt and the value."""
        out = ""
        while len(out) < length:  # a 512-bit number has 150 digits that are as good as uniform
            message = f"{len(out)}:{value}".encode("utf-8", "replace")
            out += str(int.from_bytes(hmac.new(self._salt, message, hashlib.sha512).digest(), "big")).zfill(155)[-150:]
        return out[:length]

    def _pick(self, value: str, choices: tuple[str, ...]) -> str:
        others = [c for c in choices if c != value]
        return others[int(self._stream(value, 9)) % len(others)]

    def _digits(self, found: str) -> str:
        """Every digit replaced, everything else in place; a first digit is 0 only where it was."""
        plain = re.sub(r"\D", "", found)
        drawn = self._stream(plain, len(plain))
        if drawn == plain:
            drawn = self._stream(plain + "'", len(plain))
        if (plain[0] == "0") != (drawn[0] == "0"):
            drawn = ("0" if plain[0] == "0" else "7") + drawn[1:]
        digits = iter(drawn)
        return re.sub(r"\d", lambda _: next(digits), found)

    def _date(self, found: str) -> str:
        """Another day, written the same way; the year changes only where it can be a year of birth."""
        drawn = int(self._stream(found, 9))
        year = f"19{50 + drawn // 400 % 50}" if found[:4] < "2013" else found[:4]
        month, day = drawn % 12 + 1, drawn // 12 % 28 + 1
        rest = found[4:]
        if rest.isdigit():
            return f"{year}{month:02d}{day:02d}"
        first, second = re.findall(r"[^\d]+", rest)[:2]
        return f"{year}{first}{month}{second}{day}"

    def _order(self, found: str) -> str:
        return self._date(found[:8]) + self._digits(found[8:])

    def _identity(self, found: str) -> str:
        # No region's code starts with 9, so the stand-in is nobody's number.
        return "9" + self._stream(found, 5) + self._date(found[6:14]) + self._digits(found[14:17]) + found[17]

    def _mobile(self, found: str) -> str:
        """Keeps 1 and the second digit; the last four have a stand-in of their own, so that tails still match."""
        plain = re.sub(r"\D", "", found)[-11:]
        drawn = iter(plain[:2] + self._stream(plain, 5) + self._tail(plain[-4:]))
        skipped = len(re.sub(r"\D", "", found)) - 11  # a country code

        def digit(match: re.Match[str]) -> str:
            nonlocal skipped
            if skipped > 0:
                skipped -= 1
                return match[0]
            return next(drawn)

        return re.sub(r"\d", digit, found)

    def _tail(self, found: str) -> str:
        drawn = self._stream("tail" + found, 4)
        return drawn if drawn != found else self._stream("tail'" + found, 4)

    def _code(self, found: str) -> str:
        """Letters become letters of the same case, digits digits; the rest stays."""
        drawn = self._stream(found, 120)

        def other(match: re.Match[str]) -> str:
            number = int(drawn[2 * match.start() % 100 : 2 * match.start() % 100 + 2])
            if match[0].isdigit():
                return str(number % 10)
            letter = "abcdefghijkmnpqrstuvwxyz"[number % 24]
            return letter.upper() if match[0].isupper() else letter

        return re.sub(r"[0-9A-Za-z]", other, found)

    def _numerals(self, found: str) -> str:
        drawn = self._stream(found, len(found))
        return "".join("零一二三四五六七八九"[int(d)] for d in drawn)

    def _name(self, found: str) -> str:
        drawn = self._stream(found, len(found))
        given = "".join(GIVEN_NAMES[int(d) * 2 % len(GIVEN_NAMES)] for d in drawn[1:])
        return self._pick(found[0], SURNAMES[:20]) + given

    def _place(self, found: str, choices: tuple[str, ...]) -> str:
        before, name = split_place(found, ADDRESS_WORDS)
        return before + self._pick(name, choices)


def load_masker(folder: Path) -> Masker:
    """The masker with the salt of ``folder``: ``mask.salt``, written at the first use, readable by its owner only."""
    path = folder / "mask.salt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:  # another process was first
            pass
        else:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32))
    return Masker(bytes.fromhex(path.read_text(encoding="ascii").strip()))
