"""Spans that have a shape: what counts as one, and what only looks like one."""

from __future__ import annotations

import itertools
import time

import pytest

from kefu.entities import Span, find_spans, without_overlaps

ORDER = "202611187734920615"

FOUND = [
    # order ids
    (ORDER, [("order_id", ORDER)]),
    (f"帮我看看{ORDER}发了没", [("order_id", ORDER)]),
    (f"{ORDER}和202611187734920616一起退", [("order_id", ORDER), ("order_id", "202611187734920616")]),
    ("订单号：12345678", [("order_id", "12345678")]),
    ("单号是 9988776655", [("order_id", "9988776655")]),
    ("订单２０２６１１１８７７３４９２０６１５", [("order_id", ORDER)]),  # full-width
    # phones and their ends
    ("电话13812345678", [("phone", "13812345678")]),
    ("改成１３８１２３４５６７８吧", [("phone", "13812345678")]),
    ("尾号0816", [("phone_tail", "0816")]),
    ("手机后四位是 0816 哦", [("phone_tail", "0816")]),
    ("手机尾号：0816", [("phone_tail", "0816")]),
    ("0816", [("phone_tail", "0816")]),
    (" ０８１６。", [("phone_tail", "0816")]),
    ("是0816", [("phone_tail", "0816")]),
    ("0816的", [("phone_tail", "0816")]),
    # parcels
    ("SF1608829047716", [("tracking_no", "SF1608829047716")]),
    ("单号sf1608829047716", [("tracking_no", "sf1608829047716")]),
    ("寄回去了 78440912635571", [("tracking_no", "78440912635571")]),
    ("快递单号432112345678 麻烦查下", [("tracking_no", "432112345678")]),
    ("运单号：9860123456789", [("tracking_no", "9860123456789")]),
    ("JDVB20931847562到哪了", [("tracking_no", "JDVB20931847562")]),
    ("韵达463728190375541一直揽收中", [("tracking_no", "463728190375541")]),
    # stock keeping units
    ("QH-KX-102还有货吗", [("sku", "QH-KX-102")]),
    ("要qh-a-7那款", [("sku", "qh-a-7")]),
    # amounts
    ("退我268元", [("amount", "268元")]),
    ("￥268.50", [("amount", "¥268.50")]),
    ("¥1,299.00", [("amount", "¥1,299.00")]),
    ("1,299元买的", [("amount", "1,299元")]),
    ("二十块钱", [("amount", "二十块钱")]),
    ("差一块五", [("amount", "一块五")]),
    ("才9块9包邮", [("amount", "9块9")]),
    ("三块五毛", [("amount", "三块五毛")]),
    ("一万多块的电视", [("amount", "一万多块")]),
    ("3万元", [("amount", "3万元")]),
    ("补我100 元", [("amount", "100 元")]),
    ("还差一块", [("amount", "一块")]),
    ("多扣了一块钱", [("amount", "一块钱")]),
    ("10块3个", [("amount", "10块")]),
    ("两百来块的东西", [("amount", "两百来块")]),
    ("还差三毛", [("amount", "三毛")]),
    ("退1000", [("amount", "1000")]),
    ("满300减40的券", [("amount", "300"), ("amount", "40")]),
    ("原价899现在799", [("amount", "899"), ("amount", "799")]),
    ("花了两千三买的", [("amount", "两千三")]),
    ("只看到169.00", [("amount", "169.00")]),
    ("一共612.5，开票", [("amount", "612.5")]),
    # dates
    ("11月20日下的单", [("date", "11月20日")]),
    ("2026年11月20号", [("date", "2026年11月20号")]),
    ("2026-11-20", [("date", "2026-11-20")]),
    ("12月31到期", [("date", "12月31")]),
    ("昨天拍的，15号发", [("date", "昨天"), ("date", "15号")]),
    ("二十号之前能到吗", [("date", "二十号")]),
    ("下周三要出国", [("date", "下周三")]),
    ("周末送", [("date", "周末")]),
    ("11.20发的货", [("date", "11.20")]),
    ("双十一买的", [("date", "双十一")]),
    ("6.18活动", [("date", "6.18")]),
    ("618买的", [("date", "618")]),
    ("上个月28号买的", [("date", "上个月28号")]),
    ("明早送 这个周六装", [("date", "明早"), ("date", "这个周六")]),
    ("下下周一回国", [("date", "下下周一")]),
    # several at once
    (
        f"昨晚{ORDER}付了268元，电话13812345678",
        [("date", "昨晚"), ("order_id", ORDER), ("amount", "268元"), ("phone", "13812345678")],
    ),
]


