"""How the strategy model is trained.

The defaults were chosen by cross-validation (``kefu evaluate cross-validate``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kefu.errors import SettingsError
from kefu.strategy.examples import Noise


@dataclass(frozen=True)
class TrainingArguments:
    """Checked when made.

    Attributes:
        encoder: what kefu.pretrained.resolve takes.
        components: main components kept of an embedding.
        copies: how often each dialogue is seen, differently blurred.
        hidden: width of the hidden layer; 0 for a linear model.
        members: networks whose logits are averaged, each from another seed.
        epochs: passes over all copies.
        batch_size: points a step.
        learning_rate: AdamW's, falling to 0 along a cosine.
        weight_decay: AdamW's, on matrices.
        dropout: share of the inputs, and of the hidden units, that are dropped in a step.
        label_smoothing: probability mass given to the other strategies.
        without: names of feature blocks, or their beginnings (``emotion``), that are left blank.
        folds: parts of the dialogues for the out-of-fold predictions on which the temperatures are fitted.
        noise: how the labels of training messages are blurred.
        seed: of everything random.
    """

    encoder: str = "bundled:e5-small"
    components: int = 96
    copies: int = 3
    hidden: int = 256
    members: int = 3
    epochs: int = 12
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    dropout: float = 0.3
    label_smoothing: float = 0.0
    without: tuple[str, ...] = ()
    folds: int = 3
    noise: Noise = field(default_factory=Noise)
    seed: int = 7

    def __post_init__(self) -> None:
        for name in ("components", "copies", "members", "epochs", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SettingsError(f"{name!r} must be a whole number of at least 1. But it was: {value!r}")
        if not isinstance(self.folds, int) or self.folds < 2:
            raise SettingsError(f"'folds' must be a whole number of at least 2. But it was: {self.folds!r}")
        if not isinstance(self.hidden, int) or self.hidden < 0:
            raise SettingsError(f"'hidden' must be a whole number of at least 0. But it was: {self.hidden!r}")
        for name in ("dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"{name!r} must lie in [0, 1). But it was: {getattr(self, name)!r}")
