"""Token weights on characters and words, and the page that shows them."""

from __future__ import annotations

import pytest

from kefu.text_classifier.explanation import Explanation, Piece, characters_of, gloss_of, page, words_of

PIECES = [Piece(0, 1, 0.5), Piece(0, 2, 1.0), Piece(2, 3, -2.0), Piece(3, 4, 0.1), Piece(4, 5, 0.25)]


def explanation(text: str = "退款慢 吗", **changes: object) -> Explanation:
    values = dict(task="intent", label="request_refund", probability=0.9, context=(), gain=1.0, completeness_error=0.15)
    weights = {"characters": characters_of(text, PIECES), "words": words_of(text, PIECES)}
    return Explanation(**{**values, **weights, **changes})  # type: ignore[arg-type]


def test_a_token_is_shared_equally_by_its_characters() -> None:
    weights = [weight for _, weight in characters_of("退款慢 吗", PIECES)]
    assert weights == pytest.approx([1.0, 0.5, -2.0, 0.1, 0.25])


@pytest.mark.parametrize(("piece", "expected"), [(Piece(1, 1, 3.0), [0, 3, 0]), (Piece(3, 3, 3.0), [0, 0, 3])])
def test_a_token_without_characters_is_not_lost(piece: Piece, expected: list[float]) -> None:
    assert [weight for _, weight in characters_of("abc", [piece])] == expected


def test_no_text_no_characters() -> None:
    assert characters_of("", []) == ()


def test_a_mark_of_a_words_beginning_is_part_of_it() -> None:
    assert words_of("退款慢 吗", PIECES) == (("退款", 1.5), ("慢", -2.0), ("吗", 0.25))


def test_the_strongest_may_speak_against() -> None:
    assert explanation().strongest(2) == (("慢", -2.0), ("退款", 1.5))
    assert explanation().strength(-2.0) == -1.0


def test_json_has_the_context_only_where_there_is_one() -> None:
    document = explanation().as_dict()
    assert list(document) == ["label", "probability", "characters", "completeness_error"]
    assert document["characters"][2] == ["慢", -2.0]
    assert explanation(context=(("好", 0.1),)).as_dict()["context_characters"] == [["好", 0.1]]


def test_the_page_loads_nothing_and_escapes() -> None:
    shown = page(
        [explanation("<b>&x", label="<i>"), explanation(task="emotion", label="angry", context=(("好", 0.1),))]
    )
    assert "http" not in shown and "<b>" not in shown and "src=" not in shown
    assert "<i>" not in shown and "&lt;i&gt;" in shown
    assert "情绪：" in shown and "上文：" in shown and "-2.00" in shown


def test_labels_outside_the_taxonomy_have_no_gloss() -> None:
    assert gloss_of("intent", "request_refund") and not gloss_of("intent", "nope") and not gloss_of("topic", "angry")
