"""Numbers in a text, with what they count: the guard compares those of a draft with those of its sources.

A quantity is a pair (value, unit). Arabic and Chinese numerals give the same value; synonyms give the same unit
(块 and 元, 小时 and 钟头); dates and clock times are read as a whole, so that 12月3日 does not vouch for 3天.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

Quantity = tuple[str, str]

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0, "俩": 2}
_TENS = {"十": 10, "百": 100, "千": 1000, "万": 10000}
_HAN = "零〇一二两三四五六七八九十百千万"
# unit compared -> as it is written
_WRITTEN = {
    "工作日": "个工作日 工作日", "天": "个自然日 天 日内", "小时": "个小时 小时 个钟头 钟头 个钟",
    "分钟": "分钟", "秒": "秒", "周": "个星期 星期 个礼拜 礼拜 周", "月": "个月 个多月", "年": "年",
    "元": "元 块", "角": "毛 角", "折": "折", "分": "积分 分", "期": "期", "倍": "倍 倍积分",
    "千克": "公斤 千克", "斤": "斤", "克": "克", "升": "升", "毫升": "毫升", "毫米": "毫米", "厘米": "厘米 公分",
    "米": "米", "寸": "寸", "瓦": "瓦", "度": "度", "次": "遍 次 趟", "件": "件", "单": "单", "张": "张", "台": "台",
    "双": "双", "条": "条", "份": "份", "袋": "袋", "箱": "箱", "盒": "盒", "位": "位", "岁": "岁",
    "%": "%", "个": "个",
}  # fmt: skip
_UNITS = {word: unit for unit, written in _WRITTEN.items() for word in written.split()}
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
# Counted with a Chinese numeral these are figures of speech more often than quantities: 一件一件来, 两个办法, 走一趟.
_LOOSE = frozenset("个次件单张台双条份位度分期周角米寸倍袋箱盒")
_IDIOMS = re.compile(
    r"一(?:下|样|起|直|定|般|会|点|些|边|并|切|旦|共|律|致|块儿|半|遍|趟|步|声|口|眼|句|头|路|时|心|家|年到头|天到晚|五一十|清二楚|来二去)"
    r"|[三五两七]?[三两]下|三言两语|七七八八|乱七八糟|八成|十分(?!钟|之)|万一|千万(?!元)|三天两头|百分百|第一|一二三|五花八门|三心二意|两头|两边|二次|二维|再三|四件套|三件套|六件套"
    r"|[后前末尾][四4六6]位|[四4]位数?|统一|半天|半路|大半|一半|多半|星期[一二三四五六日天]|周[一二三四五六日末]|礼拜[一二三四五六日天]"
)
_DATE = re.compile(
    r"(?<!\d)(?:\d{4}[./-](\d{1,2})[./-](\d{1,2})(?!\d)|(?:\d{4}年)?(\d{1,2})月(\d{1,2})[日号]?)"
    r"|(?<!\d)(\d{1,2})[号日](?!内|线|楼|门|店|柜|仓|机)"
)
_TIME = re.compile(r"(?<!\d)(\d{1,2})[:：](\d{2})(?::\d{2})?|(?<![\d.])(\d{1,2})点(半|钟|整|(\d{1,2})分)?(?!\d)")
_RANGE = re.compile(rf"(\d+(?:\.\d+)?)\s*(?:[-~—–至到]+|、)\s*(\d+(?:\.\d+)?)\s*({_UNIT})")
_NUMBER = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})?", re.I)
_CHINESE = re.compile(rf"(?<!第)(?<![{_HAN}])(半|[{_HAN}]+)(多|几|来)?({_UNIT}|点(?:半|钟|整))")
_IDENTIFIER = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z-]*\d)[A-Za-z0-9][A-Za-z0-9-]{4,}(?![A-Za-z0-9])")


def chinese_number(text: str) -> float | None:
    """The value of a Chinese numeral: 三 -> 3, 十五 -> 15, 两百三 -> 230; None where it is none."""
    if not text or any(c not in _HAN for c in text):
        return None
    if not any(c in _TENS for c in text):  # read digit by digit: 二零二六
        return float("".join(str(_DIGITS[c]) for c in text))
    total = section = digit = 0
    last = 1
    for c in text:
        if c in _DIGITS:
            digit = _DIGITS[c]
            if c in "零〇":
                last = 10
            continue
        size = _TENS[c]
        if size == 10000:
            total, section = (total + section + digit) * size, 0
        else:
            section += (digit or 1) * size
        digit, last = 0, size
    return float(total + section + digit * (last // 10 if last >= 100 else 1))


def _plain(value: float | str) -> str:
    if isinstance(value, str) and (len(value) > 15 or (value.startswith("0") and value.isdigit() and len(value) > 1)):
        return value  # an identifier's leading zero counts
    number = float(value)
    return str(int(number)) if number == int(number) else f"{number:g}"


def _clean(text: str) -> str:
    """Half-width, thousands separators out; a Chinese comma is none of these: 单号219，268元."""
    flat = unicodedata.normalize("NFKC", text.replace("，", ";"))
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", flat)


def _chinese(text: str) -> tuple[set[Quantity], str]:
    found: set[Quantity] = set()

    def take(match: re.Match[str]) -> str:
        unit, value = match[3], 0.5 if match[1] == "半" else chinese_number(match[1])
        if value is None:
            return match[0]
        if unit.startswith("点"):
            found.add((f"{int(value)}:{'30' if unit == '点半' else '00'}", "时刻"))
            return " "
        unit = _UNITS[unit]
        if len(match[1]) == 2 and all(c in _DIGITS for c in match[1]) and match[1][0] != match[1][1]:  # 两三天
            found.update((str(_DIGITS[c]), unit) for c in match[1])
            return " "
        if unit in _LOOSE and (value <= 2 or value == 0.5):
            return " "
        found.add((_plain(value), unit))
        return " "

    return found, _CHINESE.sub(take, _IDIOMS.sub(" ", text))


def quantities(text: str) -> set[Quantity]:
    """Every quantity of ``text``. Dates have unit 日期 (11-20 or 20), clock times 时刻 (20:00), ids 编号."""
    flat = _clean(text)
    found: set[Quantity] = set()

    def date(match: re.Match[str]) -> str:
        month, day = match[1] or match[3], match[2] or match[4] or match[5]
        if int(day) > 31 or (month and int(month) > 12):
            return match[0]
        found.add((f"{int(month)}-{int(day)}" if month else str(int(day)), "日期"))
        return " "

    def clock(match: re.Match[str]) -> str:
        hour = int(match[1] or match[3])
        minute = match[2] or ("30" if match[4] == "半" else match[5] or "00")
        found.add((f"{hour}:{int(minute):02d}", "时刻"))
        return " "

    def identifier(match: re.Match[str]) -> str:
        if re.fullmatch(r"\d{1,7}(?:-\d+)?|\d+[A-Za-z]{1,3}", match[0]):
            return match[0]
        found.add((match[0].upper(), "编号"))
        return " "

    for pattern, take in ((_DATE, date), (_TIME, clock), (_IDENTIFIER, identifier)):
        flat = pattern.sub(take, flat)
    for low, high, unit in _RANGE.findall(flat):
        found |= {(_plain(low), _UNITS[unit]), (_plain(high), _UNITS[unit])}
    flat = _RANGE.sub(" ", flat)
    for value, unit in _NUMBER.findall(flat):
        found.add((_plain(value), _UNITS.get(unit, "")))
    chinese, _ = _chinese(_NUMBER.sub(" ", flat))
    return found | chinese


def _vouched(quantity: Quantity, known: set[Quantity]) -> bool:
    value, unit = quantity
    if quantity in known:
        return True
    if unit == "日期" and "-" not in value:
        return any(u == "日期" and v.endswith("-" + value) for v, u in known)
    if unit == "时刻":
        hour, minute = value.split(":")
        return any(u == "时刻" and v in (f"{int(hour) + 12}:{minute}", f"{int(hour) - 12}:{minute}") for v, u in known)
    if unit == "编号":
        return False
    if unit == "":  # a bare number: any unit of the same value vouches for it, or the tail of a number told
        return any(v == value or (len(value) == 4 and v.endswith(value)) for v, u in known if u not in ("日期", "时刻"))
    return (value, "") in known


def unvouched(draft: str, sources: Iterable[str]) -> list[Quantity]:
    """The quantities of ``draft`` that stand in none of the ``sources``, sorted."""
    known: set[Quantity] = set()
    for source in sources:
        known |= quantities(source)
    return sorted(q for q in quantities(draft) if not _vouched(q, known))
