"""Which pieces of a multilingual vocabulary stay."""

from __future__ import annotations

import pytest

from kefu.pretrained.vocabulary import is_chinese_or_english, keeps


@pytest.mark.parametrize(
    ("piece", "stays"),
    [
        ("退款", True),
        ("▁退款", True),
        ("運費", True),
        ("，", True),
        ("￥", True),
        ("😡", True),
        ("2026", True),
        ("▁refund", True),
        ("é", True),  # a single letter spells names
        ("données", False),
        ("привет", False),
        ("ありがとう", False),
        ("감사", False),
        ("退いて", False),
    ],
)
def test_chinese_and_english_stay(piece: str, stays: bool) -> None:
    assert keeps(piece, rank=10, latin_cut=100) is stays


def test_rare_english_goes_and_rare_chinese_stays() -> None:
    assert keeps("▁courier", 99, latin_cut=100)
    assert not keeps("▁courier", 100, latin_cut=100)
    assert keeps("运费险", 100_000, latin_cut=100)
    assert keeps("z", 100_000, latin_cut=100)


def test_the_empty_piece_is_no_foreign_word() -> None:
    assert is_chinese_or_english("")
