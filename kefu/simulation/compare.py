"""Plays the policies against the same customers and puts intervals around what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kefu.dialogues import Dialogue
from kefu.simulation.behaviour import VALENCE, Behaviour, shaken
from kefu.simulation.estimates import MOODS, estimate, sentences
from kefu.simulation.feedback import Learning, learn, poisoned
from kefu.simulation.play import Decision, Played, World
from kefu.simulation.policies import Always, Exploring, Learned, Policy, Prior
from kefu.strategy import Rules, StrategyModel
from kefu.strategy.examples import Confuser
from kefu.strategy.model import ORDER_TOPICS
from kefu.strategy.rules import LABELS

Floats = npt.NDArray[np.float64]
_RESAMPLES = 1000
_SHAKE, _SHAKEN_DIALOGUES = 0.5, 400  # odds go up or down by about two thirds; conversations in each such world
_UPSET = ("angry", "disappointed")
BASELINE, CLEAN, CAPPED, UNCAPPED = "learned", "feedback", "feedback, poisoned, capped", "feedback, poisoned, no cap"
BAD_STRATEGY = "continue_relationship"  # pleasant, never forbidden, and it brings nobody on


@dataclass(frozen=True)
class Plan:
    """What is played.

    Attributes:
        dialogues: of each policy.
        seed: of the customers; what the feedback is learned from is played with another one.
        explored: conversations that the feedback is learned from.
        ratings: top ratings of the one customer who poisons it; 0 for none.
        bad: what she gives them to.
        worlds: how many times all is played again with the customers' numbers moved by chance.
    """

    dialogues: int = 2000
    seed: int = 1
    explored: int = 2000
    ratings: int = 500
    bad: str = BAD_STRATEGY
    worlds: int = 0


def make_world(
    behaviour: Behaviour, dialogues: Sequence[Dialogue], examples: Sequence[tuple[str, str, str]], model: StrategyModel
) -> World:
    """Customers after the dialogues, with sentences of theirs and of ``examples``, (text, intent, emotion).

    Raises:
        DataError: no dialogue names a matter.
    """
    needs_order = model.rules.groups.get(ORDER_TOPICS, frozenset())
    spoken = sentences(examples, dialogues)
    model.encoder.encode(spoken.all_texts)  # at once, which is faster; the encoder remembers them
    return World(behaviour, estimate(dialogues, needs_order), spoken, Confuser(model.encoder), needs_order)


def policies(world: World, model: StrategyModel) -> dict[str, Policy]:
    """Those that need no feedback, by name."""
    return {
        "always inform": Always("inform"),
        "rules only": Prior(world.estimates, model.rules),
        "learned, no rules": Learned(model.with_rules(Rules((), model.rules.groups))),
        BASELINE: Learned(model),
    }


def compare(
    world: World,
    model: StrategyModel,
    plan: Plan,
    more: Mapping[str, Policy] | None = None,
    on_policy: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Plays all policies, those of ``more`` too.

    Returns:
        {"policies": {name: figures}, "poison": {"ratings", "strategy", "held_off", "difference"} or None, "shaken": see
        ``shake``, or None}. ``held_off``: whether the capped policy's resolution lies within the clean one's interval;
        ``difference``: its resolution less the clean one's, customer by customer.
    """
    arms = {**policies(world, model), **(more or {})}
    log: list[Decision] = []
    world.play(Exploring(Learned(model)), plan.explored, plan.seed + 1_000_003, log)
    arms[CLEAN] = Learned(model, learn(log))
    if plan.ratings:
        spoiled = poisoned(log, plan.ratings, plan.bad, plan.seed)
        arms[CAPPED] = Learned(model, learn(spoiled))
        arms[UNCAPPED] = Learned(model, learn(spoiled, replace(Learning(), per_customer=None)))
    played = {}
    for name, policy in arms.items():
        if on_policy:
            on_policy(name)
        played[name] = world.play(policy, plan.dialogues, plan.seed)
    result = figures(played, plan.seed)
    poison = None
    if plan.ratings:
        low, high = result[CLEAN]["resolved"]["low"], result[CLEAN]["resolved"]["high"]
        held = bool(low <= result[CAPPED]["resolved"]["value"] <= high)
        moved = [float(p.resolved) - float(q.resolved) for p, q in zip(played[CAPPED], played[CLEAN])]
        difference = _interval(np.array(moved), _resamples(plan.dialogues, plan.seed))
        poison = {"ratings": plan.ratings, "strategy": plan.bad, "held_off": held, "difference": difference}
    shaken_worlds = None
    if plan.worlds:
        if on_policy:
            on_policy(f"{plan.worlds} shaken worlds")
        stay = {name: policy for name, policy in arms.items() if name not in (CAPPED, UNCAPPED)}
        shaken_worlds = shake(world, stay, plan)
    return {"policies": result, "poison": poison, "shaken": shaken_worlds}


