"""Spans that have a shape: order ids, phones, tracking numbers, SKUs, amounts, dates."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Iterable


@dataclass(frozen=True)
class Span:
    """``text[start:end]`` is an entity of type ``entity`` with ``value``."""

    entity: str
    start: int
    end: int
    value: str


_CN_DIGIT = "零〇一二两三四五六七八九十百千万半几"
_NUMBER = rf"(?:\d+(?:[.,]\d+)?|[{_CN_DIGIT}]+)"
_DATE = (
    r"(?:\d{4}[年./-])?\d{1,2}月\d{1,2}(?:日|号)?|\d{4}[./-]\d{1,2}[./-]\d{1,2}(?!\d)|(?<![\d.])(?:1[0-2]|0?[1-9])\.(?:3[01]|[12]\d|0?[1-9])(?![\d.]|[块元kKgG%折])"
    r"|(?<!\d)\d{1,2}号(?!楼|店|线|门|库|色|码|电池|仓|机|院|室)"
    r"|大前天|前天|昨天|昨晚|昨日|今天|今晚|今日|明天|明晚|明日|大后天|后天"
    r"|(?:上上|上|这|本|下下|下)?(?:周|星期|礼拜)[一二三四五六日天末]|双(?:十一|十二|11|12)|[一二三四五六七八九十]{1,2}月(?:[一二三四五六七八九十]{1,3}[日号])?"
)
# Earlier patterns win where two overlap. A group named `value` narrows the span.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("order_id", re.compile(r"(?<!\d)20\d{16}(?!\d)")),
    ("phone", re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")),
    ("tracking_no", re.compile(r"(?<![A-Za-z\d])(?:(?:SF|YT|ZT|JT|STO|DPK|EMS|YD)\d{10,15}|7\d{12,14})(?!\d)", re.I)),
    ("sku", re.compile(r"(?<![A-Za-z])QH-[A-Z]{1,4}-\d{1,4}", re.I)),
    ("order_id", re.compile(r"(?:订单号?|单号|编号)\D{0,4}(?P<value>\d{8,24})(?!\d)")),
    ("phone_tail", re.compile(r"(?:尾号|后四位|后4位|手机尾)\D{0,4}(?P<value>\d{4})(?!\d)")),
    ("phone_tail", re.compile(r"^\D{0,2}(?P<value>\d{4})\D{0,2}$")),
    ("amount", re.compile(rf"[¥￥]\s*\d+(?:\.\d+)?|{_NUMBER}多?(?:块钱|元钱|块|元)(?:{_NUMBER}毛?)?")),
    ("date", re.compile(_DATE)),
)


def find_spans(text: str) -> list[Span]:
    """Non-overlapping spans, in order of position. Full-width digits and letters count; values are half-width.

    A bare four-digit message is a phone tail: it is what one answers when asked for it.
    """
    # NFKC changes lengths for some characters; a character-wise form keeps the positions.
    plain = "".join(c if len(n := unicodedata.normalize("NFKC", c)) != 1 else n for c in text)
    found: list[Span] = []
    for entity, pattern in _PATTERNS:
        for match in pattern.finditer(plain):
            group = "value" if "value" in pattern.groupindex else 0
            start, end = match.span(group)
            if start < end and not any(start < s.end and s.start < end for s in found):
                found.append(Span(entity, start, end, plain[start:end]))
    return sorted(found, key=lambda s: s.start)


def without_overlaps(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """Those of ``spans`` that touch none of ``taken``."""
    kept = list(taken)
    return [s for s in spans if not any(s.start < t.end and t.start < s.end for t in kept)]
