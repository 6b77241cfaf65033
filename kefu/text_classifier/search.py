"""A search for training arguments (optuna: a tree-structured Parzen estimator, bad trials ended at the median).

Each trial trains on the same examples, is judged on the same held-out split, and stands in a SQLite file, so that a
search can be interrupted, gone on with, and looked at with optuna-dashboard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kefu.text_classifier.arguments import TrainingArguments
from kefu.text_classifier.examples import Example
from kefu.text_classifier.model import Task
from kefu.text_classifier.trainer import train

# name -> (least, most, whether on a logarithmic scale)
SPACE: dict[str, tuple[float, float, bool]] = {
    "learning_rate": (5e-5, 1e-3, True),
    "head_learning_rate": (3e-4, 1e-2, True),
    "dropout": (0.0, 0.3, False),
    "encoder_dropout": (0.0, 0.2, False),
    "label_smoothing": (0.0, 0.15, False),
    "context_dropout": (0.1, 0.6, False),
    "typos": (0.0, 0.3, False),
    "layer_decay": (0.7, 1.0, False),
    "contrastive": (0.0, 0.3, False),
    "class_balance": (0.0, 0.5, False),
}


def score(figures: dict[str, float]) -> float:
    """What a trial is judged by: the mean macro-F1 of the tasks on the held-out split."""
    scores = [value for name, value in figures.items() if name.startswith("held_out")]
    return sum(scores) / len(scores) if scores else 0.0


def search(
    examples: Sequence[Example],
    tasks: Sequence[Task],
    arguments: TrainingArguments,
    trials: int,
    storage: Path,
    names: Sequence[str] = (),
    minutes: float | None = None,
    tell: Callable[[str], None] = print,
    **training: Any,
) -> tuple[float, dict[str, float]]:
    """The best mean held-out macro-F1 found so far, and the arguments that had it.

    Args:
        arguments: of which those of SPACE are drawn anew in each trial.
        storage: a SQLite file; a search in it is gone on with.
        names: the arguments to search, all of SPACE if empty.
        minutes: after which no trial begins.
        training: further parameters of ``train``.

    Raises:
        KeyError: a name that is not in SPACE.
        DataError: fewer than two labels of a task.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {name: SPACE[name] for name in names or SPACE}
    storage.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        direction="maximize",
        study_name=f"{arguments.encoder}, {', '.join(space)}",
        storage=f"sqlite:///{storage}",
        sampler=optuna.samplers.TPESampler(seed=arguments.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
        load_if_exists=True,
    )

    def objective(trial: optuna.Trial) -> float:
        drawn: dict[str, Any] = {
            name: trial.suggest_float(name, low, high, log=log) for name, (low, high, log) in space.items()
        }
        best = 0.0

        def judge(figures: dict[str, float]) -> None:
            nonlocal best
            best = max(best, score(figures))
            trial.report(score(figures), int(figures["epoch"]))
            if trial.should_prune():
                raise optuna.TrialPruned

        train(examples, tasks, replace(arguments, **drawn), on_epoch=judge, **training)
        told = ", ".join(f"{name}={value:.3g}" for name, value in drawn.items())
        tell(f"trial {trial.number}: {best:.4f} with {told}")
        return best

    study.optimize(objective, n_trials=trials, timeout=None if minutes is None else minutes * 60)
    return float(study.best_value), {name: float(value) for name, value in study.best_params.items()}