@pytest.mark.parametrize(("text", "expected"), FOUND, ids=[text for text, _ in FOUND])
def test_spans_are_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(s.entity, s.value) for s in find_spans(text)] == expected


NOTHING = [
    "付款3次都失败",
    "满5分我给1分",
    "分12期",
    "价格万一又涨",
    "退货退了20天",
    "手机开了24小时",
    "iPhone 15",
    "毛巾两条",
    "三毛衣",
    "打我100分",
    "618",
    "10元店有吗",
    "楼下十元店",
    "3号楼502",
    "1号店",
    "42码的鞋",
    "38号鞋",
    "3号色口红",
    "5号电池",
    "拍1号链接",
    "2号客服态度很差",
    "1.5米的床",
    "1.8的四件套",
    "5升的电饭煲",
    "4.8分",
    "3.5寸",
    "2.5kg",
    "蓝牙5.3",
    "安卓12.1系统",
    "两块电池",
    "掉了一块漆",
    "凹进去一块",
    "能一块儿用吗",
    "两个号能合到一块不",
    "元旦放假吗",
    "一周三次",
    "以后天天来",
    "110101199003070012",  # eighteen digits that are no order: an identity card
    "2026111877349206150",  # one digit too many
    "1381234567",  # one too few
    "400-000-6688",
    "1234567890123456789012",
    "储蓄卡尾号0092",
    "招行储蓄卡 尾号0092",
    "尾号5521的储蓄卡没到",
    "1500g",
    "0816号柜",
    "2024年",
    "没有货",
    "",
    "   ",
    "😡😡",
]


@pytest.mark.parametrize("text", NOTHING)
def test_what_only_looks_like_a_span_is_none(text: str) -> None:
    assert find_spans(text) == []


def test_four_digits_with_a_unit_are_an_amount() -> None:
    assert [(s.entity, s.value) for s in find_spans("1000元")] == [("amount", "1000元")]


@pytest.mark.parametrize("text", [text for text, _ in FOUND])
def test_positions_point_into_the_text_as_it_was_written(text: str) -> None:
    import unicodedata

    spans = find_spans(text)
    assert spans == sorted(spans, key=lambda s: s.start)
    for span in spans:
        assert unicodedata.normalize("NFKC", text[span.start : span.end]) == span.value
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("text", "entity", "surface"),
    [
        ("订单2026 1118 7734 9206 15呢", "order_id", "2026 1118 7734 9206 15"),
        ("202611-187734-920615", "order_id", "202611-187734-920615"),
        ("电话138 1234 5678", "phone", "138 1234 5678"),
        ("139-1234-5678", "phone", "139-1234-5678"),
    ],
)
def test_a_number_read_out_in_groups_has_a_value_without_gaps(text: str, entity: str, surface: str) -> None:
    (span,) = find_spans(text)
    assert (span.entity, text[span.start : span.end]) == (entity, surface)
    assert span.value == surface.replace(" ", "").replace("-", "")


def test_characters_that_widen_do_not_shift_positions() -> None:
    text = "㎏½退268元"  # these become two and three characters in NFKC
    (span,) = find_spans(text)
    assert text[span.start : span.end] == "268元"


def test_ten_thousand_characters_take_no_time() -> None:
    for text in ("1元" * 5000, "1" * 10_000, "号" * 10_000, "周一" * 5000, "一" * 10_000, "单号 " * 3000):
        started = time.thread_time()
        find_spans(text)
        assert time.thread_time() - started < 2.0, text[:10]


def test_touching_spans_are_left_out() -> None:
    taken = [Span("order_id", 2, 5, "abc")]
    spans = [Span("product", *edges, "x") for edges in ((0, 2), (1, 3), (3, 4), (4, 8), (5, 8))]
    assert [(s.start, s.end) for s in without_overlaps(spans, taken)] == [(0, 2), (5, 8)]
