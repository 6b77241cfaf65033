"""Rasa's own default pipeline as the measure beside ours."""

from __future__ import annotations

from kefu.benchmark_nlu import benchmark_stock
from kefu.evaluation.datasets import OUT_OF_SCOPE, Dataset
from kefu.evaluation.stock import default_config

CARDS = ["my card is lost", "I lost my card", "the card got lost: help", "card lost / stolen", "lost card [again]"]
MONEY = ["top up my account", "how do I top up", "top up with cash", "top up please", "can I top up abroad"]
OTHER = ["what is the weather", "sing me a song", "weather today", "a song please", "tell me the weather"]


def test_it_is_rasas_pipeline_without_what_has_nothing_to_do() -> None:
    names = [component["name"] for component in default_config(chinese=False)["pipeline"]]
    assert names[0] == "WhitespaceTokenizer" and "DIETClassifier" in names
    assert "ResponseSelector" not in names and "FallbackClassifier" not in names
    assert default_config(chinese=True)["pipeline"][0] == {"name": "JiebaTokenizer"}


def test_it_learns_the_rows_and_reads_the_test() -> None:
    rows = [(t, "lost card") for t in CARDS] + [(t, "top/up") for t in MONEY] + [(t, OUT_OF_SCOPE) for t in OTHER]
    test = (("I lost a card", "lost card"), ("/top up", "top/up"))
    figures = benchmark_stock(Dataset(tuple(rows), test, out_of_scope=("what a song",)))
    assert figures["n_train"] == 15 and figures["n_test"] == 2 and figures["n_oos_test"] == 1
    assert figures["accuracy"] == 1.0 and figures["oos_recall"] == 1.0
    assert figures["train_seconds"] > 0 and figures["latency_ms"]["p50"] > 0
