"""The arguments of a training run, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from kefu.errors import SettingsError


@dataclass(frozen=True)
class TrainingArguments:
    """How a classifier is fine-tuned. The defaults are those of ``rasa train``.

    Attributes:
        encoder: what kefu.pretrained.resolve takes.
        lora_rank: trains matrices of this rank beside the encoder's own (Hu et al. 2021) in their place; 0 for none.
        epochs: passes over the training examples, at most; the best epoch on the held-out split is kept.
        batch_size: examples a step.
        learning_rate: of the encoder, after warm-up.
        head_learning_rate: of the linear heads.
        weight_decay: AdamW's, on matrices only.
        warmup: share of the steps in which the learning rate rises from 0; it falls linearly to 0 afterwards.
        dropout: before the heads.
        encoder_dropout: after each sublayer of the encoder's trained layers.
        label_smoothing: probability mass given to the other labels.
        context_dropout: share of the examples whose context is hidden in an epoch, so that a missing one costs nothing.
        typos: share of the examples that are mistyped in an epoch: sound-alikes, swapped and dropped characters.
        frozen_layers: lowest encoder layers that stay as they were pretrained; each saves time, and little is lost.
        layer_decay: the learning rate of each trained layer as a share of that of the layer above it.
        train_embeddings: whether word embeddings move; frozen ones overfit less and train faster.
        gradient_accumulation: batches whose gradients make one step.
        mixed_precision: whether matrices are multiplied in bfloat16.
        r_drop: weight of the divergence between two passes with other dropout (Liang et al. 2021); 0 makes one pass.
        contrastive: weight of the supervised contrastive loss within a batch (Khosla et al. 2020).
        contrastive_epochs: passes that draw labels apart before there are heads, for labels of a few examples each.
        class_balance: 0 weighs every example the same, 1 every label; between them by that power of the frequency.
        average: decay of the running average of the weights that is judged and kept in their place; 0 keeps the last.
        models: trained one after the other from other seeds; their weights' mean is kept (Wortsman et al. 2022).
        held_out: share of the examples kept for early stopping and for the calibration.
        patience: epochs without a better held-out score after which training stops.
        max_tokens: longest input, in tokens.
        seed: of the split, the order and the dropout.
    """

    encoder: str = "bundled:e5-small"
    lora_rank: int = 0
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 2e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    dropout: float = 0.1
    encoder_dropout: float = 0.1
    label_smoothing: float = 0.05
    context_dropout: float = 0.3
    typos: float = 0.0
    frozen_layers: int = 4
    layer_decay: float = 1.0
    train_embeddings: bool = False
    gradient_accumulation: int = 1
    mixed_precision: bool = True
    r_drop: float = 0.0
    contrastive: float = 0.0
    contrastive_epochs: int = 0
    class_balance: float = 0.0
    average: float = 0.0
    models: int = 1
    held_out: float = 0.1
    patience: int = 3
    max_tokens: int = 192
    seed: int = 7

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "gradient_accumulation", "models", "patience", "max_tokens"):
            self._whole(name, 1)
        for name in ("lora_rank", "frozen_layers", "contrastive_epochs", "seed"):
            self._whole(name, 0)
        for name in ("learning_rate", "head_learning_rate"):
            self._check(name, 0 < getattr(self, name) < 1, "lie between 0 and 1")
        for name in ("dropout", "encoder_dropout", "context_dropout", "typos", "label_smoothing"):
            self._check(name, 0 <= getattr(self, name) < 1, "lie in [0, 1)")
        for name in ("weight_decay", "warmup", "average", "held_out"):
            self._check(name, 0 <= getattr(self, name) < 1, "lie in [0, 1)")
        for name in ("r_drop", "contrastive"):
            self._check(name, getattr(self, name) >= 0, "be at least 0")
        self._check("layer_decay", 0 < self.layer_decay <= 1, "lie in (0, 1]")
        self._check("class_balance", 0 <= self.class_balance <= 1, "lie in [0, 1]")

    def _whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        self._check(name, whole, f"be a whole number of at least {least}")

    def _check(self, name: str, holds: bool, must: str) -> None:
        if not holds:
            raise SettingsError(f"{name!r} must {must}. But it was: {getattr(self, name)!r}")

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


def assignments(texts: Sequence[str]) -> dict[str, Any]:
    """{name: value} of "name=value" texts; values are read as YAML reads them.

    Raises:
        SettingsError: a text has no "=".
    """
    import yaml

    for text in texts:
        if "=" not in text:
            raise SettingsError(f"--set takes name=value. But it was: {text!r}")
    return {name.strip(): yaml.safe_load(value) for name, value in (text.split("=", 1) for text in texts)}
