"""The training that ``rasa train`` runs: intent and emotion on one encoder, exported, checked, saved."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from kefu.taxonomy import EMOTIONS
from kefu.text_classifier.arguments import TrainingArguments
from kefu.text_classifier.classifier import save
from kefu.text_classifier.examples import Example
from kefu.text_classifier.export import check_parity
from kefu.text_classifier.model import Task
from kefu.text_classifier.text import model_input
from kefu.text_classifier.tokenizer import load_tokenizer
from kefu.text_classifier.trainer import Trained, train

logger = logging.getLogger(__name__)
_PROBES = 400


def tasks_of(examples: Sequence[Example]) -> list[Task]:
    """Intent with the labels found, and emotion, which sees it, where any example is labelled for it."""
    intents = tuple(sorted({e.labels["intent"] for e in examples if "intent" in e.labels}))
    tasks = [Task("intent", intents)]
    if any("emotion" in e.labels for e in examples):
        tasks.append(Task("emotion", tuple(EMOTIONS), sees="intent"))
    return tasks


def train_joint(
    examples: Sequence[Example], arguments: TrainingArguments, emotion_weight: float, folder: Path
) -> Trained:
    """Fine-tunes on ``examples`` and saves the int8 graph for ``Classifier`` into ``folder``.

    Raises:
        DataError: too few labels.
        ModelError: the export does not agree with the network.
    """
    total = arguments.epochs

    def report(figures: dict[str, float]) -> None:
        left = (total - figures["epoch"]) * figures["seconds"]
        scores = ", ".join(f"{k} {v:.3f}" for k, v in figures.items() if k.startswith("held_out"))
        print(
            f"  epoch {figures['epoch']:.0f}/{total}  loss {figures['loss']:.3f}  {scores}  "
            f"{figures['seconds']:.0f} s, about {left / 60:.0f} min left",
            flush=True,
        )

    print(f"Fine-tuning {arguments.encoder} on {len(examples)} examples", flush=True)
    trained = train(examples, tasks_of(examples), arguments, {"emotion": emotion_weight}, on_epoch=report)
    save(trained, folder, arguments.max_tokens)
    step = max(1, len(examples) // _PROBES)
    probes = [model_input(e.text, e.context) for e in examples[::step]]
    shares = check_parity(trained.network, folder / "model.onnx", load_tokenizer(folder, arguments.max_tokens), probes)
    logger.info("int8 graph agrees with torch: %s", {k: round(v, 4) for k, v in shares.items()})
    return trained
