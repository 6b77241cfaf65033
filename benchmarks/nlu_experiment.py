"""Trains intent and emotion on data/ with some arguments changed, and prints the figures on the held-out files.

    python benchmarks/nlu_experiment.py --transcripts ../shared/data/jddc/valid_dialogues.jsonl \
        --variant "plain:" --variant "r-drop: r_drop=0.5" --variant "no context: context=false"

A variant is a name, a colon and training arguments as name=value, comma-separated; besides the fields of
TrainingArguments there are ``context`` (false hides every previous turn, in training and evaluation), ``sees`` (false
keeps the intent from the emotion head), ``emotion_weight`` and ``dialogues`` (false leaves their turns out). Models are
measured as they are served, in int8. Figures in docs/experiments.md come from here.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml

from kefu.evaluation.metrics import accuracy, expected_calibration_error, macro_f1
from kefu.evaluation.nlu import NluRow, read_nlu_rows
from kefu.taxonomy import EMOTIONS
from kefu.text_classifier import Classifier, Task, TrainingArguments, train
from kefu.text_classifier.classifier import save
from kefu.text_classifier.text import history
from kefu.text_classifier.training import labelled


def figures(classifier: Classifier, rows: Sequence[NluRow], told: Callable[[NluRow], str | None]) -> dict[str, float]:
    """Accuracy, macro-F1 and calibration error of both tasks."""
    predictions = [classifier.predict(row.text, told(row)) for row in rows]
    found = {}
    for task in classifier.labels:
        best = [p.best(task) for p in predictions]
        gold = [getattr(row, task) for row in rows]
        said = [label for label, _ in best]
        found[f"{task}_accuracy"] = accuracy(gold, said)
        found[f"{task}_f1"] = macro_f1(gold, said)
        correct = [g == s for g, s in zip(gold, said)]
        found[f"{task}_ece"] = expected_calibration_error([chance for _, chance in best], correct)
    return found


def run(
    variant: dict[str, Any], arguments: TrainingArguments, sets: dict[str, list[NluRow]], folder: Path
) -> dict[str, Any]:
    """Trains once, saves the served model into ``folder``, measures it on every set."""
    context, sees = variant.pop("context", True), variant.pop("sees", True)
    weight, dialogues = variant.pop("emotion_weight", 0.7), variant.pop("dialogues", True)
    arguments = replace(arguments, **variant)
    examples = labelled(Path("data"), dialogues)
    if not context:
        examples = [replace(e, context=None) for e in examples]
    tasks = [
        Task("intent", tuple(sorted({e.labels["intent"] for e in examples}))),
        Task("emotion", tuple(EMOTIONS), sees="intent" if sees else None),
    ]
    started = time.perf_counter()
    trained = train(examples, tasks, arguments, {"emotion": weight}, on_epoch=lambda f: print(f"    {f}", flush=True))
    seconds = time.perf_counter() - started
    classifier = Classifier(save(trained, folder, arguments.max_tokens))
    measured = {}
    for name, rows in sets.items():
        if context:
            measured[name] = figures(classifier, rows, lambda row: history(row.context, row.earlier))
            measured[f"{name}, agent's turn only"] = figures(classifier, rows, lambda row: row.context)
        measured[f"{name}, no context"] = figures(classifier, rows, lambda row: None)
    return {"examples": len(examples), "seconds": seconds, **measured}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--variant", action="append", required=True, help='"name: argument=value, …"')
    parser.add_argument("--transcripts", type=Path, help="the transcripts that benchmarks/jddc names turns of")
    parser.add_argument("--models", type=Path, default=Path("var/experiments"), help="a folder for the models")
    parser.add_argument("--config", type=Path, default=Path("config.yml"), help="its intent classifier's arguments")
    options = parser.parse_args()
    pipeline = yaml.safe_load(options.config.read_text(encoding="utf-8"))["pipeline"]
    config = next(c for c in pipeline if c["name"].endswith("BertIntentClassifier"))
    arguments = TrainingArguments.from_config(config)
    sets = {"held_out": read_nlu_rows(Path("data/heldout/nlu.jsonl"))}
    if options.transcripts:
        sets["jddc"] = read_nlu_rows(Path("benchmarks/jddc/nlu.jsonl"), options.transcripts)
    for text in options.variant:
        name, _, settings = text.partition(":")
        pairs = [s.split("=") for s in settings.split(",") if s.strip()]
        found = run({k.strip(): yaml.safe_load(v) for k, v in pairs}, arguments, sets, options.models / name)
        print(json.dumps({"variant": name, **found}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