def shake(world: World, arms: Mapping[str, Policy], plan: Plan) -> dict[str, dict[str, float]]:
    """Plays in worlds whose stated numbers are moved by chance, to see what hangs on them.

    Returns:
        By policy {least, most, below}: the lowest and the highest resolution rate, and the share of the worlds where it
        lies below the baseline's.
    """
    rates: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(plan.worlds):
        behaviour = shaken(world.behaviour, _SHAKE, np.random.default_rng([plan.seed, number]))
        other = world.under(behaviour)
        for name, policy in arms.items():
            played = other.play(policy, min(plan.dialogues, _SHAKEN_DIALOGUES), plan.seed)
            rates[name].append(sum(p.resolved for p in played) / len(played))
    base = rates[BASELINE]
    return {
        name: {"least": min(own), "most": max(own), "below": sum(a < b for a, b in zip(own, base)) / len(own)}
        for name, own in rates.items()
    }


def figures(played: Mapping[str, Sequence[Played]], seed: int) -> dict[str, dict[str, Any]]:
    """By policy {resolved, turns, upset, mood, gain: {value, low, high}, emotions: {emotion: share},
    strategies: {strategy: uses a conversation}}.

    ``resolved`` and ``upset`` (left angry or disappointed) are shares, ``mood`` the mean of the last emotion from -1
    (angry) to 1 (happy). ``gain`` is the resolution rate less the baseline's, customer by customer, where there is a
    baseline. Intervals hold 95 % of bootstrap resamples of the conversations, the same ones for all policies.
    """
    shares = _resamples(len(next(iter(played.values()))), seed)
    result = {}
    for name, some in played.items():
        columns = {
            "resolved": [float(p.resolved) for p in some],
            "turns": [float(p.turns) for p in some],
            "upset": [float(p.emotion in _UPSET) for p in some],
            "mood": [VALENCE[p.emotion] for p in some],
        }
        if BASELINE in played:
            columns["gain"] = [float(p.resolved) - float(q.resolved) for p, q in zip(some, played[BASELINE])]
        ends, used = Counter(p.emotion for p in some), Counter(s for p in some for s in p.strategies)
        result[name] = {
            **{column: _interval(np.array(values), shares) for column, values in columns.items()},
            "emotions": {mood: ends[mood] / len(some) for mood in MOODS},
            "strategies": {label: used[label] / len(some) for label in LABELS},
        }
    return result


def _resamples(conversations: int, seed: int) -> Floats:
    """(resamples, conversations) shares that each conversation has of a resample."""
    even = np.full(conversations, 1.0 / conversations)
    return np.asarray(np.random.default_rng(seed).multinomial(conversations, even, size=_RESAMPLES) / conversations)


def _interval(values: Floats, shares: Floats) -> dict[str, float]:
    low, high = np.quantile(shares @ values, (0.025, 0.975))
    return {"value": float(values.mean()), "low": float(low), "high": float(high)}
