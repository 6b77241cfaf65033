"""Moments of choosing, taken from dialogues, with the uncertainty that serving will have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kefu.dialogues import Dialogue
from kefu.facts import FREE_TEXTS, fill
from kefu.strategy.encoder import Encoder
from kefu.strategy.features import FACT_GROUPS
from kefu.strategy.history import AGENT, USER, History, Message
from kefu.taxonomy import EMOTIONS, INTENTS

# What each emotion is taken for, when it is taken for another.
_CONFUSED_EMOTIONS = {
    "neutral": {"confused": 3.0, "happy": 2.0, "anxious": 2.0, "disappointed": 2.0, "angry": 1.0},
    "happy": {"neutral": 8.0, "confused": 1.0, "disappointed": 0.5, "anxious": 0.5},
    "anxious": {"neutral": 4.0, "angry": 2.0, "confused": 2.0, "disappointed": 2.0},
    "confused": {"neutral": 5.0, "anxious": 2.0, "disappointed": 2.0},
    "disappointed": {"neutral": 3.0, "angry": 4.0, "anxious": 2.0, "confused": 1.0},
    "angry": {"disappointed": 5.0, "anxious": 2.0, "neutral": 2.0},
}


@dataclass(frozen=True)
class Point:
    """A moment of choosing: after a customer's message or after an agent's.

    Attributes:
        strategy: the strategy that followed; None where the agent said no more.
        listen: whether the agent's block ended here; None where it had not begun.
    """

    dialogue: str
    history: History
    strategy: str | None
    listen: bool | None


@dataclass(frozen=True)
class Noise:
    """How certain the labels of training messages are made to look.

    Attributes:
        intent_wrong, emotion_wrong: share of the messages whose likeliest label is another than the gold one.
        least, most: bounds of the likeliest label's probability.
        inferred: share of the dialogues whose strategies are the ones inferred from the texts.
        unobserved: share of the dialogues seen without facts.
    """

    intent_wrong: float = 0.1
    emotion_wrong: float = 0.18
    least: float = 0.6
    most: float = 0.98
    inferred: float = 0.5
    unobserved: float = 0.5


class Confuser:
    """Spreads probability over the labels that a classifier would confuse with the gold one."""

    def __init__(self, encoder: Encoder) -> None:
        glosses = encoder.encode(list(INTENTS.values()))
        self._mean = glosses.mean(0)
        self._glosses = glosses - self._mean
        self._encoder = encoder

    def intents(self, text: str, gold: str, noise: Noise, random: np.random.Generator) -> dict[str, float]:
        """Other intents share what is left by how near their glosses lie to the text."""
        nearness = self._glosses @ (self._encoder.encode([text])[0] - self._mean)
        weights = np.exp(12.0 * (nearness - nearness.max()) / max(float(nearness.std()) * 4.0, 1e-6))
        shares = dict(zip(INTENTS, weights))
        return _spread(gold, shares, noise.intent_wrong, noise, random)

    def emotions(self, gold: str, noise: Noise, random: np.random.Generator) -> dict[str, float]:
        """Other emotions share what is left by how easily they are taken for the gold one."""
        shares = {label: _CONFUSED_EMOTIONS[gold].get(label, 0.2) for label in EMOTIONS}
        return _spread(gold, shares, noise.emotion_wrong, noise, random)


def _spread(
    gold: str, shares: Mapping[str, float], wrong: float, noise: Noise, random: np.random.Generator
) -> dict[str, float]:
    others = [label for label in shares if label != gold]
    weights = np.array([shares[label] for label in others]) * random.gamma(1.0, 1.0, len(others))
    weights /= weights.sum()
    top = float(random.uniform(noise.least, noise.most))
    spread = {label: float(w) * (1.0 - top) for label, w in zip(others, weights)}
    spread[gold] = top
    if random.random() < wrong:
        rival = others[int(random.choice(len(others), p=weights))]
        spread[gold], spread[rival] = spread[rival], spread[gold]
    return spread


def messages_of(dialogue: Dialogue) -> list[Message]:
    """The dialogue's messages, placeholders filled, labels certain."""
    messages = []
    for turn in dialogue.turns:
        text = fill(turn.text, turn.facts)
        if turn.speaker == USER:
            messages.append(Message(USER, text, {str(turn.intent): 1.0}, {str(turn.emotion): 1.0}))
        else:
            messages.append(Message(AGENT, text, strategies={str(turn.strategy): 1.0}))
    return messages


def points_of(dialogue: Dialogue, needs_order: frozenset[str]) -> list[Point]:
    """Every moment of choosing in the dialogue, labels certain.

    The facts that an agent block states were found by the business actions before its first message. Their outcome is
    read off them; ``needs_order`` names the intents whose action asks for an order.
    """
    messages, turns = messages_of(dialogue), dialogue.turns
    known: dict[str, str] = {}
    points: list[Point] = []
    new: frozenset[str] = frozenset()
    for i in range(1, len(turns) + 1):
        follows = turns[i].strategy if i < len(turns) and turns[i].speaker == AGENT else None
        spoke = turns[i - 1].speaker
        if spoke == USER:
            if follows is None:
                continue
            block = _block_facts(dialogue, i)
            new = frozenset(k for k, v in block.items() if known.get(k) != v)
            known |= block
        history = History(messages[:i], frozenset(known), new)
        history = replace(history, outcome=_outcome(history, needs_order))
        points.append(Point(dialogue.id, history, follows, None if spoke == USER else follows is None))
    return points


def _block_facts(dialogue: Dialogue, start: int) -> dict[str, str]:
    facts: dict[str, str] = {}
    for turn in dialogue.turns[start:]:
        if turn.speaker == USER:
            break
        facts |= turn.facts
    return {k: v for k, v in facts.items() if k not in FREE_TEXTS}


def _outcome(history: History, needs_order: frozenset[str]) -> str:
    last = history.users[-1].intent if history.users else None
    if history.new_facts & FACT_GROUPS["opened"]:
        return "opened"
    if history.new_facts:
        return "found"
    if last == "contact_human":
        return "handed_over"
    if last == "give_feedback":
        return "recorded"
    return "needs_order_id" if last in needs_order and not history.order_known else "none"


def blurred(
    points: Sequence[Point],
    inferred: Mapping[str, Mapping[str, float]],
    confuser: Confuser,
    noise: Noise,
    random: np.random.Generator,
) -> list[Point]:
    """The points of one dialogue as serving would see them: the same message blurred the same way throughout.

    Args:
        inferred: strategy probabilities by agent text.
    """
    seen: dict[tuple[int, str], Message] = {}
    from_text, unobserved = random.random() < noise.inferred, random.random() < noise.unobserved

    def blur(position: int, message: Message) -> Message:
        key = (position, message.text)
        if key not in seen:
            if message.speaker == AGENT:
                seen[key] = replace(message, strategies=inferred[message.text]) if from_text else message
            else:
                intents = confuser.intents(message.text, str(message.intent), noise, random)
                seen[key] = replace(
                    message, intents=intents, emotions=confuser.emotions(str(message.emotion), noise, random)
                )
        return seen[key]

    result = []
    for point in points:
        messages = [blur(i, m) for i, m in enumerate(point.history.messages)]
        history = replace(point.history, messages=messages)
        if unobserved:
            history = replace(history, observed=False, facts=frozenset(), new_facts=frozenset(), outcome="none")
        result.append(replace(point, history=history))
    return result
