"""Where two strategies are about as good, a reply is drafted for each: the better pair is sent (kefu.strategy.value).

Off by default, since a CPU has time for one draft: KEFU_COMPARE_DRAFTS is how far, in probability, the second strategy
may lie behind the first to be tried as well.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from actions import resources
from kefu.settings import settings
from kefu.taxonomy import stages_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A reply with its strategy; ``compared`` has the score of each strategy drafted, empty where there was one."""

    strategy: str
    reply: Any
    compared: Mapping[str, float] = field(default_factory=dict)


def rival(scores: Mapping[str, Any], chosen: str, margin: float) -> str | None:
    """The second strategy, where it is close behind ``chosen`` and no rule stands against it.

    Args:
        scores: the slot ``strategy_scores``.
        margin: largest difference of the probabilities; 0 is never close.
    """
    probabilities: Mapping[str, float] = scores.get("scores") or {}
    if not margin or scores.get("explored") or chosen not in probabilities:
        return None
    others = [s for s in scores.get("open") or () if s != chosen and s in probabilities]
    second = max(others, key=lambda s: probabilities[s], default=None)
    return second if second and probabilities[chosen] - probabilities[second] <= margin else None


def compared(
    scores: Mapping[str, Any],
    chosen: str,
    turns: list[tuple[str, str]],
    draft: Callable[[str, float], Any],
    seconds: float,
) -> Answer:
    """The reply of ``chosen``, or that of its rival where the value model finds it better.

    Args:
        draft: (strategy, seconds) -> reply.
        seconds: for all drafts together.
    """
    started = time.monotonic()
    second = rival(scores, chosen, settings().compare_drafts)
    model = resources.value.ready() if second else None
    if second is None or model is None:
        return Answer(chosen, draft(chosen, seconds))
    drafts = [(chosen, draft(chosen, seconds / 2))]
    drafts.append((second, draft(second, max(seconds - (time.monotonic() - started), 0.05))))
    from kefu.strategy.value import moment_of

    best, totals = model.choose(moment_of(turns), [(s, r.text) for s, r in drafts], scores["scores"])
    told = {s: round(total, 3) for (s, _), total in zip(drafts, totals)}
    logger.info("Of the drafts for %s, %r is sent.", told, drafts[best][0])
    return Answer(*drafts[best], told)


def stage_with(strategy: str, stage: str | None) -> str | None:
    """``stage``, or the strategy's own where it does not belong there."""
    stages = stages_of(strategy)
    return stage if stage in stages or not stages else stages[0]
