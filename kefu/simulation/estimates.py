"""The estimated half of the customer model: what the written dialogues say of customers, smoothed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kefu.dialogues import Dialogue, Turn
from kefu.errors import DataError
from kefu.facts import FREE_TEXTS, fill
from kefu.strategy.features import FACT_GROUPS
from kefu.strategy.history import CONVERSATIONAL, USER, Message, names_order
from kefu.taxonomy import EMOTIONS, STRATEGIES

Floats = npt.NDArray[np.float64]
MOODS = tuple(EMOTIONS)
_MOST_DETAILS = 2
# Imaginary customers that smooth: for a strategy those of all strategies, for these some whose mood stays as it is.
_PRIOR_STRATEGY, _PRIOR_STAY = 10.0, 1.0


@dataclass(frozen=True)
class Matter:
    """What a customer comes for.

    Attributes:
        topic: the intent that names it.
        emotion: in which she opens.
        needs_order: whether it cannot be answered without knowing the order.
        details: things that the agent has to ask for first.
        action: whether something is to be done, not only told.
        found, opened: fact keys that the business actions learn, and those that prove something was opened.
    """

    topic: str
    emotion: str
    needs_order: bool
    details: int
    action: bool
    found: frozenset[str]
    opened: frozenset[str]


@dataclass(frozen=True)
class Estimates:
    """What is drawn from.

    Attributes:
        matters: one for each dialogue, so that drawing one draws from their joint distribution.
        order_told: share of the questions for the order that a number answers.
        mood_after: by strategy (6, 6): the mood when she writes next, given the mood before; in the order of MOODS.
        complains: share of angry messages that complain of the service.
        further: share of the turns after facts, advice or a deed in which she names a matter again.
        says_after: by strategy, the conversational intents of her next message with their counts.
        first, later: (12,) shares of the strategies in a turn's first reply and in its others.
        stops_after: (12,) by the first reply's strategy, how often the turn ends with it.
    """

    matters: tuple[Matter, ...]
    order_told: float
    mood_after: Mapping[str, Floats]
    complains: float
    further: float
    says_after: Mapping[str, Mapping[str, int]]
    first: Floats
    later: Floats
    stops_after: Floats


def exchanges(dialogue: Dialogue) -> Iterator[tuple[Turn, list[Turn], Turn | None]]:
    """(customer's message, the agent's replies to it, her next message) where there was a reply."""
    said: Turn | None = None
    block: list[Turn] = []
    for turn in dialogue.turns:
        if turn.speaker == USER:
            if said is not None and block:
                yield said, block, turn
            said, block = turn, []
        else:
            block.append(turn)
    if said is not None and block:
        yield said, block, None


def estimate(dialogues: Sequence[Dialogue], needs_order: frozenset[str]) -> Estimates:
    """Counts and smooths.

    Args:
        needs_order: intents whose business action asks for an order.

    Raises:
        DataError: no dialogue names a matter.
    """
    matters = tuple(m for d in dialogues if (m := _matter(d, needs_order)) is not None)
    if not matters:
        raise DataError("None of the dialogues has a customer who names a matter; give folders of labelled dialogues.")
    moods: dict[str, Floats] = {s: np.zeros((len(MOODS), len(MOODS))) for s in STRATEGIES}
    says: dict[str, Counter[str]] = defaultdict(Counter)
    first, later, stopped = (np.ones(len(STRATEGIES)) for _ in range(3))
    asked, told, answered, further = 0, 0, 0, 0
    labels = tuple(STRATEGIES)
    for before, block, after in (e for d in dialogues for e in exchanges(d)):
        used = [str(t.strategy) for t in block]
        first[labels.index(used[0])] += 1
        stopped[labels.index(used[0])] += len(used) == 1
        for strategy in used[1:]:
            later[labels.index(strategy)] += 1
        if after is None:
            continue
        for strategy in used:
            moods[strategy][MOODS.index(str(before.emotion)), MOODS.index(str(after.emotion))] += 1
        if after.intent in CONVERSATIONAL:
            says[used[-1]][after.intent] += 1
        if "verify_identity" in used:
            asked += 1
            told += _tells_order(block, after)
        if {"inform", "suggest", "resolve"} & set(used):
            answered += 1
            further += after.intent not in CONVERSATIONAL
    angry = [t.intent for d in dialogues for t in d.turns[1:] if t.emotion == "angry"]
    return Estimates(
        matters,
        (told + 1) / (asked + 2),
        _smoothed(moods),
        (angry.count("complain_service") + 1) / (len(angry) + 2),
        (further + 1) / (answered + 2),
        dict(says),
        first / first.sum(),
        later / later.sum(),
        stopped / (first + 1.0),
    )


def _smoothed(moods: Mapping[str, Floats]) -> dict[str, Floats]:
    anyhow = sum(moods.values(), np.zeros((len(MOODS), len(MOODS)))) + _PRIOR_STAY * np.eye(len(MOODS))
    anyhow /= anyhow.sum(1, keepdims=True)
    return {
        strategy: (counts + _PRIOR_STRATEGY * anyhow) / (counts.sum(1, keepdims=True) + _PRIOR_STRATEGY)
        for strategy, counts in moods.items()
    }


def _tells_order(block: Sequence[Turn], after: Turn) -> bool:
    asking = Message("agent", block[-1].text, strategies={"verify_identity": 1.0})
    return names_order([asking, Message(USER, after.text)])


def _matter(dialogue: Dialogue, needs_order: frozenset[str]) -> Matter | None:
    opening = next((t for t in dialogue.turns if t.speaker == USER and t.intent not in CONVERSATIONAL), None)
    if opening is None:
        return None
    used = [t.strategy for t in dialogue.turns if t.strategy]
    facts = frozenset(k for t in dialogue.turns for k in t.facts) - set(FREE_TEXTS)
    topic, action = str(opening.intent), "resolve" in used
    opened = facts & FACT_GROUPS["opened"]
    if action and not opened:
        opened = frozenset({"ticket_id"})
    return Matter(
        topic,
        str(opening.emotion),
        topic in needs_order or "verify_identity" in used,
        min(used.count("clarify"), _MOST_DETAILS),
        action,
        facts - FACT_GROUPS["opened"] - {"order_id", "phone_tail"},
        opened if action else frozenset(),
    )


@dataclass(frozen=True)
class Sentences:
    """Real sentences by what they do; the values are never empty.

    Attributes:
        said: customers', by (intent, emotion).
        orders: customers' that name an order or a phone, when asked.
        details: customers' that answer a question for details, by topic.
        replies: agents', by (strategy, topic).
    """

    said: Mapping[tuple[str, str], Sequence[str]]
    orders: Sequence[str]
    details: Mapping[str, Sequence[str]]
    replies: Mapping[tuple[str, str], Sequence[str]]

    def customer(self, intent: str, emotion: str, random: np.random.Generator) -> tuple[str, str]:
        """(text, its own emotion): of that intent and emotion, or where there is none of the intent in another."""
        for mood in (emotion, "neutral", *MOODS):
            if texts := self.said.get((intent, mood)):
                return str(texts[int(random.integers(len(texts)))]), mood
        raise DataError(f"Neither examples nor dialogues have a sentence of the intent {intent!r}.")

    def agent(self, strategy: str, topic: str, random: np.random.Generator) -> str:
        """A reply of that strategy, in a dialogue about the topic where there is one."""
        texts = self.replies.get((strategy, topic)) or self.replies.get((strategy, "")) or (STRATEGIES[strategy],)
        return str(texts[int(random.integers(len(texts)))])

    @property
    def all_texts(self) -> list[str]:
        """Each once."""
        groups = (*self.said.values(), self.orders, *self.details.values(), *self.replies.values())
        return list(dict.fromkeys(text for texts in groups for text in texts))


def sentences(
    examples: Sequence[tuple[str, str, str]], dialogues: Sequence[Dialogue], most: int = 10, seed: int = 7
) -> Sentences:
    """Collects and keeps at most ``most`` of each kind, so that few have to be embedded.

    Args:
        examples: (text, intent, emotion) of single sentences.
    """
    said: dict[tuple[str, str], list[str]] = defaultdict(list)
    details: dict[str, list[str]] = defaultdict(list)
    replies: dict[tuple[str, str], list[str]] = defaultdict(list)
    orders: list[str] = []
    for text, intent, emotion in examples:
        said[intent, emotion].append(text)
    for dialogue in dialogues:
        topic = next((t.intent for t in dialogue.turns if t.intent and t.intent not in CONVERSATIONAL), "") or ""
        for turn in dialogue.turns:
            if turn.speaker == USER:
                if turn.intent not in ("provide_info",):
                    said[str(turn.intent), str(turn.emotion)].append(turn.text)
                continue
            text = fill(turn.text, turn.facts)
            replies[str(turn.strategy), topic].append(text)
            replies[str(turn.strategy), ""].append(text)
        for _, block, after in exchanges(dialogue):
            if after is None or after.intent != "provide_info":
                continue
            if block[-1].strategy == "verify_identity" and _tells_order(block, after):
                orders.append(after.text)
            elif block[-1].strategy == "clarify" and not names_order([Message(USER, after.text)]):
                details[topic].append(after.text)
                details[""].append(after.text)
    random = np.random.default_rng(seed)

    def few(texts: Sequence[str], limit: int = most) -> tuple[str, ...]:
        distinct = list(dict.fromkeys(texts))
        return tuple(distinct[int(i)] for i in random.permutation(len(distinct))[:limit])

    return Sentences(
        {key: few(texts) for key, texts in said.items()},
        few(orders, 20 * most) or ("尾号0816",),
        {key: few(texts, 5 * most if not key else most) for key, texts in details.items()},
        {key: few(texts, 5 * most if not key[1] else most) for key, texts in replies.items()},
    )
