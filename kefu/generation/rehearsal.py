"""Training examples from the labelled messages: what the templates would say to each of them.

The dialogues teach how to speak to one customer; they are too few to teach a small model when to say what. The labelled
messages are many: each is set into a short scene (alone, behind the agent's question, with facts just looked up) whose
reply is a template that fits it. Where the model is unsure, it then falls back on what was written by hand.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kefu.facts import fill
from kefu.generation.examples import Example
from kefu.generation.prompt import with_names
from kefu.generation.request import AGENT, USER, ReplyRequest
from kefu.generation.templates import EMPTY, FOLLOW_UPS, HAND_WRITTEN, Template

# How often each strategy answers a business message; manage_emotion where there is an emotion to manage.
_WEIGHTS = {
    "inform": 6,
    "resolve": 5,
    "manage_emotion": 5,
    "verify_identity": 3,
    "clarify": 3,
    "restate": 3,
    "suggest": 3,
    "other": 1.5,
    "continue_relationship": 1.5,
    "request_feedback": 1.5,
    "greet": 0.7,
}
_CLOSING = {"thank_and_close": 5, "request_feedback": 2, "continue_relationship": 2}
_SMALL_TALK = {
    "greet": {"greet": 1},
    "thank": _CLOSING,
    "goodbye": {"thank_and_close": 1},
    "chitchat": {"other": 2, "greet": 1},
    "affirm": {"request_feedback": 3, "continue_relationship": 2, "other": 2, "thank_and_close": 1},
    "deny": {"thank_and_close": 2, "clarify": 2, "suggest": 1, "request_feedback": 1},
    "provide_info": {"other": 2, "inform": 2, "restate": 1, "clarify": 1},
    "contact_human": {"other": 3, "manage_emotion": 2, "clarify": 1, "suggest": 1},
}
_STATES_FACTS = frozenset({"inform", "resolve"})
# Values of facts that the dialogues hardly state.
_SELDOM = (
    ("return_address", "苏州市吴中区青禾仓售后组"),
    ("ticket_state", "处理中"),
    ("ticket_state", "已派给仓库主管"),
    ("balance", "36.5元"),
    ("balance", "120元"),
)
_CALM = frozenset({"neutral", None})


@dataclass(frozen=True)
class Message:
    """A labelled message of the NLU data, and the agent's turn before it where it needs one."""

    text: str
    intent: str
    emotion: str | None
    context: str | None = None


class Rehearsal:
    """Draws scenes.

    Args:
        messages: of all intents.
        templates: as kefu.generation.templates reads them; the English ones are left out.
        facts: (key, value) pairs to fill placeholders with.
    """

    def __init__(
        self,
        messages: Sequence[Message],
        templates: Sequence[Template],
        facts: Sequence[tuple[str, str]],
        seed: int,
    ) -> None:
        self._random = random.Random(seed)
        self._messages = [m for m in messages if m.intent not in HAND_WRITTEN]
        self._numbers = [m for m in messages if m.intent == "provide_info" and re.search(r"\d{4}", m.text)]
        usable = (t for t in templates if not (t.english or t.outcomes or t.follows or EMPTY in t.strategies))
        self._templates = [t for t in usable if not t.intents & HAND_WRITTEN]
        self._values: dict[str, list[str]] = {}
        for key, value in (*facts, *_SELDOM):
            self._values.setdefault(key, []).append(value)

    def draw(self, count: int) -> list[Example]:
        """``count`` examples, or fewer where messages have no template."""
        found = (self._scene(number) for number in range(count))
        return [example for example in found if example]

    def _scene(self, number: int) -> Example | None:
        draw, message = self._random, self._random.choice(self._messages)
        strategy = self._strategy(message)
        template = self._template(strategy, message)
        if template is None:
            return None
        facts = {key: draw.choice(self._values[key]) for key in sorted(template.needs)}
        intent: str | None = message.intent
        turns = [(AGENT, message.context)] if message.context else []
        turns.append((USER, message.text))
        if facts and self._numbers and draw.random() < 0.6:  # the number was asked for first
            asked = self._template("verify_identity", message)
            if asked and not asked.needs:
                told = draw.choice(self._numbers)
                turns += [(AGENT, asked.text), (USER, told.text)]
                intent = "provide_info"
        elif draw.random() < 0.3 and strategy not in ("greet", "manage_emotion", "thank_and_close"):
            soothed = self._template("manage_emotion" if message.emotion not in _CALM else "greet", message)
            if soothed and not soothed.needs:
                turns.append((AGENT, soothed.text))
        request = ReplyRequest(
            strategy, intent, message.emotion, None, facts, [], tuple(turns), deadline=0.0, new_facts=tuple(facts)
        )
        fill(template.text, facts)  # every placeholder has its fact
        return Example(f"rehearsal:{number}", request, {}, with_names(template.text))

    def _strategy(self, message: Message) -> str:
        weights = dict(_SMALL_TALK.get(message.intent, _WEIGHTS))
        if message.emotion in _CALM:
            weights.pop("manage_emotion", None)
        return self._random.choices(list(weights), list(weights.values()))[0]

    def _template(self, strategy: str, message: Message) -> Template | None:
        """One that fits; those written for the intent or the emotion are drawn more often than those for all."""
        fits, weights = [], []
        for template in self._templates:
            if strategy not in template.strategies or not template.needs <= set(self._values):
                continue
            if template.emotions and message.emotion not in template.emotions:
                continue
            matched = message.intent in template.intents
            if template.intents and not matched and not (template.needs and message.intent in FOLLOW_UPS):
                continue
            if strategy in _STATES_FACTS and not (template.needs and (matched or message.intent in FOLLOW_UPS)):
                continue
            fits.append(template)
            weights.append(1 + 4 * matched + 3 * bool(template.emotions) + bool(template.needs))
        return self._random.choices(fits, weights)[0] if fits else None
