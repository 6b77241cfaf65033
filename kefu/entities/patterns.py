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
    rf"|{_TOGETHER}{_NUMBER}[多来]?\s?(?:[块元]钱|元(?![店旦宵素件气老帅祖器])|块(?!{_THING}))"
    r"(?:[\d一二两三四五六七八九](?:毛|(?![\d十百千万元块个件双条盒瓶袋只张斤点折月号天年]|包(?!邮))))?"
    r"|(?:(?<![\d.])\d|(?<![一二两三四五六七八九十百千万第])[一二两三四五六七八九几])"
    r"毛(?:钱|[1-9]分?)?(?![巾衣呢绒线笔病毯球孩重刷领囊发])"
)
# A number without a unit is money behind a word for paying or before one for buying, if it counts nothing else.
_COUNTED = (
    r"(?!\d|[.,]\d|[:/-]|\s?(?:[个件天次期折分秒月号日年级岁码点小时单人瓦斤克公千毫厘米寸匹升盒瓶袋包只双条张片支箱套台楼层位兆度回遍倍"
    r"道根串颗块元毛后前工周星版平款种样家页半楼声百万℃%％]|[A-Za-z]))"
)
_BARE = rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d{{2,6}})(?:\.\d{{1,2}})?多?{_COUNTED}"
_BARE_CN = rf"(?:[一二两三四五六七八九十几]+(?<!万)[百千万][{_CN_DIGIT}]*多?)(?![来多把{_CN_DIGIT}]|{_COUNTED[3:-1]})"
_PAID = (
    r"(?:(?:[退补赔扣付花收降涨减满返贵差](?:[了我掉到成给的]|回来?|还|款|价){0,3}|便宜了?|优惠了?|补偿了?|价格?|[卖变]成?"
    r"|运费|邮费|金额|一共|总共|[券折]后|到手|开了|少[了退]|只要|预算)(?:[是为才就要我约大概]|能到|不到){0,3}\s?)"
)
_BOUGHT = r"(?=\s?(?:的?(?:券|优惠券|红包)|买[的了个]|入手|拍的|能拿下|包邮|到手))"
_BARE_AMOUNT = (
    rf"{_PAID}(?P<value>{_BARE}|{_BARE_CN})",
    rf"(?<![\d.A-Za-z月-])(?P<value>\d{{2,5}}(?:\.\d{{1,2}})?){_BOUGHT}",
    rf"(?<=现在)(?:才|只要|卖|是)?\s?(?P<value>\d{{2,5}}(?:\.\d{{1,2}})?){_COUNTED}",
    rf"(?<![{_CN_DIGIT}第\d])(?P<value>[一二两三四五六七八九几][百千万](?:[一二三四五六七八九][百千十]?){{0,3}}多?)(?=的|买)",
    # 169.00, with two places behind the point as bills have them
    r"(?<![\d.A-Za-z])(?P<value>\d{1,6}\.\d\d)(?![\d.]|\s?(?:[米升斤公克千毫厘寸匹分折GgTtMmLlKk%号日月]))",
)
# 号 ends a day of the month, and the name of many other things.
_NO_DAY = "楼|店|线|门|库|色|码|字|电池|仓|机|院|室|口|柜|桌|床|站|馆|厅|链接|客服|快递柜|的?鞋"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_CN_DAY = "(?:二?十[一二三四五六七八九]?|三十一?)"
# A decimal is a date where its words say so: 11.20发的货, and not 1.5米, 4.8分 or 蓝牙5.3.
_AFTER_DATE = (
    r"(?=\s*(?:号|日|买|下单|下的|拍|付|签|收到|到货|发|寄|那天|[早当]|凌晨|晚上|[还就才]"
    r"|之?[前后]|以[前后]|开始|截止|到期|的?(?:活动|大促|订单|快递|券)))"
)
_SALE = r"(?=\s?(?:买|囤|拍|抢|下单|入手|活动|大促|当天|那天|期间|价|的?时候|又?降))"
_DATE = (
    rf"(?<!\d)(?:\d{{4}}[年./-])?(?:1[0-2]|0?[1-9])月{_DAY}(?:日|号|(?![\d折]))"
    r"|(?<!\d)\d{4}[./-]\d{1,2}[./-]\d{1,2}(?!\d)"
    rf"|(?<![\d.A-Za-z牙本])(?:1[0-2]|0?[1-9])\.{_DAY}(?![\d.]){_AFTER_DATE}"
    r"|(?<![\d.])(?:11\.11|6\.18|12\.12)(?![\d.])"
    rf"|(?<![\d.])(?:618|1111|1212){_SALE}"
    rf"|(?:上个?|这个?|本|下个?)月(?:{_DAY}|{_CN_DAY})[号日]"
    rf"|(?<![\d第型尾单])(?:{_DAY}|(?<![一二三四五六七八九十]){_CN_DAY})号(?!{_NO_DAY})"
    r"|大前天|前天|昨[天晚日早儿]|今[天晚日早晨儿]|明[天晚日早晨儿]|前晚|大后天|后天(?!天)"
    r"|(?<![一两三四几半\d])(?:上上|上|这|本|下下|下)?个?(?:周|星期|礼拜)[一二三四五六日天末](?![次趟遍]|回(?![国家来去老学公京]))"
    r"|双\s?(?:十一|十二|11|12)"
    r"|[一二三四五六七八九十]{1,2}月(?:[一二三四五六七八九十]{1,3}[日号])?"
)
# 储蓄卡尾号0092 is no phone.
_BANK = "储蓄|信用|银行|借记"
_NOT_A_CARD = r"(?<![蓄用行记]卡)(?<![蓄用行记]卡[\s,])(?<!银行)"
_COURIER = "顺丰|圆通|中通|申通|韵达|极兔|邮政|EMS|德邦|京东|菜鸟|百世|天天"
# Numbers that are read out in groups, with a blank or a dash between them; the value has none.
_GROUPED = {"order_id", "phone"}
# Earlier patterns win where two overlap. A group named `value` narrows the span.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("order_id", re.compile(r"(?<!\d)20\d{16}(?!\d)")),
    ("order_id", re.compile(r"(?<![\d-])20[23]\d[ -]?(?:0[1-9]|1[0-2])(?:[ -]?\d){12}(?![\d-])")),
    ("phone", re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")),
    ("phone", re.compile(r"(?<![\d-])1[3-9]\d(?:[ -]\d{4}[ -]?\d{4}|\d{2}[ -]\d{6}|\d{4}[ -]\d{4})(?![\d-])")),
    ("tracking_no", re.compile(r"(?<![A-Za-z\d])(?:(?:[A-Z]{2,3}|JD[A-Z]{1,2})\d{10,15}|7\d{12,14})(?!\d)", re.I)),
    (
        "tracking_no",
        re.compile(
            rf"(?:{_COURIER})(?:快递|速运|快运|物流)?(?:单号|的|是|[\s::]){{0,3}}(?P<value>[A-Za-z]{{0,4}}\d{{9,17}})(?!\d)"
        ),
    ),
    ("tracking_no", re.compile(r"(?:退货|退回|寄回)去?的?单号[^\dA-Za-z]{0,4}(?P<value>[A-Za-z]{0,4}\d{9,17})(?!\d)")),
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
    *(("amount", re.compile(pattern)) for pattern in _BARE_AMOUNT),
)


def halfwidth(text: str) -> str:
    """``text`` with half-width digits and letters, each character where it was.

    NFKC changes lengths for some characters; those stay as they are.
    """
    return "".join(c if len(n := unicodedata.normalize("NFKC", c)) != 1 else n for c in text)


def find_spans(text: str) -> list[Span]:
    """Non-overlapping spans, in order of position. Full-width digits and letters count; values are half-width.

    A bare four-digit message is a phone tail: it is what one answers when asked for it.
    """
    plain = halfwidth(text)
    found: list[Span] = []
    taken = bytearray(len(plain))
    for entity, pattern in _PATTERNS:
        for match in pattern.finditer(plain):
            group = "value" if "value" in pattern.groupindex else 0
            start, end = match.span(group)
            if start < end and not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                value = plain[start:end]
                found.append(Span(entity, start, end, re.sub(r"[ -]", "", value) if entity in _GROUPED else value))
    return sorted(found, key=lambda s: s.start)


def without_overlaps(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """Those of ``spans`` that touch none of ``taken``."""
    kept = list(taken)
    return [s for s in spans if not any(s.start < t.end and t.start < s.end for t in kept)]
