"""Plays many conversations in step, so that the networks see them as one batch."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np

from kefu.simulation.behaviour import VALENCE, Behaviour
from kefu.simulation.customer import DETAIL, ORDER, Customer, Reader
from kefu.simulation.estimates import Estimates, Sentences
from kefu.simulation.policies import Floats, Policy
from kefu.strategy import AGENT, USER, History, Message
from kefu.strategy.examples import Confuser, Noise
from kefu.strategy.history import best, names_order
from kefu.strategy.rules import LABELS, Moment

MAX_REPLIES = 2  # a turn, as config.yml has it


@dataclass(frozen=True)
class Played:
    """How a conversation went.

    Attributes:
        turns: the customer's messages.
        emotion: the one she left with.
    """

    resolved: bool
    turns: int
    emotion: str
    strategies: tuple[str, ...]


@dataclass(frozen=True)
class Decision:
    """A logged choice, with what came of it; what off-policy learning needs.

    Attributes:
        emotion, outcome, last: of the moment: what was read of her mood, how the business action ended, the strategy
            before (None for the first).
        propensity: the probability it was chosen with.
        reward: from -1 to 1.
    """

    customer: str
    emotion: str
    outcome: str
    last: str | None
    strategy: str
    propensity: float
    reward: float


class World:
    """Customers, their sentences and how their words are read. The same seed gives every policy the same customers."""

    def __init__(
        self,
        behaviour: Behaviour,
        estimates: Estimates,
        sentences: Sentences,
        confuser: Confuser,
        needs_order: frozenset[str],
        noise: Noise | None = None,
    ) -> None:
        self.behaviour, self.estimates, self.sentences = behaviour, estimates, sentences
        self.needs_order = needs_order
        self.reader = Reader(behaviour, estimates)
        self._confuser, self._noise = confuser, noise or Noise()
        self._read: dict[tuple[str, str, str], Message] = {}

    def under(self, behaviour: Behaviour) -> World:
        """The same world with customers of another behaviour."""
        other = copy(self)
        other.behaviour, other.reader = behaviour, Reader(behaviour, self.estimates)
        return other

    def message(self, text: str, intent: str, emotion: str) -> Message:
        """The message as a classifier of the usual faults reads it; the same sentence always the same way."""
        key = (text, intent, emotion)
        if key not in self._read:
            random = np.random.default_rng(zlib.crc32("|".join(key).encode()))
            intents = self._confuser.intents(text, intent, self._noise, random)
            self._read[key] = Message(USER, text, intents, self._confuser.emotions(emotion, self._noise, random))
        return self._read[key]

    def play(self, policy: Policy, dialogues: int, seed: int, log: list[Decision] | None = None) -> list[Played]:
        """Plays conversations to their ends.

        Args:
            log: where the decisions are put, if anywhere.
        """
        talks = [_Talk(self, seed, i) for i in range(dialogues)]
        live = talks
        while live:
            for talk in live:
                talk.customer_writes()
            self._agent_writes(policy, live)
            for talk in live:
                talk.customer_reads()
            live = [talk for talk in live if not talk.customer.gone]
        if log is not None:
            log += [d for talk in talks for d in talk.decisions()]
        return [talk.played() for talk in talks]

    def _agent_writes(self, policy: Policy, live: Sequence[_Talk]) -> None:
        due = list(live)
        for left in range(MAX_REPLIES, 0, -1):
            moments = [Moment(talk.history(), left) for talk in due]
            offer = policy(moments)
            going = []
            for talk, moment, probabilities, listen in zip(due, moments, offer.strategies, offer.listen):
                if moment.history.block and listen >= 0.5:
                    continue
                draw = talk.chances.random() if policy.drawn else None
                talk.reply(moment, probabilities, draw)
                going.append(talk)
            due = going
            if not due:
                return


@dataclass
class _Logged:
    decision: Decision
    turn: int
    place: int


@dataclass
class _Talk:
    """One conversation under way. What the customer does, and what the policy draws, have a stream of chances each."""

    world: World
    seed: int
    number: int
    messages: list[Message] = field(default_factory=list)
    facts: frozenset[str] = frozenset()
    new: frozenset[str] = frozenset()
    outcome: str = "none"
    block: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    turns: int = 0
    logged: list[_Logged] = field(default_factory=list)
    rewards: dict[tuple[int, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng([self.seed, self.number, 0])
        self.chances = np.random.default_rng([self.seed, self.number, 1])
        self.customer = Customer.draw(self.world.behaviour, self.world.estimates, self.random)

    def customer_writes(self) -> None:
        """Her message, and what the business actions make of it."""
        text, intent, mood = self._words()
        self.messages.append(self.world.message(text, intent, mood))
        self.turns += 1
        self.block = []
        self.customer.order_known = self.customer.order_known or names_order(self.messages)
        self._look_up(intent)

    def _words(self) -> tuple[str, str, str]:
        sentences, customer = self.world.sentences, self.customer
        if customer.says == ORDER:
            return _one(sentences.orders, self.random), "provide_info", customer.emotion
        if customer.says == DETAIL:
            texts = sentences.details.get(customer.matter.topic) or sentences.details.get("")
            if texts:
                return _one(texts, self.random), "provide_info", customer.emotion
        intent = "provide_info" if customer.says == DETAIL else customer.says
        text, mood = sentences.customer(intent, customer.emotion, self.random)
        return text, intent, mood

    def _look_up(self, intent: str) -> None:
        """What the shop's actions find out: the order's facts, and once all is told, the number of what was opened."""
        customer, matter = self.customer, self.customer.matter
        known = customer.stage != "early"
        asks = intent in (matter.topic, "provide_info", "complain_service")
        self.new, self.outcome = frozenset(), "none"
        if asks and known:
            self.new = matter.found | (
                matter.opened if customer.stage == "ready" and customer.wants_action else frozenset()
            )
            self.facts |= self.new
        if self.new & matter.opened:
            self.outcome = "opened"
        elif self.new:
            self.outcome = "found"
        elif intent in self.world.needs_order and not known:
            self.outcome = "needs_order_id"

    def history(self) -> History:
        """The conversation so far."""
        return History(tuple(self.messages), self.facts, self.new, self.outcome)

    def reply(self, moment: Moment, probabilities: Floats, draw: float | None) -> None:
        """One reply of the agent: the likeliest, or the one at ``draw`` of the cumulated probabilities."""
        if draw is None:
            chosen = int(probabilities.argmax())
        else:
            chosen = min(int(np.searchsorted(probabilities.cumsum(), draw, side="right")), len(LABELS) - 1)
        strategy = LABELS[chosen]
        propensity = float(probabilities[chosen]) if draw is not None else 1.0
        emotion, outcome, last = context(moment.history)
        decision = Decision(f"c{self.number}", emotion, outcome, last, strategy, propensity, 0.0)
        self.logged.append(_Logged(decision, self.turns, len(self.block)))
        self.block.append(strategy)
        self.used.append(strategy)
        text = self.world.sentences.agent(strategy, self.customer.matter.topic, self.chances)
        self.messages.append(Message(AGENT, text, strategies={strategy: 1.0}))

    def customer_reads(self) -> None:
        """Her reaction, and what feedback can be had of it: the mood's turn, now and then a thumb."""
        customer, rating = self.customer, self.world.behaviour.rating
        before = VALENCE[customer.emotion]
        reactions = self.world.reader.react(customer, self.block, self.random)
        turned = VALENCE[customer.emotion] - before
        for place, reaction in enumerate(reactions):
            reward = 0.5 * turned
            if self.chances.random() < rating["chance"]:
                pleased = reaction.progress and not reaction.missteps
                if self.chances.random() < rating["wrong"]:
                    pleased = not pleased
                reward = 1.0 if pleased else -1.0
            self.rewards[self.turns, place] = float(np.clip(reward, -1.0, 1.0))

    def decisions(self) -> list[Decision]:
        """The log, each reward half what was said at once and half how it ended."""
        end = 1.0 if self.customer.solved else -1.0
        return [
            replace(e.decision, reward=0.5 * self.rewards.get((e.turn, e.place), 0.0) + 0.5 * end) for e in self.logged
        ]

    def played(self) -> Played:
        """What is counted."""
        return Played(self.customer.solved, self.turns, self.customer.emotion, tuple(self.used))


def context(history: History) -> tuple[str, str, str | None]:
    """(emotion, outcome, last strategy) of a moment."""
    users, agents = history.users, history.agents
    emotion = best(users[-1].emotions) if users else None
    return emotion or "neutral", history.outcome, best(agents[-1].strategies) if agents else None


def _one(texts: Sequence[str], random: np.random.Generator) -> str:
    return texts[int(random.integers(len(texts)))]
