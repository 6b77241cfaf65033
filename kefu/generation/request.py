"""What a reply is made from, and the reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from kefu.knowledge.passage import Passage
from kefu.plain_text import hidden, plain
from kefu.settings import settings

USER, AGENT = "user", "agent"
# Intents that carry on with the matter in hand: knowledge is searched for what was asked before.
CARRIED_ON = frozenset({"provide_info", "affirm", "deny"})


def _deadline() -> float:
    return settings().reply_deadline


@dataclass(frozen=True)
class ReplyRequest:
    """One reply to write.

    Attributes:
        strategy, intent, emotion, stage: labels of the taxonomy; all but the strategy may be unknown.
        facts: key of facts.yml (or any other key) -> the words an agent would say.
        passages: retrieved knowledge, best first.
        turns: (speaker, text), oldest first; speakers are ``user`` and ``agent``.
        deadline: seconds within which the reply has to be there.
        outcome: how the business action of this turn ended (found, not_found, needs_order_id ...), where there was one.
        new_facts: keys of the facts learned in this turn; empty where that is not known.
        topic: the last business intent, which a follow-up such as provide_info carries on with.
    """

    strategy: str
    intent: str | None
    emotion: str | None
    stage: str | None
    facts: Mapping[str, str]
    passages: Sequence[Passage]
    turns: Sequence[tuple[str, str]]
    deadline: float = field(default_factory=_deadline)
    outcome: str | None = None
    new_facts: Sequence[str] = ()
    topic: str | None = None

    def cleaned(self) -> ReplyRequest:
        """The request with the turns as plain text, and a fact too where something is hidden in it."""
        facts = {key: plain(str(value)) if hidden(str(value)) else value for key, value in self.facts.items()}
        return replace(self, facts=facts, turns=[(speaker, plain(str(text))) for speaker, text in self.turns])


@dataclass(frozen=True)
class Reply:
    """A reply that may be sent.

    Attributes:
        text: never empty.
        source: ``model`` or ``template``.
        latency_ms: from request to reply.
        refused: why drafts were refused, in order; empty where the first draft was sent or none was made.
        passages: ids of the passages that the reply uses, then of those that it could have drawn on.
    """

    text: str
    source: str
    latency_ms: float
    refused: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()


def last_words(turns: Sequence[tuple[str, str]]) -> str:
    """What the customer wrote since the agent's last turn, joined by spaces; empty where she wrote nothing."""
    said: list[str] = []
    for speaker, text in reversed(turns):
        if speaker != USER:
            break
        said.insert(0, text)
    if said:
        return " ".join(said).strip()
    # The agent goes on in a second message: it still answers the customer's last block.
    users = [i for i, (speaker, _) in enumerate(turns) if speaker == USER]
    return last_words(turns[: users[-1] + 1]) if users else ""
