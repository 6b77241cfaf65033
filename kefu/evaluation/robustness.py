"""How much of a model's figures is left when customers mistype: clean texts against texts with seeded noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from kefu.evaluation.nlu import NluRow, Parser, figures_of
from kefu.evaluation.noise import KINDS, spoil

CLEAN, MIXED = "clean", "mixed"
CONDITIONS = (CLEAN, *KINDS, MIXED)


def spoiled(rows: Sequence[NluRow], condition: str, share: float, seed: int) -> list[NluRow]:
    """The rows with their texts spoiled; what the agent said before stays.

    Args:
        condition: one of CONDITIONS.

    Raises:
        SettingsError: no such condition, or ``share`` is not from 0 to 1.
    """
    if condition == CLEAN:
        return list(rows)
    kinds = tuple(KINDS) if condition == MIXED else (condition,)
    return [replace(row, text=spoil(row.text, kinds, share, seed)) for row in rows]


def evaluate_robustness(
    model: Parser, rows: Sequence[NluRow], share: float = 0.1, seed: int = 7, on_row: Callable[[], None] | None = None
) -> dict[str, Any]:
    """{condition: {"changed", "intent": {…}, "emotion": {…}}} for the clean texts, each kind of noise and all mixed.

    ``changed`` is the share of texts that differ from the clean ones. Each task has n, accuracy and macro_f1 from 0 to
    1 and, but for the clean texts, accuracy_drop and macro_f1_drop in points, clean minus noisy times 100.

    Raises:
        SettingsError: ``share`` is not from 0 to 1.
    """
    asked: dict[tuple[object, ...], Any] = {}  # a text that the noise left alone is not read again
    found: dict[str, Any] = {}
    for condition in CONDITIONS:
        noisy = spoiled(rows, condition, share, seed)
        results = []
        for row in noisy:
            key = row.text, row.context, row.before
            if key not in asked:
                asked[key] = model.parse(row.text, row.context, row.before)
            results.append(asked[key])
            if on_row:
                on_row()
        changed = sum(one.text != other.text for one, other in zip(rows, noisy)) / len(rows) if rows else 0.0
        figures = figures_of(noisy, results)
        for task, group in figures.items():
            for name in ("accuracy", "macro_f1") if condition != CLEAN else ():
                group[f"{name}_drop"] = 100 * (found[CLEAN][task][name] - group[name])
        found[condition] = {"changed": changed, **figures}
    return found
