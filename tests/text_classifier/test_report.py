"""What a training leaves to look at."""

from __future__ import annotations

import csv
from pathlib import Path

from kefu.text_classifier.report import write_report
from kefu.text_classifier.trainer import Trained

HISTORY = [
    {"epoch": 1.0, "loss": 2.0, "seconds": 3.0, "held_out_intent_f1": 0.4},
    {"epoch": 2.0, "loss": 1.0, "seconds": 3.0, "held_out_intent_f1": 0.6},
]


def test_pictures_tables_and_a_log_are_written(tmp_path: Path) -> None:
    judged = {"intent": (["greet", "greet", "thank"], ["greet", "thank", "thank"]), "emotion": ([], [])}
    trained = Trained(None, tmp_path, {}, HISTORY, judged)  # type: ignore[arg-type]
    written = write_report(trained, tmp_path / "report")
    assert [p.name for p in written] == ["curves.png", "intent_confusion.png", "intent_labels.csv"]
    assert all(p.read_bytes()[:4] == b"\x89PNG" for p in written[:2])
    with written[2].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"label": "greet", "examples": "2", "precision": "1.000", "recall": "0.500", "f1": "0.667"}
    assert rows[1]["label"] == "thank" and rows[1]["precision"] == "0.500"
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(tmp_path / "report")).Reload()
    assert [event.value for event in log.Scalars("loss")] == [2.0, 1.0]


def test_without_held_out_examples_there_are_curves_alone(tmp_path: Path) -> None:
    trained = Trained(None, tmp_path, {}, HISTORY, {})  # type: ignore[arg-type]
    assert [p.name for p in write_report(trained, tmp_path)] == ["curves.png"]
