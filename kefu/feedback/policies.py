"""Which of two strategy policies earns more, by choices of customers from whom neither has learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kefu.errors import DataError
from kefu.feedback.measure import Comparison
from kefu.strategy.correction import projected
from kefu.strategy.decisions import Decision, within
from kefu.strategy.estimates import Estimate, Evaluation, Interval, chosen
from kefu.strategy.model import logged_of
from kefu.strategy.reader import LABELS

CHOICES, CUSTOMERS = 60, 15  # fewer tell nothing
MARGIN = 0.05
GATHER = "Set 'exploration' (0.05, say) under StrategyPolicy in config.yml, serve customers, and kefu feedback harvest."


@dataclass(frozen=True)
class Split:
    """Choices to learn from and, of other customers, choices to judge by; a customer's newest only."""

    taught: list[Decision]
    judges: list[Decision]

    @property
    def lacking(self) -> str | None:
        """What there is too little of for a judgement, or None."""
        customers = len({d.customer for d in self.judges})
        if len(self.judges) >= CHOICES and customers >= CUSTOMERS:
            return None
        return (
            f"{len(self.judges)} choices of {customers} customers are there to judge policies by; "
            f"{CHOICES} of {CUSTOMERS} are needed"
        )


def split(decisions: Sequence[Decision]) -> Split:
    """Deals by customer."""
    return Split(within([d for d in decisions if not d.judges]), within([d for d in decisions if d.judges]))


@dataclass(frozen=True)
class Contest:
    """What two policies would have earned a choice, and how much more the challenger."""

    champion: Estimate
    challenger: Estimate
    difference: Interval
    margin: float

    @property
    def good(self) -> bool:
        """Whether the challenger surely loses no more than the margin."""
        return self.difference.low >= -self.margin - 1e-9

    @property
    def line(self) -> Comparison:
        """For the table of figures."""
        return Comparison(
            "strategy reward",
            self.challenger.n,
            self.champion.dr.value,
            self.challenger.dr.value,
            self.margin,
            (self.difference.low, self.difference.high),
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "champion": self.champion.as_dict(),
            "challenger": self.challenger.as_dict(),
            "difference": self.difference.as_dict(),
            "margin": self.margin,
            "good": self.good,
        }


def _evaluation(judges: Sequence[Decision]) -> Evaluation:
    return Evaluation(projected(logged_of(judges)))


def _policy(choices: Sequence[str], judges: Sequence[Decision]) -> Any:
    if len(choices) != len(judges):
        raise DataError(f"A model made {len(choices)} choices where {len(judges)} were asked for.")
    return chosen([LABELS.index(c) for c in choices], len(LABELS))


def estimate(judges: Sequence[Decision], choices: Sequence[str]) -> Estimate:
    """What the policy that makes ``choices`` is worth.

    Raises:
        DataError: too few customers for cross-fitting, or not one choice each.
    """
    return _evaluation(judges).estimate(_policy(choices, judges))


def contest(
    judges: Sequence[Decision], champion: Sequence[str], challenger: Sequence[str], margin: float = MARGIN
) -> Contest:
    """Compares the policies that make these choices, on the same resamples.

    Raises:
        DataError: see ``estimate``.
    """
    evaluation = _evaluation(judges)
    before, after = (_policy(choices, judges) for choices in (champion, challenger))
    difference = evaluation.difference(after, before)
    return Contest(evaluation.estimate(before), evaluation.estimate(after), difference, margin)


def mean_reward(judges: Sequence[Decision]) -> float:
    """What the choices as they were made have earned."""
    return float(np.mean([d.reward for d in judges])) if judges else 0.0
