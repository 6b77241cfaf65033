from __future__ import annotations

import pytest

from kefu.generation.quantities import chinese_number, quantities, unvouched


@pytest.mark.parametrize(
    ("text", "value"),
    [("三", 3), ("十五", 15), ("二十", 20), ("一百零八", 108), ("两百三", 230), ("一万二", 12000), ("三千零五", 3005)],
)
def test_chinese_numerals(text, value):
    assert chinese_number(text) == value


def test_what_is_no_numeral_has_no_value():
    assert chinese_number("天") is None and chinese_number("") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("三天内到", {("3", "天")}),
        ("３天", {("3", "天")}),
        ("两个工作日", {("2", "工作日")}),
        ("1到3个工作日", {("1", "工作日"), ("3", "工作日")}),
        ("两三天", {("2", "天"), ("3", "天")}),
        ("半小时", {("0.5", "小时")}),
        ("1,299元", {("1299", "元")}),
        ("268.00块", {("268", "元")}),
        ("11月20日 20:00前", {("11-20", "日期"), ("20:00", "时刻")}),
        ("2026-11-20", {("11-20", "日期")}),
        ("晚上八点半", {("8:30", "时刻")}),
        ("工单T20931", {("T20931", "编号")}),
        ("202611187734920615", {("202611187734920615", "编号")}),
        ("尾号0816", {("0816", "")}),
        ("80%", {("80", "%")}),
    ],
)
def test_quantities_carry_value_and_unit(text, expected):
    assert quantities(text) == expected


@pytest.mark.parametrize(
    "text", ["您等一下", "一直没动", "一件一件来", "两个办法", "等了半天", "四件套", "尾号后四位", "星期三", "万一"]
)
def test_figures_of_speech_are_no_quantities(text):
    assert quantities(text) == set()


@pytest.mark.parametrize(
    ("draft", "source"),
    [
        ("四十八小时内退", "验收后48小时内退款"),
        ("20号到", "预计11月20日送达"),
        ("晚上8点前", "20:00"),
        ("尾号0816", "13712340816"),
        ("268元", "268.00元"),
        ("最多三个工作日", "1到3个工作日"),
    ],
)
def test_sources_vouch_for_the_same_quantity_said_otherwise(draft, source):
    assert unvouched(draft, [source]) == []


@pytest.mark.parametrize(
    ("draft", "source"),
    [
        ("3天", "12月3日"),
        ("48元", "48小时内退款"),
        ("2个工作日", "1到3个工作日"),
        ("订单202611187734920615", "订单202611187734920616"),
        ("21号到", "预计11月20日送达"),
        ("五天", ""),
    ],
)
def test_another_quantity_is_not_vouched_for(draft, source):
    assert unvouched(draft, [source])
