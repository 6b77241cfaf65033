"""What a strategy is chosen from: the messages so far and what the business actions found out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kefu.facts import FREE_TEXTS
from kefu.taxonomy import INTENTS

USER, AGENT = "user", "agent"
OUTCOMES = (
    "found",
    "not_found",
    "needs_order_id",
    "needs_phone",
    "opened",
    "refused",
    "handed_over",
    "recorded",
    "none",
)
# Intents that carry the conversation on without naming a matter of business; the matter is the one named before.
CONVERSATIONAL = frozenset(
    (
        "give_feedback",
        "contact_human",
        "provide_info",
        "affirm",
        "deny",
        "greet",
        "thank",
        "goodbye",
        "ask_bot_identity",
        "chitchat",
        "out_of_scope",
    )
)
# Of these, what a reply cannot come back to either.
WITHOUT_MATTER = CONVERSATIONAL - {"contact_human", "give_feedback"}
# Least probability of an intent for its matter to be the one in hand: a wrong one is worse to come back to than none.
SURE_MATTER = 0.7
# An inferred strategy counts as used from this probability on.
SURE = 0.5
_ORDER_OR_PHONE = re.compile(r"(?<!\d)(?:\d{18}|1\d{10})(?!\d)|尾号\D{0,6}\d{4}(?!\d)")
_FOUR_DIGITS = re.compile(r"(?<!\d)\d{4}(?!\d)")


def best(distribution: Mapping[str, float]) -> str | None:
    """The likeliest label, or None for an empty distribution."""
    return max(distribution, key=lambda label: distribution[label]) if distribution else None


@dataclass(frozen=True)
class Message:
    """One message with what is known of it.

    Attributes:
        speaker: ``user`` or ``agent``.
        text: as sent, placeholders filled.
        intents, emotions: probabilities of a user's message; labels left out count as 0.
        strategies: probabilities of an agent's message, {strategy: 1.0} where the assistant chose it itself; empty
            for a human agent's message, until StrategyModel has inferred them from the text.
    """

    speaker: str
    text: str
    intents: Mapping[str, float] = field(default_factory=dict)
    emotions: Mapping[str, float] = field(default_factory=dict)
    strategies: Mapping[str, float] = field(default_factory=dict)

    @property
    def intent(self) -> str | None:
        """The likeliest intent."""
        return best(self.intents)

    @property
    def emotion(self) -> str | None:
        """The likeliest emotion."""
        return best(self.emotions)

    @property
    def strategy(self) -> str | None:
        """The strategy that this message surely carries out, else None."""
        found = best(self.strategies)
        return found if found and self.strategies[found] >= SURE else None


@dataclass(frozen=True)
class History:
    """The conversation up to the moment of choosing.

    Attributes:
        messages: oldest first; may end with the agent's own messages, to which another could be added.
        facts: fact keys known by now, those of this turn included.
        new_facts: fact keys that this turn's business actions learned.
        outcome: how the business action of this turn ended, one of OUTCOMES.
        order_id, phone: whether the order's number or the customer's phone is known from elsewhere than the texts.
        handed_over: whether a human agent has taken over.
        observed: whether business actions were run at all. Where only the texts of a conversation are known, False:
            then facts, new_facts and outcome say nothing, and no rule looks at them.
    """

    messages: Sequence[Message]
    facts: frozenset[str] = frozenset()
    new_facts: frozenset[str] = frozenset()
    outcome: str = "none"
    order_id: bool = False
    phone: bool = False
    handed_over: bool = False
    observed: bool = True

    @property
    def users(self) -> list[Message]:
        """The customer's messages."""
        return [m for m in self.messages if m.speaker == USER]

    @property
    def agents(self) -> list[Message]:
        """The agent's messages."""
        return [m for m in self.messages if m.speaker == AGENT]

    @property
    def block(self) -> list[Message]:
        """The agent's messages since the customer last wrote."""
        return _tail(self.messages, AGENT)

    @property
    def asked(self) -> list[Message]:
        """The customer's messages since the agent last wrote, this block's aside."""
        return _tail(self.messages[: len(self.messages) - len(self.block)], USER)

    @property
    def before(self) -> Message | None:
        """The agent's last message before the customer's last ones."""
        earlier = self.messages[: len(self.messages) - len(self.block) - len(self.asked)]
        return earlier[-1] if earlier else None

    @property
    def topic(self) -> str | None:
        """The matter in hand: the last intent that names one."""
        for message in reversed(self.users):
            if message.intent in INTENTS and message.intent not in CONVERSATIONAL:
                return message.intent
        return None

    @property
    def order_known(self) -> bool:
        """Whether there is something to look the order up by."""
        return self.order_id or self.phone or "order_id" in self.facts or names_order(self.messages)

    @property
    def business_facts(self) -> frozenset[str]:
        """New fact keys of this turn, policy passages and catalogue texts aside."""
        return self.new_facts - set(FREE_TEXTS)


def _tail(messages: Sequence[Message], speaker: str) -> list[Message]:
    tail: list[Message] = []
    for message in reversed(messages):
        if message.speaker != speaker:
            break
        tail.append(message)
    return tail[::-1]


def names_order(messages: Sequence[Message]) -> bool:
    """Whether the customer has written an order number, a phone number or its last four digits."""
    asked = False
    for message in messages:
        if message.speaker == AGENT:
            asked = message.strategies.get("verify_identity", 0.0) >= SURE or "尾号" in message.text
        elif _ORDER_OR_PHONE.search(message.text) or (asked and _FOUR_DIGITS.search(message.text)):
            return True
    return False
