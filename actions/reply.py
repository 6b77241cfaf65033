"""action_reply: writes the reply for the strategy that the policy chose, from facts, knowledge and the talk so far."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import ActiveLoop, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import resources
from actions.compare import Answer, compared, stage_with
from actions.guard import guarded
from actions.send import send
from actions.turn import FORM, Turn
from kefu import metrics
from kefu.settings import settings

logger = logging.getLogger(__name__)
TURNS = 6
GRACE = 0.5  # seconds on top of the reply's deadline, for the hand-over between threads
DEADLINE = 30.0  # seconds; a last resort, every step below has its own
# Strategies that state something; the others need no knowledge.
INFORMING = ("inform", "suggest", "resolve", "continue_relationship", "clarify", "restate")


class ActionReply(Action):
    """Sends one reply; the writing runs in a thread of its own, other conversations go on meanwhile."""

    def name(self) -> str:
        """The action's name in domain.yml."""
        return "action_reply"

    @guarded(DEADLINE, speaks=True)
    async def run(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """A form that was left for this reply gets the word again."""
        turn = Turn(tracker)
        started = time.monotonic()
        answer = await self._reply(turn, started)
        reply, swapped = answer.reply, answer.strategy != _strategy(turn)
        metrics.count_reply(reply.source, answer.strategy, time.monotonic() - started, reply.refused)
        scores = turn.slot("strategy_scores") or {}
        stage = stage_with(answer.strategy, turn.slot("stage")) if swapped else turn.slot("stage")
        send(
            dispatcher,
            reply.text,
            strategy=answer.strategy,
            source=reply.source,
            probability=scores["scores"][answer.strategy] if swapped else turn.slot("strategy_probability"),
            # by the drafts it was settled, not by chance: nothing to be learned off-policy
            propensity=None if answer.compared else scores.get("propensity"),
            explored=bool(scores.get("explored")),
            compared=dict(answer.compared),
            stage=stage,
            passages=list(reply.passages),
            refused=list(reply.refused),
            latency_ms=round((time.monotonic() - started) * 1000, 1),
        )
        events = [SlotSet("strategy", answer.strategy), SlotSet("stage", stage)] if swapped else []
        return [*events, *([ActiveLoop(FORM)] if turn.in_form else [])]

    async def _reply(self, turn: Turn, started: float) -> Answer:
        loop = asyncio.get_running_loop()
        wait = settings().reply_deadline + GRACE
        try:
            return await asyncio.wait_for(
                loop.run_in_executor(resources.reply_threads, write, turn, started), timeout=wait
            )
        except asyncio.TimeoutError:
            metrics.errors.labels("late_reply").inc()
            logger.warning("No reply after %.1f s in conversation %r, the template is sent.", wait, turn.sender_id)
        except Exception:
            metrics.errors.labels("reply").inc()
            logger.exception("The reply of conversation %r could not be written.", turn.sender_id)
        return await asyncio.to_thread(write_from_template, turn)


def write(turn: Turn, started: float) -> Answer:
    """The reply; what has passed since ``started``, waiting for a thread included, counts towards the deadline."""
    responder = resources.responder.ready()
    if responder is None:  # still loading
        return write_from_template(turn)
    left = max(settings().reply_deadline - (time.monotonic() - started), 0.05)

    def draft(strategy: str, seconds: float) -> Any:
        return responder.reply(request(turn, strategy, passages(turn, strategy), seconds))

    return compared(turn.slot("strategy_scores") or {}, _strategy(turn), conversation(turn), draft, left)


def write_from_template(turn: Turn) -> Answer:
    """The strategy's template, without a model and without knowledge."""
    strategy = _strategy(turn)
    return Answer(strategy, resources.templates.get().reply(request(turn, strategy, [], settings().reply_deadline)))


def request(turn: Turn, strategy: str, found: list[Any], deadline: float) -> Any:
    """What the reply is made from."""
    from kefu.generation import ReplyRequest

    facts: dict[str, str] = turn.slot("facts") or {}
    fresh = [key for key in turn.slot("new_facts") or [] if key in facts]
    return ReplyRequest(
        strategy=strategy,
        intent=turn.intent,
        emotion=turn.emotion,
        stage=turn.slot("stage"),
        facts={**{key: facts[key] for key in fresh}, **facts},
        passages=found,
        turns=conversation(turn),
        deadline=deadline,
        outcome=turn.slot("outcome") or "none",
        new_facts=fresh,
        topic=turn.matter[0] if turn.matter else None,
    )


def _strategy(turn: Turn) -> str:
    return str(turn.slot("strategy") or "inform")


def conversation(turn: Turn, limit: int = TURNS) -> list[tuple[str, str]]:
    """The last turns as (speaker, text), oldest first; clicked feedback is not one."""
    said: list[tuple[str, str]] = []
    for event in turn.tracker.events_after_latest_restart():
        text = str(event.get("text") or "").strip()
        if event.get("event") == "user" and text and not text.startswith("/"):
            said.append(("user", text))
        elif event.get("event") == "bot" and text:
            said.append(("agent", text))
    return said[-limit:]


def passages(turn: Turn, strategy: str) -> list[Any]:
    """The knowledge to draw on; a failing index is logged."""
    if strategy not in INFORMING:
        return []
    from kefu.generation.sources import passages_for

    try:
        retriever = resources.retriever.ready()
        if retriever is None or not turn.text:
            return []
        return passages_for(retriever, turn.text, turn.intent, turn.matter, bool(turn.slot("new_facts")))
    except Exception:
        metrics.errors.labels("knowledge").inc()
        logger.exception("The knowledge could not be searched for conversation %r.", turn.sender_id)
        return []
