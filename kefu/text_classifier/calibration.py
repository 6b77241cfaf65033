"""From logits to probabilities that can be believed: how much the context counts, and how sharp they are.

A message is read twice where it has a context, with it and alone; the two readings are one logarithmic opinion pool
(Hinton 2002, "Training Products of Experts"). A temperature then brings confidence down to accuracy (Guo et al. 2017,
"On Calibration of Modern Neural Networks"). Both are fitted on held-out examples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_FEWEST = 20  # examples to fit anything on
_SHARES = np.linspace(0.0, 0.9, 10)
_TEMPERATURES = np.exp(np.linspace(math.log(0.2), math.log(5.0), 100))


def log_softmax(logits: Array) -> Array:
    """Of the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


@dataclass(frozen=True)
class Calibration:
    """How a task's logits are read.

    Attributes:
        temperature: above 0; logits are divided by it.
        alone: weight in [0, 1) of the message's reading without its context; that with it has the rest.
    """

    temperature: float = 1.0
    alone: float = 0.0

    def probabilities(self, logits: npt.ArrayLike, alone: npt.ArrayLike | None = None) -> Array:
        """(…, labels), summing to 1.

        Args:
            logits: (…, labels), of the message in its context.
            alone: the same without it; None where there is no context.
        """
        pooled = np.asarray(logits, np.float64)
        if alone is not None:
            pooled = (1 - self.alone) * pooled + self.alone * np.asarray(alone, np.float64)
        return np.exp(log_softmax(pooled / self.temperature))

    @classmethod
    def fit(cls, logits: Array, alone: Array, targets: npt.NDArray[np.int64]) -> Calibration:
        """The one of least negative log-likelihood; the default for fewer than 20 examples.

        Args:
            logits: (examples, labels), in context.
            alone: the same without; equal to ``logits`` where an example has no context.
            targets: (examples,) label numbers; negative ones are passed over.
        """
        known = targets >= 0
        if int(known.sum()) < _FEWEST:
            return cls()
        logits, alone, targets = logits[known], alone[known], targets[known]
        rows = np.arange(len(targets))
        shares = _SHARES if bool((logits != alone).any()) else _SHARES[:1]
        best, least = cls(), math.inf
        for share in shares:
            pooled = (1 - share) * logits + share * alone
            for temperature in _TEMPERATURES:
                loss = -float(log_softmax(pooled / temperature)[rows, targets].mean())
                if loss < least:
                    best, least = cls(float(temperature), float(share)), loss
        return best
