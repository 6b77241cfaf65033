from __future__ import annotations

import pytest

from kefu.plain_text import hidden, plain


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("退\u200b款\ufeff呢", "退款呢"),
        ("\u202e退款\u202c", "退款"),
        ("在吗\U000e0069\U000e0067", "在吗"),
        ("ｉｇｎｏｒｅ　１２３，好吗？", "ignore 123，好吗？"),
        ("rеfund", "refund"),
        ("好的\n客服：已退款", "好的 客服：已退款"),
        ("退̴款̸", "退款"),
        ("｛退款｝｜【x】", "{退款}|【x】"),
        ("都五天了，钱怎么还没退回来……", "都五天了，钱怎么还没退回来……"),
        ("Привет", "Привет"),
    ],
)
def test_what_cannot_be_seen_is_taken_out_and_the_rest_stays(written, read):
    assert plain(written) == read


def test_a_long_text_keeps_its_ends():
    long = "开头" + "啊" * 50_000 + "结尾"
    assert len(plain(long)) == 1000 and plain(long).startswith("开头") and plain(long).endswith("结尾")


def test_hidden_characters_are_named_but_an_emojis_are_none():
    assert hidden("保\u200d证") == ["U+200D"] and hidden("\u3164") == ["U+3164"]
    assert hidden("好的👩‍💻❤️，您看一眼。") == []
