"""Measures a trained Rasa model on held-out data, and compares a challenger with the champion.

Each model is measured in a process of its own, which gives the model's memory back when it ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kefu.errors import DataError, ModelError, NotFound
from kefu.evaluation import accuracy, macro_f1, percentile

TOLERANCE = 0.01
_NONE = "(none)"  # what a model said that said nothing; never equal to a label


class Model(Protocol):
    """What is needed of kefu.rasa_bridge.RasaModel."""

    def parse(self, text: str, context: str | None = None) -> Any:
        """Has intent, emotion and latency_ms."""

    def strategies(self, context: Any, facts: Any = None) -> list[tuple[str, float]]:
        """Best first."""

    def choices(self, decisions: Any) -> list[str]:
        """The strategy it would take, for each."""

    def learned(self) -> dict[str, Any] | None:
        """What its strategy model learned from feedback."""


@dataclass(frozen=True)
class Sets:
    """What is measured on: rows as in data/heldout, reviewers' corrections, which the challenger was trained on, and
    logged choices of customers from whom no model learns."""

    nlu: list[dict[str, Any]]
    strategy: list[dict[str, Any]]
    corrected_nlu: list[dict[str, Any]] = field(default_factory=list)
    corrected_strategy: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Comparison:
    """One figure of both models.

    Attributes:
        allowed: the drop that is let pass; None where the figure decides nothing.
        difference: 95 % interval of challenger less champion, where one is known; then its lower bound decides.
    """

    figure: str
    n: int
    champion: float | None
    challenger: float
    allowed: float | None
    difference: tuple[float, float] | None = None

    @property
    def good(self) -> bool:
        """Whether the figure speaks for the challenger or is silent."""
        if self.champion is None or self.allowed is None:
            return True
        least = self.difference[0] if self.difference else self.challenger - self.champion
        return least >= -self.allowed - 1e-9

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "good": self.good}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a .jsonl file.

    Raises:
        NotFound: no such file.
        DataError: a line is no JSON object.
    """
    if not path.is_file():
        raise NotFound(f"There is no {str(path)!r}; models are compared on it.")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line) if line.strip() else None
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON ({error}).") from None
        if row is not None and not isinstance(row, dict):
            raise DataError(f"{path}:{number}: a row is a JSON object, not {row!r}.")
        rows += [row] if row is not None else []
    if not rows:
        raise DataError(f"{path} has no rows; models are compared on it.")
    return rows


def measure(model: Model, sets: Sets) -> dict[str, Any]:
    """{"intent": {n, accuracy, macro_f1}, "emotion": the same, "strategy": {n, top1, top3}, "corrections": {n, intent,
    emotion, strategy_n, strategy}, "latency_ms": {p50, p95}}, and where there are decisions "policy": {choices,
    learned}; shares from 0 to 1."""
    figures, latencies = _labels(model, sets.nlu)
    figures["strategy"] = _strategies(model, sets.strategy)
    corrected, _ = _labels(model, sets.corrected_nlu)
    figures["corrections"] = {
        "n": len(sets.corrected_nlu),
        "intent": corrected["intent"]["accuracy"],
        "emotion": corrected["emotion"]["accuracy"],
        "strategy_n": len(sets.corrected_strategy),
        "strategy": _strategies(model, sets.corrected_strategy)["top1"],
    }
    figures["latency_ms"] = {"p50": percentile(latencies, 0.5), "p95": percentile(latencies, 0.95)}
    if sets.decisions:
        figures["policy"] = {"choices": model.choices(sets.decisions), "learned": model.learned()}
    return figures


def _labels(model: Model, rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[float]]:
    gold: dict[str, list[str]] = {"intent": [], "emotion": []}
    said: dict[str, list[str]] = {"intent": [], "emotion": []}
    latencies = []
    for row in rows:
        parsed = model.parse(row["text"], row.get("context"))
        latencies.append(float(parsed.latency_ms))
        for kind in gold:
            if row.get(kind):
                gold[kind].append(row[kind])
                said[kind].append(getattr(parsed, kind) or _NONE)
    figures = {
        kind: {"n": len(g), "accuracy": accuracy(g, said[kind]), "macro_f1": macro_f1(g, said[kind])}
        for kind, g in gold.items()
    }
    return figures, latencies


def _strategies(model: Model, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = third = 0
    for row in rows:
        accepted = [row["strategy"]] if isinstance(row["strategy"], str) else row["strategy"]
        ranked = [name for name, _ in model.strategies([tuple(turn) for turn in row["context"]])]
        first += any(name in accepted for name in ranked[:1])
        third += any(name in accepted for name in ranked[:3])
    n = len(rows)
    return {"n": n, "top1": first / n if n else 0.0, "top3": third / n if n else 0.0}


def compare(
    champion: Mapping[str, Any] | None, challenger: Mapping[str, Any], tolerance: float | None = None
) -> list[Comparison]:
    """Both models' figures side by side; without a champion nothing stands in the challenger's way.

    Args:
        tolerance: the drop of a deciding figure that is let pass. By default 0.01, or one example of the set where that
            is more: on 50 examples a single one is worth 0.02.
    """
    lines = []
    for figure, group, key, decides in (
        ("intent macro-F1", "intent", "macro_f1", True),
        ("emotion macro-F1", "emotion", "macro_f1", True),
        ("strategy top-1", "strategy", "top1", True),
        ("intent accuracy", "intent", "accuracy", False),
        ("emotion accuracy", "emotion", "accuracy", False),
        ("corrected intents", "corrections", "intent", False),
        ("corrected emotions", "corrections", "emotion", False),
        ("corrected strategies", "corrections", "strategy", False),
    ):
        n = int(challenger[group]["strategy_n" if figure == "corrected strategies" else "n"])
        if n == 0 and not decides:
            continue
        allowed = (max(TOLERANCE, 1 / n) if tolerance is None else tolerance) if decides and n else None
        before = float(champion[group][key]) if champion is not None else None
        lines.append(Comparison(figure, n, before, float(challenger[group][key]), allowed))
    return lines


def measure_apart(model: Path, sets: Sets) -> dict[str, Any]:
    """``measure`` of a model file, in a process of its own.

    Raises:
        ModelError: the model cannot be loaded or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        rows, out = Path(folder) / "sets.json", Path(folder) / "figures.json"
        rows.write_text(json.dumps(vars(sets), ensure_ascii=False), encoding="utf-8")
        code = "import sys; from kefu.feedback.measure import main; main(*sys.argv[1:])"
        command = [sys.executable, "-c", code, str(model), str(rows), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not out.is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ModelError(f"The model {str(model)!r} could not be measured: {last}")
        figures: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return figures


def main(model: str, sets: str, out: str) -> None:
    """Measures the model file and writes the figures as JSON."""
    from kefu.rasa_bridge import RasaModel

    read = Sets(**json.loads(Path(sets).read_text(encoding="utf-8")))
    figures = measure(RasaModel.load(Path(model)), read)
    Path(out).write_text(json.dumps(figures, ensure_ascii=False), encoding="utf-8")
