"""Products by words, colours and sizes by shape, and what wins where ways of finding them overlap."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from kefu.entities import Span, find_goods, product_words, recognise

WORDS = frozenset({"电饭煲", "羽绒服", "四件套", "床笠", "破壁机", "杯子", "牙刷", "牙刷头", "推车", "运动鞋", "大米"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("雾霾蓝和深空灰哪个耐脏", [("color", "雾霾蓝"), ("color", "深空灰")]),
        ("奶白的电饭煲", [("color", "奶白"), ("product", "电饭煲")]),
        ("羽绒服藏青色XL还有吗", [("product", "羽绒服"), ("color", "藏青色"), ("size", "XL")]),
        ("1米8的四件套", [("size", "1米8"), ("product", "四件套")]),
        ("２米床笠", [("size", "2米"), ("product", "床笠")]),
        ("42码换43码", [("size", "42码"), ("size", "43码")]),
        ("175的没了", [("size", "175")]),
        ("拍错了 换43", [("size", "43")]),
        ("2.5升 500ml 256G", [("size", "2.5升"), ("size", "500ml"), ("size", "256G")]),
        ("大1.5匹够不够", [("size", "大1.5匹")]),
        ("10斤大米", [("size", "10斤"), ("product", "大米")]),
        ("200x230的", [("size", "200x230")]),
        ("牙刷头单卖吗", [("product", "牙刷头")]),
        ("儿童推车掉轮子", [("product", "儿童推车")]),
        # what only looks like one
        ("我175 130斤", []),
        ("18斤了", []),
        ("按钮是灰的 点不动", []),
        ("什么颜色 会不会掉色", []),
        ("Mate60", []),
        ("QH-L-02", []),
        ("支持5G吗", []),
        ("一盒奶粉 两个红包", []),
        ("换43块钱", []),
        ("", []),
    ],
)
def test_goods(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(s.entity, s.value) for s in find_goods(text, WORDS)] == expected


def test_ten_thousand_characters_take_no_time() -> None:
    for text in ("1" * 10_000, "S" * 10_000, "白" * 10_000, "1米" * 5000, "推车" * 5000, "儿童" * 5000, "x1" * 5000):
        started = time.thread_time()
        find_goods(text, WORDS)
        assert time.thread_time() - started < 2.0, text[:10]


def test_words_are_those_that_examples_take_for_products() -> None:
    examples = [
        ("手机坏了", [Span("product", 0, 2, "手机")]),
        ("手机号错了", []),
        ("我手机打不开页面", []),
        ("门铃不响", [Span("product", 0, 2, "门铃")]),
        ("奶瓶漏", []),
    ]
    words = product_words(examples, ["奶瓶", "65寸电视", "白色四件套", "桶"])
    assert {"门铃", "奶瓶", "投影仪"} <= set(words)
    assert not {"手机", "65寸电视", "白色四件套", "桶"} & set(words)
    assert words == sorted(words)


def tagger(*spans: tuple[str, int, int]) -> Any:
    """A recogniser that finds the same spans in every text."""
    found = [SimpleNamespace(label_=label, start_char=start, end_char=end, text="") for label, start, end in spans]
    return lambda text: SimpleNamespace(ents=found)


@pytest.mark.parametrize(
    ("text", "tagged", "expected"),
    [
        ("新款门铃", [("product", 2, 4)], [("product", 2, 4)]),
        ("电饭煲坏了", [("product", 0, 2)], [("product", 0, 3)]),  # the word is whole
        ("华为Mate60", [("size", 2, 3)], []),  # a letter of a name
        ("手机号错了", [("product", 0, 2)], []),
        ("手机坏了", [("product", 0, 2)], [("product", 0, 2)]),
        ("破壁机的杯子裂了", [], [("product", 0, 3)]),  # a part
        ("退我268元", [("size", 2, 5)], [("amount", 2, 6)]),
    ],
)
def test_what_wins(text: str, tagged: list[tuple[str, int, int]], expected: list[tuple[str, int, int]]) -> None:
    assert [(s.entity, s.start, s.end) for s in recognise(text, tagger(*tagged), WORDS)] == expected


def test_without_a_tagger_words_and_shapes_remain() -> None:
    assert [s.value for s in recognise("电饭煲 11月3号 ¥39.9", None, WORDS)] == ["电饭煲", "11月3号", "¥39.9"]
