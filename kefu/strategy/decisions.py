"""Choices that were made, what they were made from, and what came of them: what a policy learns from off-line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kefu.errors import DataError, NotFound
from kefu.strategy.history import OUTCOMES, History, Message
from kefu.taxonomy import STRATEGIES

_KEPT = 20  # messages of a history; the features look back less far
_LABELS = 5  # of a distribution
_JUDGES = 4  # every so-manieth customer is kept for comparing policies


@dataclass(frozen=True)
class Signals:
    """What a customer showed of how a reply went down.

    Attributes:
        thumb: ``up`` or ``down``.
        stars: 1 to 5.
        corrected: she wrote what should have been answered.
        misread: she wrote what she had meant: the intent was at fault rather than the strategy.
        resolved: her next message thanked, said goodbye, or said yes to a question whether all is well.
        wanted_human: her next message asked for a human.
        upset: degrees by which her next message was more upset than this one, -4 to 4 (kefu.feedback.urgency).
    """

    thumb: str | None = None
    stars: int | None = None
    corrected: bool = False
    misread: bool = False
    resolved: bool = False
    wanted_human: bool = False
    upset: int = 0


@dataclass(frozen=True)
class Weights:
    """What each signal adds to a reward; the sum is cut to [-1, 1].

    What a customer says of a reply outright (thumb, stars, correction) counts as much as everything else together; what
    is read off her next message is a hint that classifiers have made.
    """

    thumb: float = 1.0
    stars: float = 1.0  # for five, its negative for one, nothing for three
    corrected: float = -1.0
    misread: float = -0.3
    resolved: float = 0.5
    wanted_human: float = -0.5
    upset: float = -0.15  # for each degree


def reward(signals: Signals, weights: Weights | None = None) -> float:
    """From -1 to 1; 0 where the customer showed nothing."""
    w = weights or Weights()
    total = {"up": w.thumb, "down": -w.thumb}.get(signals.thumb or "", 0.0)
    total += w.stars * (signals.stars - 3) / 2 if signals.stars else 0.0
    total += w.corrected * signals.corrected + w.misread * signals.misread
    total += w.resolved * signals.resolved + w.wanted_human * signals.wanted_human + w.upset * signals.upset
    return max(-1.0, min(1.0, total))


@dataclass(frozen=True)
class Decision:
    """A strategy taken where several could have been.

    Attributes:
        key: tells it from all others.
        customer: a pseudonym, the same for all of a customer's conversations that are known to be hers.
        at: seconds since 1970.
        history: what it was made from, texts masked.
        replies_left: in its turn, this one included.
        strategy: the one taken.
        propensity: how likely it was to be taken, above 0 and below 1.
        among: the strategies that could have been taken.
        reward: what came of it, -1 to 1.
    """

    key: str
    customer: str
    at: float
    history: History
    replies_left: int
    strategy: str
    propensity: float
    among: tuple[str, ...]
    reward: float

    @property
    def judges(self) -> bool:
        """Whether it is one of those that policies are compared on and none learns from: one customer in four."""
        return int.from_bytes(hashlib.sha256(self.customer.encode()).digest()[:4], "big") % _JUDGES == 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "history": history_as_dict(self.history), "among": list(self.among)}


def history_as_dict(history: History) -> dict[str, Any]:
    """For JSON: the last messages, of their labels the likeliest."""
    return {
        **vars(history),
        "messages": [_compact(m) for m in history.messages[-_KEPT:]],
        "facts": sorted(history.facts),
        "new_facts": sorted(history.new_facts),
        "order_id": history.order_known,  # the number may stand in a message that is left out
    }


def _compact(message: Message) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in asdict(message).items():
        if isinstance(value, dict):
            likeliest = sorted(value.items(), key=lambda pair: -pair[1])[:_LABELS]
            value = {label: round(float(p), 4) for label, p in likeliest}
        if value:
            kept[name] = value
    return {"text": "", **kept}


def history_of(raw: Mapping[str, Any]) -> History:
    """Reads what ``history_as_dict`` wrote.

    Raises:
        KeyError, TypeError, ValueError: it did not.
    """
    sets = {name: frozenset(map(str, raw[name])) for name in ("facts", "new_facts")}
    if raw["outcome"] not in OUTCOMES:
        raise ValueError(f"the outcome {raw['outcome']!r} is none of {', '.join(OUTCOMES)}")
    return History(**{**raw, **sets, "messages": [Message(**m) for m in raw["messages"]]})


def decision_of(raw: Mapping[str, Any]) -> Decision:
    """Reads what ``Decision.as_dict`` made.

    Raises:
        DataError: a key is missing, or a value cannot be.
    """
    try:
        made = Decision(**{**raw, "history": history_of(raw["history"]), "among": tuple(raw["among"])})
        if made.strategy not in made.among or not set(made.among) <= set(STRATEGIES):
            raise ValueError(f"the strategy {made.strategy!r} is not among {', '.join(made.among)}")
        if not 0 < made.propensity <= 1 or not -1 <= made.reward <= 1:
            raise ValueError(f"the propensity {made.propensity!r} or the reward {made.reward!r} cannot be")
        return made
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"This is no decision ({error}): {json.dumps(raw, ensure_ascii=False)[:200]}") from None


def read_decisions(path: Path) -> list[Decision]:
    """The decisions of a .jsonl file.

    Raises:
        NotFound: no such file.
        DataError: a line is no decision; the message names it.
    """
    if not path.is_file():
        raise NotFound(f"There is no {str(path)!r} with decisions; `kefu retrain` writes one.")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            try:
                found.append(decision_of(json.loads(line)))
            except (ValueError, DataError) as error:
                raise DataError(f"{path}:{number}: {error}") from None
    return found


def write_decisions(decisions: Iterable[Decision], path: Path) -> None:
    """Writes a .jsonl file, the same for the same decisions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps(d.as_dict(), ensure_ascii=False) for d in decisions]
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")


def within(decisions: Sequence[Decision], most: int = 20) -> list[Decision]:
    """At most ``most`` of each customer, her newest; in their order."""
    of_customer: dict[str, list[Decision]] = {}
    for decision in decisions:
        of_customer.setdefault(decision.customer, []).append(decision)
    kept = {d.key for own in of_customer.values() for d in sorted(own, key=lambda d: (-d.at, d.key))[:most]}
    return [d for d in decisions if d.key in kept]
