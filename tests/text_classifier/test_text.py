"""The normal form that the classifiers read."""

from __future__ import annotations

import time

import pytest

from kefu.text_classifier.text import (
    MAX_CONTEXT,
    MAX_EARLIER,
    MAX_TEXT,
    agent_only,
    cut,
    history,
    model_input,
    normalise,
    unmarked,
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("退款", "退款"),
        ("ＡＢＣ１２３，！", "ABC123,!"),  # full-width
        ("　退　款　", "退 款"),  # the ideographic space
        ("運費誰出啊 還沒發貨", "运费谁出啊 还没发货"),  # traditional
        ("退\u200b款\ufeff\u2060到\u00ad账", "退款到账"),  # zero width
        ("\u202e退款\u2066", "退款"),  # direction marks
        ("😡👨\u200d👩\u200d👧 ❤\ufe0f", "😡👨👩👧 ❤"),  # emoji stay, what joins them goes
        ("a\n\n\tb", "a b"),
        ("①号", "1号"),
        ("where is my Order", "where is my Order"),
        ("\ud83d退款", "退款"),  # half an emoji
        ("\u200b\ufeff", ""),
        ("退&nbsp;款&amp;amp;赔", "退 款&赔"),  # escaped once and twice
        ("你好<br/>在吗 1<2", "你好 在吗 1<2"),
        ("买[数字x]件 [金额x]#E-s[数字x]", "买3件 99元🙂"),  # anonymised logs
        ("您好#E-s[数字x]亲爱的顾客请稍等", "您好🙂亲爱的顾客请稍等"),  # what is said behind a sticker stays
        ("[ORDERID_10124449]", "202611080412345678"),
        ("[图片]", "[图片]"),
        (" \n", ""),
        ("", ""),
    ],
)
def test_one_normal_form(text: str, normal: str) -> None:
    assert normalise(text) == normal
    assert normalise(normal) == normal


def test_marks_go_and_the_rest_stays_as_it_stands() -> None:
    assert unmarked("ＡＢ，[ORDERID_1]<br/>#E-s[数字x]好") == "ＡＢ，202611080412345678 🙂好"


def test_a_long_text_keeps_its_opening_and_its_end() -> None:
    text = "头" + "甲" * 9998 + "尾"
    short = cut(text)
    assert len(short) == MAX_TEXT and short[0] == "头" and short[-1] == "尾" and short.count("…") == 1
    assert cut("甲" * MAX_TEXT) == "甲" * MAX_TEXT
    assert len(cut("甲" * (MAX_TEXT + 1))) == MAX_TEXT


def test_ten_thousand_characters_take_no_time() -> None:
    normalise("熱")  # loads the tables
    for text in ("還沒發貨" * 2500, "😡" * 10_000, "\u200b" * 10_000, "\ufdfa" * 10_000):
        started = time.thread_time()
        message, context = model_input(text, text)
        assert len(message) <= MAX_TEXT and len(context) <= MAX_CONTEXT
        assert time.thread_time() - started < 1.0


def test_the_end_of_the_context_is_read() -> None:
    message, context = model_input("是的", "甲" * 100 + "麻煩報一下訂單號")
    assert message == "是的" and context.endswith("麻烦报一下订单号") and len(context) == MAX_CONTEXT
    assert model_input("是的", None) == ("是的", "")
    assert model_input("是的", "") == ("是的", "")


def test_history_joins_what_both_sides_said() -> None:
    assert history("哪一单", None) == history("哪一单", " ") == "哪一单"
    assert history(None, None) is None
    both = history("報一下尾號", "錢呢")
    assert both is not None and agent_only(both) == "报一下尾号"
    assert model_input("0816", both) == ("0816", "钱呢 | 报一下尾号")
    assert model_input("0816", history(None, "钱呢")) == ("0816", "钱呢 | ")
    assert agent_only("哪一单") == "哪一单"
    _, long = model_input("0816", history("乙" * 100 + "丙", "甲" * 100 + "丁"))
    assert len(long) == MAX_EARLIER + 3 + MAX_CONTEXT and "丁 | 乙" in long and long.endswith("丙")
