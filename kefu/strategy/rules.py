"""Rules that have the last word on a strategy: read from YAML, checked at once, applied to the model's scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from kefu.errors import DataError, NotFound
from kefu.strategy.history import OUTCOMES, History
from kefu.taxonomy import EMOTIONS, INTENTS, STRATEGIES

LABELS = tuple(STRATEGIES)
# A rule counts as fired when it moves at least this share of the probability.
_MOVED = 0.01
_LATELY = 2
_FORBIDDEN = -1e9


@dataclass(frozen=True)
class Moment:
    """A history and how many replies may still be given in this turn, the one to be chosen included."""

    history: History
    replies_left: int

    @property
    def intent(self) -> str | None:
        """Of the customer's last message."""
        return self.history.users[-1].intent if self.history.users else None

    @property
    def emotion(self) -> str | None:
        """Of the customer's last message."""
        return self.history.users[-1].emotion if self.history.users else None

    @property
    def used(self) -> list[str | None]:
        """The agent's strategies, oldest first; None where a human's text leaves it open."""
        return [m.strategy for m in self.history.agents]

    @property
    def used_in_block(self) -> list[str | None]:
        """The agent's strategies since the customer last wrote."""
        return [m.strategy for m in self.history.block]


def _about_actions(test: Callable[[Moment, Any], bool]) -> Callable[[Moment, Any], bool]:
    """A condition on what business actions found out fails where none were run."""
    return lambda moment, value: moment.history.observed and test(moment, value)


_CONDITIONS: dict[str, Callable[[Moment, Any], bool]] = {
    "intent_in": lambda m, v: m.intent in v,
    "topic_in": lambda m, v: m.history.topic in v,
    "emotion_in": lambda m, v: m.emotion in v,
    "outcome_in": _about_actions(lambda m, v: m.history.outcome in v),
    "unless_intent_in": lambda m, v: m.intent not in v,
    "unless_outcome_in": lambda m, v: not (m.history.observed and m.history.outcome in v),
    "order_known": lambda m, v: m.history.order_known == v,
    "handed_over": _about_actions(lambda m, v: m.history.handed_over == v),
    "new_facts": _about_actions(lambda m, v: bool(m.history.business_facts) == v),
    "first_in_block": lambda m, v: (not m.history.block) == v,
    "opening": lambda m, v: (not m.history.agents) == v,
    "asked_at_most": lambda m, v: m.used.count("verify_identity") <= v,
    "lately_without": lambda m, v: not set(m.used[-_LATELY:]) & set(v),
    "replies_left_at_least": lambda m, v: m.replies_left >= v,
}
# What the values of a condition or an effect may be: labels, true or false, or a whole number.
_LABELS_OF: dict[str, Sequence[str]] = {
    "intent_in": tuple(INTENTS),
    "topic_in": tuple(INTENTS),
    "unless_intent_in": tuple(INTENTS),
    "emotion_in": tuple(EMOTIONS),
    "outcome_in": OUTCOMES,
    "unless_outcome_in": OUTCOMES,
    "lately_without": LABELS,
    "forbid": LABELS,
    "only": LABELS,
}
_NUMBERS = ("asked_at_most", "replies_left_at_least")
_EFFECTS = ("forbid", "only", "favour", "require", "limit")
_LIMITS = ("in_block", "running")


@dataclass(frozen=True)
class Rule:
    """One rule of the file; ``when`` maps conditions to their checked values."""

    name: str
    reason: str
    when: Mapping[str, Any] = field(default_factory=dict)
    forbid: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    favour: Mapping[str, float] = field(default_factory=dict)
    require: str | None = None
    limit: Mapping[str, int] = field(default_factory=dict)

    def holds(self, moment: Moment) -> bool:
        """Whether every condition is met."""
        return all(_CONDITIONS[key](moment, value) for key, value in self.when.items())

    def forbidden(self, moment: Moment) -> set[str]:
        """The strategies that the rule takes out here."""
        out = set(self.forbid) | (set(LABELS) - set(self.only) if self.only else set())
        used, block = moment.used, moment.used_in_block
        for label in LABELS:
            if block.count(label) >= self.limit.get("in_block", 99):
                out.add(label)
            running = self.limit.get("running", 99)
            if len(used) >= running and set(used[-running:]) == {label}:
                out.add(label)
        return out


@dataclass(frozen=True)
class Ruled:
    """Probabilities in the order of LABELS, the rules that mattered, and the strategies that this turn still owes."""

    probabilities: np.ndarray[Any, np.dtype[np.float64]]
    fired: tuple[str, ...]
    owed: tuple[str, ...]


