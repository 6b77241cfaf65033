"""The arguments of a training run, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from kefu.errors import SettingsError


@dataclass(frozen=True)
class TrainingArguments:
    """How a classifier is fine-tuned. The defaults are those of ``rasa train``.

    Attributes:
        encoder: what kefu.pretrained.resolve takes.
        epochs: passes over the training examples, at most; the best epoch on the held-out split is kept.
        batch_size: examples a step.
        learning_rate: of the encoder, after warm-up.
        head_learning_rate: of the linear heads.
        weight_decay: AdamW's, on matrices only.
        warmup: share of the steps in which the learning rate rises from 0; it falls linearly to 0 afterwards.
        dropout: before the heads.
        label_smoothing: probability mass given to the other labels.
        context_dropout: share of the examples whose context is hidden in an epoch, so that a missing one costs nothing.
        frozen_layers: lowest encoder layers that stay as they were pretrained; each saves time, and little is lost.
        train_embeddings: whether word embeddings move; frozen ones overfit less and train faster.
        held_out: share of the examples kept for early stopping and for fitting the temperatures.
        patience: epochs without a better held-out score after which training stops.
        max_tokens: longest input, in tokens.
        seed: of the split, the order and the dropout.
    """

    encoder: str = "bundled:e5-small"
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 2e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    dropout: float = 0.1
    label_smoothing: float = 0.05
    context_dropout: float = 0.3
    frozen_layers: int = 4
    train_embeddings: bool = False
    held_out: float = 0.1
    patience: int = 3
    max_tokens: int = 192
    seed: int = 7

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "max_tokens"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SettingsError(f"{name!r} must be a whole number of at least 1. But it was: {value!r}")
        for name in ("frozen_layers", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise SettingsError(f"{name!r} must be a whole number of at least 0. But it was: {value!r}")
        for name in ("learning_rate", "head_learning_rate"):
            if not 0 < getattr(self, name) < 1:
                raise SettingsError(f"{name!r} must lie between 0 and 1. But it was: {getattr(self, name)!r}")
        for name in ("weight_decay", "warmup", "dropout", "label_smoothing", "context_dropout", "held_out"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"{name!r} must lie in [0, 1). But it was: {getattr(self, name)!r}")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TrainingArguments:
        """Takes the fields it knows from a component's config.

        Raises:
            SettingsError: a value has the wrong type or range.
        """
        values: dict[str, Any] = {}
        for f in fields(cls):
            if f.name in config:
                value, default = config[f.name], f.default
                wants = type(default)
                if wants is float and isinstance(value, int) and not isinstance(value, bool):
                    value = float(value)
                if not isinstance(value, wants) or (isinstance(value, bool) and wants is not bool):
                    raise SettingsError(f"{f.name!r} must be of type {wants.__name__}. But it was: {value!r}")
                values[f.name] = value
        return cls(**values)
