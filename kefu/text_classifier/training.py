"""The training that ``rasa train`` runs: intent and emotion on one encoder, exported, checked, saved."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kefu.dataset.nlu import read_nlu
from kefu.dialogues import read_dialogues
from kefu.errors import DataError
from kefu.pretrained import adapter, resolve
from kefu.taxonomy import EMOTIONS
from kefu.text_classifier.arguments import TrainingArguments
from kefu.text_classifier.classifier import save
from kefu.text_classifier.examples import Example, from_dialogues
from kefu.text_classifier.export import check_parity
from kefu.text_classifier.model import Task
from kefu.text_classifier.report import write_report
from kefu.text_classifier.restore import restore
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
    examples: Sequence[Example],
    arguments: TrainingArguments,
    emotion_weight: float,
    folder: Path,
    report: Path | None = None,
    previous: Path | None = None,
) -> Trained:
    """Fine-tunes on ``examples`` and saves the int8 graph for ``Classifier`` into ``folder``.

    Args:
        report: a folder for pictures and tables of how it went.
        previous: a folder that this function wrote, whose network is trained further in place of the encoder.

    Raises:
        DataError: too few labels, or one that the previous network does not know.
        ModelError: the export does not agree with the network, or the previous one cannot be rebuilt.
    """
    total = arguments.epochs

    def tell(figures: dict[str, float]) -> None:
        left = (total - figures["epoch"]) * figures["seconds"]
        scores = ", ".join(f"{k} {v:.3f}" for k, v in figures.items() if k.startswith("held_out"))
        print(
            f"  epoch {figures['epoch']:.0f}/{total}  loss {figures['loss']:.3f}  {scores}  "
            f"{figures['seconds']:.0f} s, about {left / 60:.0f} min left",
            flush=True,
        )

    tasks, network = tasks_of(examples), None
    if previous is not None:
        network = restore(previous, arguments.dropout, arguments.encoder_dropout)
        tasks = _known_tasks(tasks, network.tasks)
    print(f"Fine-tuning {previous or arguments.encoder} on {len(examples)} examples", flush=True)
    weights = {"emotion": emotion_weight}
    trained = train(examples, tasks, arguments, weights, on_epoch=tell, network=network, folder=previous)
    save(trained, folder, arguments.max_tokens)
    step = max(1, len(examples) // _PROBES)
    probes = [model_input(e.text, e.context) for e in examples[::step]]
    shares = check_parity(trained.network, folder / "model.onnx", load_tokenizer(folder, arguments.max_tokens), probes)
    if report is not None:
        write_report(trained, report)
    logger.info("int8 graph agrees with torch: %s", {k: round(v, 4) for k, v in shares.items()})
    return trained


def _known_tasks(found: Sequence[Task], known: Sequence[Task]) -> list[Task]:
    """The tasks of a network; DataError where an example has a label that it lacks."""
    labels = {task.name: set(task.labels) for task in known}
    for task in found:
        if new := sorted(set(task.labels) - labels.get(task.name, set())):
            raise DataError(
                f"The model before does not know the {task.name} {new[0]!r}. Train without --finetune: rasa train."
            )
    return list(known)


def labelled(data: Path, dialogues: bool = True) -> list[Example]:
    """The examples of data/nlu and, if wanted, the customers' turns of data/dialogues."""
    rows = read_nlu([data / "nlu"])
    found = [Example(m.text, {"intent": m.intent, "emotion": m.emotion}, m.context) for m in rows if m.emotion]
    return found + (from_dialogues(read_dialogues([data / "dialogues"])) if dialogues else [])


def adapt(
    data: Path,
    folder: Path,
    arguments: Mapping[str, Any],
    rank: int,
    report: Callable[[str], None],
    emotion_weight: float = 0.7,
) -> dict[str, Any]:
    """Adapts an encoder to ``data`` and writes the adapter to ``folder``; returns its card.

    Args:
        arguments: fields of TrainingArguments; no layer is frozen unless they say so. With a lora_rank that LoRA is
            trained; with 0 the layers' own weights are, and what changed is cut to ``rank``. An encoder that has an
            adapter already (NAME+FOLDER) is then trained further, and the new adapter takes its place.

    Raises:
        SettingsError: a value is out of range.
        DataError: too few labels.
    """
    chosen = TrainingArguments.from_config({"frozen_layers": 0, **arguments})
    examples = labelled(data)
    started = time.perf_counter()
    trained = train(
        examples,
        tasks_of(examples),
        chosen,
        {"emotion": emotion_weight},
        on_epoch=lambda f: report("  ".join(f"{name} {value:.3f}" for name, value in f.items())),
    )
    best = max(trained.history, key=lambda f: sum(v for name, v in f.items() if name.startswith("held_out")))
    card = {
        "encoder": chosen.encoder,
        "rank": rank,
        "examples": len(examples),
        "seconds": round(time.perf_counter() - started),
        "held_out": {name: round(value, 4) for name, value in best.items() if name.startswith("held_out")},
        "arguments": {name: value for name, value in vars(chosen).items() if name != "encoder"},
    }
    encoder = trained.network.encoder
    if not chosen.lora_rank:
        encoder = adapter.approximation(encoder, resolve(chosen.encoder.partition("+")[0]), rank)
    adapter.save(encoder, folder, card)
    return card
