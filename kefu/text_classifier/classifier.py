"""The trained classifier as it is served: an ONNX graph, a tokenizer, labels and temperatures in a folder."""

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


def _softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(shifted / shifted.sum())


class Classifier:
    """Predicts the labels of every task in one pass of the encoder. Thread-safe."""

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
            self.temperatures: dict[str, float] = meta["temperatures"]
            self.tokenizer = load_tokenizer(folder, int(meta["max_tokens"]))
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
        ids, mask = encode(self.tokenizer, [model_input(text, context) for text, context in messages])
        embedding, *logits = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
        predictions = []
        for row in range(len(messages)):
            rankings: dict[str, Any] = {}
            for (task, labels), values in zip(self.labels.items(), logits):
                probabilities = _softmax(values[row] / self.temperatures[task])
                order = np.argsort(-probabilities)
                rankings[task] = tuple((labels[i], float(probabilities[i])) for i in order)
            predictions.append(Prediction(rankings, embedding[row]))
        return predictions


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
        "temperatures": trained.temperatures,
        "max_tokens": max_tokens,
        "history": trained.history,
    }
    (folder / META).write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")
    return folder
