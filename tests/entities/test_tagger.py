"""The recogniser of products, colours and sizes, trained on a handful of sentences."""

from __future__ import annotations

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from kefu.entities import LABELS, Span, load_tagger, tag, train_tagger
from kefu.errors import DataError, ModelCorrupt


def annotated(before: str, phrase: str, label: str, after: str) -> tuple[str, list[Span]]:
    return before + phrase + after, [Span(label, len(before), len(before) + len(phrase), phrase)]


WORDS = {"product": ("加湿器", "电饭煲", "羽绒服"), "color": ("藏青色", "米白色"), "size": ("XL", "1.5米")}
EXAMPLES = [
    annotated(before, word, label, after)
    for (label, words), before, after in product(WORDS.items(), ("我要", "有没有", "想退"), ("吗", "的", "谢谢"))
    for word in words
] + [(text, []) for text in ("在吗", "谢谢", "人工客服", "什么时候发货", "钱退了吗")]


@pytest.fixture(scope="module")
def tagger() -> Any:
    losses: list[float] = []
    trained = train_tagger(EXAMPLES, epochs=30, on_epoch=lambda epoch, loss: losses.append(loss))
    assert len(losses) == 30 and losses[-1] < losses[0] / 4
    return trained


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("我要加湿器谢谢", [("product", "加湿器")]),
        ("有没有藏青色的", [("color", "藏青色")]),
        ("想退XL吗", [("size", "XL")]),
        ("在吗", []),
        ("", []),
    ],
)
def test_it_finds_what_it_was_taught(tagger: Any, text: str, found: list[tuple[str, str]]) -> None:
    spans = tag(tagger, text)
    assert [(s.entity, s.value) for s in spans] == found
    assert all(text[s.start : s.end] == s.value for s in spans)


def test_it_is_the_same_after_a_round_trip(tagger: Any, tmp_path: Path) -> None:
    tagger.to_disk(tmp_path / "tagger")
    again = load_tagger(tmp_path / "tagger")
    for text, _ in EXAMPLES:
        assert tag(again, text) == tag(tagger, text)


def test_the_seed_makes_it_the_same() -> None:
    runs: list[list[float]] = [[], [], []]
    for run, seed in zip(runs, (1, 1, 2)):
        train_tagger(EXAMPLES, epochs=1, seed=seed, on_epoch=lambda epoch, loss, run=run: run.append(loss))
    assert runs[0] == runs[1] != runs[2]


def test_another_label_is_named() -> None:
    with pytest.raises(DataError, match=f"annotates 'brand'; the tagger knows {', '.join(LABELS)}"):
        train_tagger([annotated("我要", "青禾", "brand", "的")])


def test_nothing_annotated_is_nothing_to_learn() -> None:
    with pytest.raises(DataError, match=r"No NLU example annotates .* \[加湿器\]\(product\)"):
        train_tagger([("在吗", [])])


def test_a_damaged_folder_is_named_with_the_mend(tagger: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match=r"nowhere.*rasa train"):
        load_tagger(tmp_path / "nowhere")
    tagger.to_disk(tmp_path / "tagger")
    shutil.rmtree(tmp_path / "tagger" / "ner")
    with pytest.raises(ModelCorrupt, match=r"tagger.*rasa train"):
        load_tagger(tmp_path / "tagger")
