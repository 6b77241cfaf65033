"""Spans that have a shape: order ids, phones, tracking numbers, SKUs, amounts, dates."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """``text[start:end]`` is an entity of type ``entity`` with ``value``."""

    entity: str
    start: int
    end: int
    value: str


_CN_DIGIT = "零〇一二两三四五六七八九十百千万半几"
# It begins where no digit stands before it; else ten thousand digits would be tried from each of them.
_NUMBER = rf"(?:(?<!\d)(?:\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?[百千万]?)|(?<![{_CN_DIGIT}])[{_CN_DIGIT}]+)"
# 块 also counts things, and 一块 by itself means "together" unless something is paid, missing or given back.
_THING = "儿|布|电池|表|手表|手机|香皂|肥皂|板|屏|玻璃|砖|地毯|地垫|毛巾|抹布|蛋糕|巧克力|肉|海绵|硬盘|石|豆腐|饼|糖|漆"
_TOGETHER = rf"(?:(?<=[差补退贵宜付花收加降涨返赔抵扣])|(?<=[差补退付花收返赔]了)|(?!一块(?!钱|多|[\d{_CN_DIGIT}])))"
_AMOUNT = (
    r"¥\s*(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
    rf"|{_TOGETHER}{_NUMBER}多?\s?(?:[块元]钱|元(?![店旦宵素件气老帅祖器])|块(?!{_THING}))"
    r"(?:[\d一二两三四五六七八九](?:毛|(?![\d十百千万元块个件双条盒瓶袋只张斤点折月号天年]|包(?!邮))))?"
)
# 号 ends a day of the month, and the name of many other things.
_NO_DAY = "楼|店|线|门|库|色|码|字|电池|仓|机|院|室|口|柜|桌|床|站|馆|厅|链接|客服|快递柜|的?鞋"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_CN_DAY = "(?:二?十[一二三四五六七八九]?|三十一?)"
# A decimal is a date where its words say so: 11.20发的货, and not 1.5米, 4.8分 or 蓝牙5.3.
_AFTER_DATE = (
    r"(?=\s*(?:号|日|买|下单|下的|拍|付|签|收到|到货|发|寄|那天|[早当]|凌晨|晚上"
    r"|之?[前后]|以[前后]|开始|截止|到期|的?(?:活动|大促|订单|快递|券)))"
)
_DATE = (
    rf"(?<!\d)(?:\d{{4}}[年./-])?(?:1[0-2]|0?[1-9])月{_DAY}(?:日|号|(?![\d折]))"
    r"|(?<!\d)\d{4}[./-]\d{1,2}[./-]\d{1,2}(?!\d)"
    rf"|(?<![\d.A-Za-z牙本])(?:1[0-2]|0?[1-9])\.{_DAY}(?![\d.]){_AFTER_DATE}"
    r"|(?<![\d.])(?:11\.11|6\.18|12\.12)(?![\d.])"
    rf"|(?<![\d第型尾单])(?:{_DAY}|(?<![一二三四五六七八九十]){_CN_DAY})号(?!{_NO_DAY})"
    r"|大前天|前天|昨天|昨晚|昨日|今天|今晚|今日|明天|明晚|明日|大后天|后天(?!天)"
    r"|(?<![一两三四几半\d])(?:上上|上|这|本|下下|下)?(?:周|星期|礼拜)[一二三四五六日天末](?![次回趟遍])"
    r"|双(?:十一|十二|11|12)"
    r"|[一二三四五六七八九十]{1,2}月(?:[一二三四五六七八九十]{1,3}[日号])?"
)
# 储蓄卡尾号0092 is no phone.
_BANK = "储蓄|信用|银行|借记"
_NOT_A_CARD = r"(?<![蓄用行记]卡)(?<![蓄用行记]卡[\s,])(?<!银行)"
# Earlier patterns win where two overlap. A group named `value` narrows the span.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("order_id", re.compile(r"(?<!\d)20\d{16}(?!\d)")),
    ("phone", re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")),
    ("tracking_no", re.compile(r"(?<![A-Za-z\d])(?:(?:SF|YT|ZT|JT|STO|DPK|EMS|YD)\d{10,15}|7\d{12,14})(?!\d)", re.I)),
    ("tracking_no", re.compile(r"(?:快递|物流|运)单?号码?[^\dA-Za-z]{0,4}(?P<value>[A-Za-z]{0,4}\d{8,20})(?!\d)")),
    ("sku", re.compile(r"(?<![A-Za-z])QH-[A-Z]{1,4}-\d{1,4}(?!\d)", re.I)),
    ("order_id", re.compile(r"(?:订单号?|单号|编号)\D{0,4}(?P<value>\d{8,24})(?!\d)")),
    (
        "phone_tail",
        re.compile(rf"{_NOT_A_CARD}(?:尾号|后四位|后4位|手机尾)\D{{0,4}}(?P<value>\d{{4}})(?!\d|的?(?:{_BANK})?卡)"),
    ),
    # A message of four digits and no more than a particle around them: what one answers when asked for the phone's end.
    ("phone_tail", re.compile(r"^[\s是嗯哦额好的:,。、]{0,4}(?P<value>\d{4})[\s.。,、!?~的呀哈哦啊呢吧]{0,3}$")),
    ("amount", re.compile(_AMOUNT)),
    ("date", re.compile(_DATE)),
)


def find_spans(text: str) -> list[Span]:
    """Non-overlapping spans, in order of position. Full-width digits and letters count; values are half-width.

    A bare four-digit message is a phone tail: it is what one answers when asked for it.
    """
    # NFKC changes lengths for some characters; a character-wise form keeps the positions.
    plain = "".join(c if len(n := unicodedata.normalize("NFKC", c)) != 1 else n for c in text)
    found: list[Span] = []
    taken = bytearray(len(plain))
    for entity, pattern in _PATTERNS:
        for match in pattern.finditer(plain):
            group = "value" if "value" in pattern.groupindex else 0
            start, end = match.span(group)
            if start < end and not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append(Span(entity, start, end, plain[start:end]))
    return sorted(found, key=lambda s: s.start)


def without_overlaps(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """Those of ``spans`` that touch none of ``taken``."""
    kept = list(taken)
    return [s for s in spans if not any(s.start < t.end and t.start < s.end for t in kept)]
