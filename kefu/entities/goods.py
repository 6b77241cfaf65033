"""Products by a list of words, colours and sizes by their shape: what the trained tagger need not have seen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

import yaml

from kefu.entities.patterns import Span, halfwidth

# A base colour and what may stand before it; without such a word in front the base needs 色 behind.
_SHADES = {
    "黑": "曜石?|[炭碳亮纯酷玄墨]|哑光|磨砂|深空|钢琴|幻?夜|暗夜",
    "白": "[奶米乳雪纯亮冷暖瓷云]|珍珠|象牙|月光|陶瓷|透明|本",
    "灰": "[深浅银烟云雾碳冷暖铁钛]|太空|[深星]空|星岩|石墨|高级|麦饭石|水泥|月岩|中",
    "红": "[酒枣玫砖正深浅粉橘暗]|大(?!红[枣袍])|玫瑰|西瓜|珊瑚|中国|胭脂|番茄",
    "黄": "奶油|柠檬|芒果|[鹅姜土明浅]",
    "绿": "[墨军草果豆湖浅深暗青雾奶]|薄荷|荧光|橄榄|抹茶|复古|牛油果|森林|苹果|孔雀|祖母|松石|冰川",
    "蓝": "雾霾|[雾天湖海藏宝深浅灰冰]|天空|海军|宝石|克莱因|牛仔|孔雀|冰川|远峰|深海|电光|静谧|婴儿|莫兰迪",
    "紫": "香芋|葡萄|薰衣草|[深浅淡雾茄]|暗夜|丁香|芋泥",
    "粉": "樱花?|[灰浅淡嫩脏裸]|蜜?桃|芭比|少女|豆沙",
    "棕": "[深浅红]|焦糖|巧克力|摩卡",
    "咖": "[奶浅深]",
    "橙": "爱马仕|活力",
    "橘": "脏",
    "金": "香槟|玫瑰|土豪",
    "银": "雪山|不锈钢|太空|月光|星光",
    "青": "[藏天豆]",
}
_COLORS = (
    "|".join(f"(?:{before}){base}色?" for base, before in _SHADES.items())
    + "|(?:[深浅淡]|藕|香)?[黑白灰红橙橘黄绿青蓝紫粉棕咖金银米杏驼裸藕](?<!香[^粉])色(?![素差号卡])"
    + "|卡其色?|驼色|燕麦[色白]?(?!片|粥)|焦糖色|奶茶色|咖啡色|香芋色|豆沙色|原木色?|肤色|混色|透明色"
)
# 灰的 by itself mostly is a button that cannot be pressed.
_ALONE = (
    r"(?<![\u4e00-\u9fffA-Za-z\d])[黑白红粉蓝绿紫黄](?=的|款)"
    r"|(?<=[要换那选拍是发件双])(?!(?<=是)灰)[黑白灰红粉蓝绿紫黄](?=的|款)"
)
_COLOR = re.compile(f"{_COLORS}|{_ALONE}")

_DECIMAL = r"(?<![\d.A-Za-z-])\d+(?:\.\d+)?"
_NOT_A_WEIGHT = r"(?!左右|以?上|以?下|[了重]|[一二两三四五六七八九\d])"  # 我130斤, 18斤了, 八斤二两
_SHOE = r"(?:3[4-9]|4[0-6])(?:\.5|半)?"
_SIZE = re.compile(
    r"(?<![A-Za-z\d])\d{2,3}(?:cm|厘米)?\s?[xX×*乘]\s?\d{2,3}(?:\s?[xX×*乘]\s?\d{2,3})?(?:cm|厘米|公分)?(?![A-Za-z\d])"
    r"|(?<!\d)[12]米\d?乘[12]米\d?(?!\d)"
    # What lies on a bed: 1.8米, 1米8, 2米的床
    r"|(?<![\d.])[0-3]\.\d{1,2}米(?!\d)"
    r"|(?<![\d.])(?<!身高)(?<!我)[12]米[2-8](?![\d米])"
    r"|(?<![\d.])[12]米(?=的?(?:床|被|四件套|床笠|款|线))"
    # What holds, weighs or measures so and so much
    rf"|{_DECIMAL}\s?(?:毫升|升|ml|mL|ML|L|英寸|寸|毫安时?|mAh|(?<!(?<!\d)5)GB?(?![A-Za-z])|TB?(?![A-Za-z])|码|厘米|公分|[cm]m|键)(?![A-Za-z\d])"
    rf"|大?(?<![\d.])\d(?:\.\d)?匹|大?[一二两三]匹半?"
    rf"|(?<!1[4-9]\d\s)(?<!身高1[4-9]\d){_DECIMAL}\s?(?:公斤|千克|kg|KG|克(?!拉)|g(?![A-Za-z]))(?!左右|[重了])"
    rf"|(?<![\d.])(?:[1-9]|[1-5]0|15|25){_NOT_A_WEIGHT}斤{_NOT_A_WEIGHT}|[一二两三五十]十?斤(?=装|的)"
    # What is worn
    r"|(?<![A-Za-z\d-])(?:X{0,4}[SL]|[2-6]XL|XXS|M)[码号]?(?![A-Za-z\d/-])"
    r"|(?<![A-Za-z\d-])(?:x{1,4}l|[2-6]xl|xs|[smlSML](?=[码号]))[码号]?(?![A-Za-z\d-])"
    r"|均码|(?<!微信)(?<!我)(?:加大|特大|[大中小])号(?!码|线|字|手|令|召)"
    r"|(?<![\d.])(?:1[0-2]0|1[3-9][05])(?=(?:的|码)(?!床))"
    r"|(?<![\d.])(?:3[4-9]|4[0-6])(?:\.5|半)?(?=的?鞋|的(?:[偏穿没有能还大小]|$))"
    rf"|(?<=[换穿选拍报只成]){_SHOE}(?!\.\d|[\d:块元%天日个点次分件单度万千])|(?<![\d.]){_SHOE}(?=换|[和跟还]是?\d\d(?!\d))"
    r"|[双两二三四五六]层(?=的|$)"
)
# What for whom or of what kind, before a product's word: it is of the name, as in 儿童滑板车.
_KIND = re.compile(
    "(?:智能|儿童|宠物|婴儿|电动|无线|有线|便携式?|迷你|折叠|家用|车载|男士|女士|[男女]士?款?(?=[^的])|加厚|加绒|纯棉|全棉|不锈钢"
    "|玻璃|陶瓷|实木|手持|台式|壁挂|立式|静音|头戴式?|降噪|机械|硅胶|真皮|户外){1,2}$"
)
# 手机 on which one reads, or its number
_NO_PRODUCT = re.compile(
    r"手机(?=的?(?:号|尾|后[四4]位|上|端|短信|验证|换号|登|流量|网络|没电|丢)|[是:\s]{0,2}1[3-9]\d)"
    r"|(?<=[打旧])手机|手机(?<=换手机)(?=[了\s])"
)
_LONGEST_WORD = 16
_FORGOTTEN = 5  # examples of a catalogue word that may lack their annotation


@cache
def _common() -> frozenset[str]:
    loaded: dict[str, str] = yaml.safe_load((files("kefu") / "entities" / "goods.yml").read_text(encoding="utf-8"))
    return frozenset(word for words in loaded.values() for word in words.split())


def product_words(examples: Iterable[tuple[str, Sequence[Span]]], catalogue: Iterable[str] = ()) -> list[str]:
    """Words that may be taken for a product wherever they stand.

    Those of ``catalogue``, of goods.yml and of the products in ``examples`` (text, spans), sorted, without the words
    that the examples leave unannotated more often than not, such as 手机, which mostly is 手机号, and without those
    that open with a size or a colour, which is a span of its own. A word of ``catalogue`` goes only if it often is.
    """
    examples, catalogue = list(examples), frozenset(catalogue)
    words = {w for w in (*_common(), *catalogue) if 2 <= len(w) <= _LONGEST_WORD}
    words |= {s.value for _, spans in examples for s in spans if s.entity == "product" and len(s.value) > 1}
    words = {w for w in words if not (w[0].isdigit() or _COLOR.match(w) or _SIZE.match(w))}
    annotated: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for text, spans in examples:
        places = {(s.start, s.end) for s in spans if s.entity == "product"}
        for start, end in _longest(text, words):
            seen[text[start:end]] += 1
            annotated[text[start:end]] += any(s <= start and end <= e for s, e in places)
    slack = {w: _FORGOTTEN for w in catalogue}
    return sorted(w for w in words if seen[w] - annotated[w] <= annotated[w] + slack.get(w, 0))


def _longest(text: str, words: Iterable[str]) -> list[tuple[int, int]]:
    known = words if isinstance(words, (set, frozenset)) else set(words)
    found, start = [], 0
    while start < len(text):
        for end in range(min(len(text), start + _LONGEST_WORD), start + 1, -1):
            if text[start:end] in known:
                found.append((start, end))
                start = end - 1
                break
        start += 1
    return found


def _products(text: str, words: frozenset[str]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    last = 0
    for start, end in _longest(text, words):
        kind = _KIND.search(text, last, start)
        found.append((kind.start() if kind else start, end))
        last = end
    return found


def is_product(text: str, span: Span) -> bool:
    """Whether the span is more than the 手机 of 手机号."""
    return not any(m.start() <= span.start and span.end <= m.end() for m in _NO_PRODUCT.finditer(text))


def find_goods(text: str, words: frozenset[str]) -> list[Span]:
    """Products that are in ``words``, colours and sizes; non-overlapping, in order of position, the longest first."""
    plain = halfwidth(text)
    spans = [Span("product", start, end, plain[start:end]) for start, end in _products(plain, words)]
    for label, pattern in (("color", _COLOR), ("size", _SIZE)):
        spans += [Span(label, *match.span(), match[0]) for match in pattern.finditer(plain)]
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: s.start - s.end):
        if not any(span.start < k.end and k.start < span.end for k in kept):
            kept.append(span)
    return sorted(kept, key=lambda s: s.start)
