"""`kefu benchmark nlu` on a toy set and a tiny encoder."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kefu.benchmark_nlu import arguments_of, benchmark, reduced, rejects
from kefu.errors import SettingsError
from kefu.evaluation.datasets import OUT_OF_SCOPE, Dataset, Row
from kefu.text_classifier import TrainingArguments

STEMS = {"refund": "退款退款", "delivery": "快递快递", "invoice": "发票发票"}
FILLERS = ("", "我要", "您好", "在吗", "查", "谢谢", "三天", "五天", "怎么", "人工", "投诉", "订单")


def labelled(*fillers: str) -> tuple[Row, ...]:
    return tuple((filler + stem, label) for filler in fillers for label, stem in STEMS.items())


TOY = Dataset(labelled(*FILLERS[:9]), labelled(*FILLERS[9:]))
STRANGE = tuple("生气开心" * n for n in range(1, 13))


def arguments(encoder: Path, **changes: Any) -> TrainingArguments:
    few: dict[str, Any] = {"epochs": 6, "batch_size": 8, "learning_rate": 2e-3, "frozen_layers": 0}
    return TrainingArguments(encoder=str(encoder), **{**few, **changes})


def test_the_figures_of_a_toy(tiny_encoder: Path) -> None:
    epochs: list[dict[str, float]] = []
    figures = benchmark(TOY, arguments(tiny_encoder), on_epoch=epochs.append)
    assert set(figures) == {"n_train", "n_test", "accuracy", "macro_f1", "train_seconds", "latency_ms"}
    assert (figures["n_train"], figures["n_test"]) == (27, 9)
    assert figures["accuracy"] > 0.8 and figures["macro_f1"] > 0.8
    assert figures["train_seconds"] > 0 and 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p95"]
    assert epochs


def test_wrong_predictions_lower_the_figures(tiny_encoder: Path) -> None:
    labels = list(STEMS)
    shifted = tuple((text, labels[(labels.index(label) + 1) % 3]) for text, label in TOY.test)
    figures = benchmark(Dataset(TOY.train, shifted), arguments(tiny_encoder))
    assert figures["accuracy"] < 0.2 and figures["macro_f1"] < 0.2


def test_what_is_unlikely_is_out_of_scope() -> None:
    sure, unsure = [("refund", 0.9), ("oos", 0.1)], [("refund", 0.4), ("oos", 0.3)]
    wrong, strange = [("invoice", 0.5), ("oos", 0.2)], [("invoice", 0.45), ("oos", 0.4)]
    rankings, gold = [sure, sure, unsure, wrong, strange], ["refund", "refund", "refund", "refund", OUT_OF_SCOPE]
    assert rejects(rankings, gold, loses=0.0) == 0.4  # a text that is right at 0.4 would be lost above
    assert rejects(rankings, gold, loses=0.3) == 0.9
    assert rejects([sure], [OUT_OF_SCOPE]) == 0.99


def test_out_of_scope_is_one_more_class_with_a_recall_of_its_own(tiny_encoder: Path) -> None:
    strange = tuple((text, OUT_OF_SCOPE) for text in STRANGE[:9])
    dataset = Dataset((*TOY.train, *strange), TOY.test, out_of_scope=STRANGE[9:])
    figures = benchmark(dataset, arguments(tiny_encoder))
    assert (figures["n_train"], figures["n_test"], figures["n_oos_test"]) == (36, 9, 3)
    assert figures["accuracy"] > 0.8 and figures["oos_recall"] == 1.0
    blind = benchmark(Dataset(dataset.train, TOY.test, out_of_scope=("退款退款",) * 3), arguments(tiny_encoder))
    assert blind["oos_recall"] == 0.0 and blind["accuracy"] > 0.8


def test_the_sets_own_part_is_used_for_early_stopping(tiny_encoder: Path) -> None:
    epochs: list[dict[str, float]] = []
    wrong: tuple[Row, ...] = tuple((text, "refund") for text, label in TOY.test if label == "invoice")
    dataset = Dataset(TOY.train, TOY.test, valid=(*wrong, ("退款", "a label of its own")))
    benchmark(dataset, arguments(tiny_encoder, epochs=1), on_epoch=epochs.append)
    assert epochs[0]["held_out_label_f1"] == 0.0


def test_shots_and_limit_draw_by_the_seed() -> None:
    few = reduced(TOY, limit=None, shots=2, seed=1)
    assert Counter(label for _, label in few.train) == {"refund": 2, "delivery": 2, "invoice": 2}
    assert few.test == TOY.test
    assert few == reduced(TOY, None, 2, seed=1) != reduced(TOY, None, 2, seed=2)
    short = reduced(Dataset(TOY.train, TOY.test, TOY.train, STRANGE), limit=5, shots=None, seed=1)
    assert (len(short.train), len(short.test), len(short.valid or ()), len(short.out_of_scope)) == (5, 5, 5, 5)
    assert list(short.train) == [row for row in TOY.train if row in short.train]
    assert reduced(TOY, limit=1000, shots=1000, seed=1) == TOY


def test_flags_left_out_keep_the_defaults() -> None:
    assert arguments_of(epochs=None, seed=None) == TrainingArguments()
    assert arguments_of(epochs=3, learning_rate=1e-3) == TrainingArguments(epochs=3, learning_rate=1e-3)
    with pytest.raises(SettingsError, match=r"'epochs' must be.*was: 0"):
        arguments_of(epochs=0)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    shuffled = list(TOY.train)
    random.Random(1).shuffle(shuffled)
    for name, rows in (("train", shuffled), ("test", TOY.test)):
        lines = (json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in rows)
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def test_with_json_stdout_is_one_object(files: Path, tiny_encoder: Path) -> None:
    command = [sys.executable, "-m", "kefu.cli", "benchmark", "nlu", "--dataset", "jsonl", "--data", str(files)]
    command[1:3] = ["-c", "from kefu.cli import main; main()"]
    command += ["--encoder", str(tiny_encoder), "--epochs", "2", "--frozen-layers", "0", "--seed", "3", "--json"]
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=200, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout)
    assert run.stdout.count("\n") == 1
    assert set(figures) == {"n_train", "n_test", "accuracy", "macro_f1", "train_seconds", "latency_ms"}
    assert "epoch 1/2" in run.stderr


def test_for_people_it_prints_a_line_each(files: Path, tiny_encoder: Path) -> None:
    from kefu.cli import app

    flags = ["--data", str(files), "--encoder", str(tiny_encoder), "--epochs", "1", "--shots", "5", "--limit", "9"]
    result = CliRunner().invoke(app, ["benchmark", "nlu", "--dataset", "jsonl", *flags], catch_exceptions=False)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines() if not line.startswith(("Fine", "epoch"))] == [
        "n_train",
        "n_test",
        "accuracy",
        "macro_f1",
        "latency_ms",
        "train_seconds",
    ]


@pytest.mark.parametrize(
    ("name", "train", "test"), [("banking77", 10_003, 3_080), ("clinc150", 15_100, 4_500), ("ewect", 27_766, 2_000)]
)
def test_the_published_files_are_read(request: pytest.FixtureRequest, name: str, train: int, test: int) -> None:
    from kefu.evaluation.datasets import read_dataset

    folder = Path(request.config.getoption("--public-data")) / name
    if not folder.is_dir():
        pytest.skip(f"the public set is not in {folder}; name its place with --public-data")
    read = read_dataset(name, folder)
    assert (len(read.train), len(read.test)) == (train, test)
