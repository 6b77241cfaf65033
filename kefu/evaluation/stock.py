"""Stock Rasa on a data set, for comparison: the NLU pipeline that Rasa itself suggests, with DIET.

The pipeline is read from the file in the installed Rasa that ``rasa train`` takes where a project names none. Left out
are its ResponseSelector, which has nothing to learn here, and its FallbackClassifier, so that every text gets a label.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from kefu.errors import ModelNotFound
from kefu.evaluation.datasets import Dataset

_DEFAULTS = ("engine", "recipes", "config_files", "default_config.yml")
_LEFT_OUT = ("ResponseSelector", "FallbackClassifier")
_HAN = re.compile(r"[\u3400-\u9fff]")
_SPACE = re.compile(r"\s+")


def default_config(chinese: bool) -> dict[str, Any]:
    """Rasa's default NLU pipeline; Chinese, which has no spaces, is cut by JiebaTokenizer.

    Raises:
        ModelNotFound: this Rasa has no such file.
    """
    spec = importlib.util.find_spec("rasa")
    file = Path(str(spec.origin if spec else "")).parent.joinpath(*_DEFAULTS)
    if not file.is_file():
        raise ModelNotFound(f"Rasa's default configuration {str(file)!r} is not there. Install rasa 3.6: make setup.")
    pipeline = yaml.safe_load(file.read_text(encoding="utf-8"))["pipeline"]
    kept = [component for component in pipeline if component["name"] not in _LEFT_OUT]
    if chinese:
        kept = [{"name": "JiebaTokenizer"} if c["name"] == "WhitespaceTokenizer" else c for c in kept]
    language = "zh" if chinese else "en"
    return {"recipe": "default.v1", "assistant_id": "stock", "language": language, "pipeline": kept, "policies": []}


def stock_rasa(dataset: Dataset) -> tuple[list[str], float, list[float]]:
    """Trains it on ``dataset`` and reads the test texts, then those out of scope.

    Returns:
        labels, one a text; seconds of training; milliseconds of each text.
    """
    from kefu.rasa_bridge import RasaModel, train_nlu

    chinese = any(_HAN.search(text) for text, _ in dataset.train)
    names = {label: f"intent_{i}" for i, label in enumerate(sorted({label for _, label in dataset.train}))}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "config.yml").write_text(yaml.safe_dump(default_config(chinese), allow_unicode=True), "utf-8")
        (folder / "nlu.yml").write_text(_nlu(dataset.train, names), "utf-8")
        started = time.perf_counter()
        archive = train_nlu(folder / "config.yml", folder / "nlu.yml", folder / "models")
        seconds = time.perf_counter() - started
        model = RasaModel.load(archive)
        said = {name: label for label, name in names.items()}
        texts = [*(text for text, _ in dataset.test), *dataset.out_of_scope]
        read = [model.parse(_line(text)) for text in texts]
    return [said.get(r.intent or "", "") for r in read], seconds, [r.latency_ms for r in read]


def _nlu(rows: Sequence[tuple[str, str]], names: dict[str, str]) -> str:
    """Rasa's training data, one example an entry, so that no character of a text means anything to YAML or Rasa."""
    groups: dict[str, list[dict[str, str]]] = defaultdict(list)
    for text, label in rows:
        if line := _line(text):
            groups[names[label]].append({"text": line})
    told = [{"intent": intent, "examples": examples} for intent, examples in groups.items()]
    return str(yaml.safe_dump({"version": "3.1", "nlu": told}, allow_unicode=True, width=100_000))


def _line(text: str) -> str:
    """One line without the brackets that mark spans in Rasa's examples, and without its command slash."""
    return _SPACE.sub(" ", text.translate(str.maketrans("[]{}", "()()"))).strip().lstrip("/")
