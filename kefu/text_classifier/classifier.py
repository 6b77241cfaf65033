"""The trained classifier as it is served: an ONNX graph, a tokenizer, labels and calibrations in a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kefu.errors import ModelCorrupt
from kefu.text_classifier.calibration import Calibration
from kefu.text_classifier.text import model_input
from kefu.text_classifier.tokenizer import TOKENIZER, encode, load_tokenizer

GRAPH, META = "model.onnx", "classifier.json"
CONFIG = "config.json"  # the encoder's; serving needs none, `restore` does


@dataclass(frozen=True)
class Prediction:
    """Calibrated probabilities of each task's labels, best first, and the sentence embedding (hidden,) float32."""

    rankings: Mapping[str, tuple[tuple[str, float], ...]]
    embedding: npt.NDArray[np.float32]

    def best(self, task: str) -> tuple[str, float]:
        """The likeliest label of ``task`` with its probability."""
        return self.rankings[task][0]


class Classifier:
    """Predicts the labels of every task in one pass of the encoder, in two where there is a context. Thread-safe."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Loads what ``save`` wrote.

        Raises:
            ModelCorrupt: a file is missing or cannot be read.
        """
        from kefu.text_classifier.session import session

        try:
            if not (folder / TOKENIZER).is_file():
                raise FileNotFoundError(f"no {TOKENIZER}")
            meta = json.loads((folder / META).read_text(encoding="utf-8"))
            self.labels: dict[str, list[str]] = meta["labels"]
            self.calibrations = {
                task: Calibration(temperature, meta.get("alone", {}).get(task, 0.0))
                for task, temperature in meta["temperatures"].items()
            }
            self.tokenizer = load_tokenizer(folder, int(meta["max_tokens"]))
            self._reads_alone = any(c.alone for c in self.calibrations.values())
            self._session = session(folder / GRAPH, threads)
        except Exception as error:  # json, tokenizers and onnxruntime raise unrelated types
            raise ModelCorrupt(
                f"The classifier in {folder} cannot be loaded ({error}). Train again: rasa train."
            ) from error

    def predict(self, text: str, context: str | None = None) -> Prediction:
        """Labels of one message, given the other side's previous turn where there is one."""
        return self.predict_batch([(text, context)])[0]

    def predict_batch(self, messages: Sequence[tuple[str, str | None]]) -> list[Prediction]:
        """Labels of several (message, context) pairs at once."""
        if not messages:
            return []
        inputs = [model_input(text, context) for text, context in messages]
        embedding, *logits = self._run(inputs)
        twice = [row for row, (_, context) in enumerate(inputs) if context] if self._reads_alone else []
        again = self._run([(inputs[row][0], "") for row in twice])[1:] if twice else []
        predictions = []
        for row in range(len(messages)):
            rankings: dict[str, Any] = {}
            for number, (task, labels) in enumerate(self.labels.items()):
                alone = again[number][twice.index(row)] if row in twice else None
                probabilities = self.calibrations[task].probabilities(logits[number][row], alone)
                order = np.argsort(-probabilities)
                rankings[task] = tuple((labels[i], float(probabilities[i])) for i in order)
            predictions.append(Prediction(rankings, embedding[row]))
        return predictions

    def _run(self, inputs: Sequence[tuple[str, str]]) -> list[npt.NDArray[np.float32]]:
        """Embeddings (inputs, hidden), and each task's logits (inputs, labels)."""
        ids, mask = encode(self.tokenizer, inputs)
        return list(self._session.run(None, {"input_ids": ids, "attention_mask": mask}))


def save(trained: Any, folder: Path, max_tokens: int) -> Path:
    """Exports a trainer.Trained into ``folder`` for ``Classifier``, with what ``restore`` needs to go back."""
    from kefu.text_classifier.export import export

    folder.mkdir(parents=True, exist_ok=True)
    load_tokenizer(trained.folder, max_tokens)  # writes tokenizer.json where a hub model has none
    export(trained.network, folder / GRAPH)
    shutil.copy(trained.folder / TOKENIZER, folder / TOKENIZER)
    trained.network.encoder.config.to_json_file(folder / CONFIG)
    tasks = trained.network.tasks
    meta = {
        "labels": {task.name: list(task.labels) for task in tasks},
        "sees": {task.name: task.sees for task in tasks},
        "temperatures": {task: c.temperature for task, c in trained.calibrations.items()},
        "alone": {task: c.alone for task, c in trained.calibrations.items()},
        "max_tokens": max_tokens,
        "history": trained.history,
    }
    (folder / META).write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")
    return folder