class Rules:
    """The file's rules, in order."""

    def __init__(self, rules: Sequence[Rule] = (), groups: Mapping[str, Iterable[str]] | None = None) -> None:
        self.rules = tuple(rules)
        self.groups = {name: frozenset(labels) for name, labels in (groups or {}).items()}

    def apply(self, logits: np.ndarray[Any, np.dtype[np.float64]], moment: Moment) -> Ruled:
        """The distribution over the strategies, (12,), that the rules leave of ``logits``.

        What a rule requires outweighs what others forbid when the turn's last reply comes. Where the rules would forbid
        everything, they are not heard.
        """
        scores, fired, owed = logits.astype(np.float64), [], []
        probabilities = _softmax(scores)
        for rule in self.rules:
            if not rule.holds(moment):
                continue
            changed = scores.copy()
            for label, plus in rule.favour.items():
                changed[LABELS.index(label)] += plus
            for label in rule.forbidden(moment):
                changed[LABELS.index(label)] = _FORBIDDEN
            if changed.max() <= _FORBIDDEN:
                continue
            if rule.require and rule.require not in moment.used_in_block:
                owed.append(rule.require)
            now = _softmax(changed)
            if np.abs(now - probabilities).sum() / 2 >= _MOVED:
                fired.append(rule.name)
            scores, probabilities = changed, now
        if owed and moment.replies_left <= len(owed):
            forced = np.full(len(LABELS), _FORBIDDEN)
            forced[LABELS.index(owed[0])] = 0.0
            probabilities = _softmax(forced)
            fired += [r.name for r in self.rules if r.require == owed[0] and r.name not in fired]
        return Ruled(probabilities, tuple(fired), tuple(owed))


def _softmax(scores: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    exponentials = np.exp(scores - scores.max())
    return np.asarray(exponentials / exponentials.sum())


def read_rules(path: Path) -> Rules:
    """Reads and checks a rule file.

    Raises:
        NotFound: no such file.
        DataError: a key or a value cannot be; the message names the rule, the key and the value.
    """
    if not path.is_file():
        raise NotFound(f"There is no file {str(path)!r} with strategy rules.")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise DataError(f"{path} is not YAML: {error}") from None
    if not isinstance(document, dict) or set(document) - {"groups", "strategy_rules"}:
        raise DataError(f"{path}: expected the keys 'groups' and 'strategy_rules'.")
    groups = {str(k): list(v) for k, v in (document.get("groups") or {}).items()}
    rules = [_rule(raw, groups, f"{path}, rule {i}") for i, raw in enumerate(document.get("strategy_rules") or [], 1)]
    repeated = {r.name for r in rules if sum(s.name == r.name for s in rules) > 1}
    if repeated:
        raise DataError(f"{path}: two rules have the name {sorted(repeated)[0]!r}.")
    return Rules(rules, groups)


def _rule(raw: Any, groups: Mapping[str, list[str]], where: str) -> Rule:
    if not isinstance(raw, dict) or not raw.get("name") or not raw.get("reason"):
        raise DataError(f"{where}: a rule has a name and a reason, but it was: {raw!r}")
    where = f"{where} {raw['name']!r}"
    unknown = set(raw) - {"name", "reason", "when", *_EFFECTS}
    if unknown:
        raise DataError(f"{where}: there is no key {sorted(unknown)[0]!r}; known are when, {', '.join(_EFFECTS)}.")
    if not set(raw) & set(_EFFECTS):
        raise DataError(f"{where}: has no effect; give one of {', '.join(_EFFECTS)}.")
    when = raw.get("when") or {}
    for key in when:
        if key not in _CONDITIONS:
            raise DataError(f"{where}: there is no condition {key!r}; known are {', '.join(_CONDITIONS)}.")
    favour, limit, require = raw.get("favour") or {}, raw.get("limit") or {}, raw.get("require")
    for label, plus in favour.items():
        if label not in LABELS or isinstance(plus, bool) or not isinstance(plus, (int, float)):
            raise DataError(f"{where}: 'favour' maps strategies to numbers, but it has {label!r}: {plus!r}.")
    for key, value in limit.items():
        if key not in _LIMITS or not _is_count(value, least=1):
            raise DataError(
                f"{where}: 'limit' maps in_block and running to whole numbers, but it has {key!r}: {value!r}."
            )
    if require is not None and require not in LABELS:
        raise DataError(f"{where}: 'require' has value {require!r}, which is no strategy.")
    return Rule(
        str(raw["name"]),
        str(raw["reason"]),
        {key: _value(key, value, groups, where) for key, value in when.items()},
        _value("forbid", raw.get("forbid", []), groups, where),
        _value("only", raw.get("only", []), groups, where),
        {str(k): float(v) for k, v in favour.items()},
        require,
        dict(limit),
    )


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _value(key: str, value: Any, groups: Mapping[str, list[str]], where: str) -> Any:
    if key in _NUMBERS:
        if not _is_count(value, least=0):
            raise DataError(f"{where}: {key!r} must be a whole number. But it was: {value!r}")
        return value
    if key not in _LABELS_OF:
        if not isinstance(value, bool):
            raise DataError(f"{where}: {key!r} must be true or false. But it was: {value!r}")
        return value
    labels = groups.get(value) if isinstance(value, str) else value
    if not isinstance(labels, list):
        raise DataError(f"{where}: {key!r} must be a list or a name of 'groups'. But it was: {value!r}")
    for label in labels:
        if label not in _LABELS_OF[key]:
            raise DataError(f"{where}: {key!r} has {label!r}; known are {', '.join(_LABELS_OF[key])}.")
    return tuple(labels)
