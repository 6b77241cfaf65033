"""Now and then another strategy than the best is tried, so that feedback can tell which one is better."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kefu.errors import SettingsError
from kefu.strategy.history import History

FAR_AHEAD = 0.8  # from this probability on there is nothing to try beside the best
LEAST = 0.05  # a strategy less likely than this is not tried; it bounds the propensities from below
MOST_CHANCE = 0.5


@dataclass(frozen=True)
class Exploration:
    """How much is tried.

    Attributes:
        chance: of drawing a strategy in place of taking the best, 0 to 0.5; 0 switches it off.
        temperature: strategies are drawn in proportion to probability ** (1 / temperature); 1 draws by the
            probabilities themselves, more evens them out.
        seed: with a conversation's id and its place in it, it settles each draw.
    """

    chance: float = 0.0
    temperature: float = 1.0
    seed: int = 7

    def __post_init__(self) -> None:
        if not 0 <= self.chance <= MOST_CHANCE:
            raise SettingsError(f"'chance' must lie in [0, {MOST_CHANCE:g}]. But it was: {self.chance!r}")
        if not 0 < self.temperature < float("inf"):
            raise SettingsError(f"'temperature' must be a number above 0. But it was: {self.temperature!r}")


@dataclass(frozen=True)
class Choice:
    """A strategy and how it came about.

    Attributes:
        propensity: how likely this strategy was to be taken here, the draw included; 1.0 where nothing was open.
        explored: whether it is another than the best.
        among: the strategies that could have been taken; empty where only the best could.
    """

    strategy: str
    propensity: float = 1.0
    explored: bool = False
    among: tuple[str, ...] = ()


def open_strategies(probabilities: Mapping[str, float], owed: Sequence[str], history: History) -> tuple[str, ...]:
    """The strategies that may be tried here, likeliest first; empty where it must be the best.

    Nothing is tried with an angry customer, where a rule requires a strategy in this turn, after a human has taken
    over, and where the best is far ahead. What a rule forbids has no probability and is never among them.
    """
    angry = any(m.emotion == "angry" for m in (*history.asked, *history.users[-1:]))
    if not probabilities or owed or angry or history.handed_over or max(probabilities.values()) >= FAR_AHEAD:
        return ()
    likely = sorted((s for s, p in probabilities.items() if p >= LEAST), key=lambda s: -probabilities[s])
    return tuple(likely) if len(likely) > 1 else ()


def choose(
    probabilities: Mapping[str, float], among: Sequence[str], exploration: Exploration, conversation: str, place: int
) -> Choice:
    """The best strategy, or with ``exploration.chance`` one drawn from ``among``.

    The propensity is that of the mixture: (1 - chance) for the best and chance * its share for each of ``among``. The
    same conversation and place always give the same choice.

    Args:
        probabilities: of the strategies, after the rules.
        among: from ``open_strategies``.
        place: number of this choice in the conversation.
    """
    best = max(probabilities, key=lambda s: probabilities[s])
    if not exploration.chance or len(among) < 2:
        return Choice(best)
    weights = [probabilities[s] ** (1.0 / exploration.temperature) for s in among]
    shares = [w / sum(weights) for w in weights]
    tried, drawn = _uniform(exploration.seed, conversation, place)
    strategy = _pick(among, shares, drawn) if tried < exploration.chance else best
    propensity = exploration.chance * shares[among.index(strategy)]
    propensity += 1.0 - exploration.chance if strategy == best else 0.0
    return Choice(strategy, propensity, strategy != best, tuple(among))


def _pick(among: Sequence[str], shares: Sequence[float], drawn: float) -> str:
    for strategy, share in zip(among, shares):
        drawn -= share
        if drawn < 0:
            return strategy
    return among[-1]


def _uniform(seed: int, conversation: str, place: int) -> tuple[float, float]:
    """Two numbers in [0, 1), the same for the same arguments on every machine."""
    digest = hashlib.sha256(f"{seed}\0{conversation}\0{place}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64, int.from_bytes(digest[8:16], "big") / 2**64
