"""The figures of retrieval, counted by hand, and what a broken row is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kefu.errors import DataError
from kefu.evaluation.retrieval import evaluate_retrieval, read_retrieval_rows
from kefu.knowledge import Passage


class Shelf:
    """Finds a, b, c, d in this order; with an intent d comes first; by words nothing."""

    def search(self, query, intent=None, k=3):
        order = "dabc" if intent else "abcd"
        return [(Passage(name, name, name), 1.0) for name in order][:k]

    def search_by(self, ranking, query, intent=None, k=3):
        return [] if ranking == "words" else self.search(query, None, k)


def write(file: Path, *rows: dict) -> Path:
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return file


def test_figures_are_those_counted_by_hand(tmp_path):
    rows = read_retrieval_rows(
        write(
            tmp_path / "rows.jsonl",
            {"question": "甲", "intent": "ask_usage", "passage": ["d"]},
            {"question": "乙", "intent": "ask_usage", "passage": ["c", "b"]},
            {"question": "丙", "passage": ["d"]},
        ),
        {"a", "b", "c", "d"},
    )
    figures = evaluate_retrieval(Shelf(), rows)
    first = figures["hybrid, intent"]
    assert (first["questions"], first["recall@1"], first["recall@3"]) == (2, 0.5, 1.0)
    assert first["mrr"] == pytest.approx((1 + 1 / 3) / 2) and 0 <= first["p50_ms"] <= first["p95_ms"]
    without = figures["hybrid"]
    assert (without["recall@1"], without["recall@3"]) == (0, pytest.approx(1 / 3))
    assert without["mrr"] == pytest.approx((1 / 4 + 1 / 2 + 1 / 4) / 3) and "p50_ms" not in without
    assert figures["words alone"]["mrr"] == 0 and figures["meaning alone"]["mrr"] == without["mrr"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"question": " ", "passage": ["a"]}, "'question'"),
        ({"question": "甲", "passage": []}, "'passage'"),
        ({"question": "甲", "passage": "a"}, "'passage'"),
        ({"question": "甲", "passage": ["z"]}, "'z'"),
        ({"question": "甲", "intent": "weather", "passage": ["a"]}, "'weather'"),
    ],
)
def test_a_broken_row_is_named(tmp_path, row, told):
    with pytest.raises(DataError, match=told) as caught:
        read_retrieval_rows(write(tmp_path / "rows.jsonl", row), {"a"})
    assert "line 1" in str(caught.value)


@pytest.mark.models
def test_nine_in_ten_questions_find_their_passage_among_the_first_three():
    from kefu.knowledge import Retriever

    retriever = Retriever.load()
    rows = read_retrieval_rows(Path("data/heldout/retrieval.jsonl"), {p.id for p in retriever.passages})
    assert len(rows) == 200
    assert evaluate_retrieval(retriever, rows)["hybrid, intent"]["recall@3"] >= 0.9
