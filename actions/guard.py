"""Keeps every failure inside an action: it is logged, and the customer gets a polite text or the turn goes on."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions.send import send
from actions.turn import Turn
from kefu import metrics

logger = logging.getLogger(__name__)
Events = list[dict[str, Any]]
Run = Callable[..., Awaitable[Events]]
APOLOGY = {
    "zh": "抱歉，我这边刚才没处理好，麻烦您再发一次；着急的话可以说“转人工”。",
    "en": "Sorry, something went wrong on our side. Please send that again, or ask for a human agent.",
}


def guarded(deadline: float, speaks: bool = False, otherwise: Callable[[], Events] = list) -> Callable[[Run], Run]:
    """Decorates ``async def run(self, dispatcher, tracker, domain)``.

    Args:
        deadline: seconds after which the action is given up.
        speaks: whether the customer is owed a message, so that a failure sends an apology if nothing was sent yet.
        otherwise: the events of a failed run.
    """

    def decorate(run: Run) -> Run:
        @functools.wraps(run)
        async def safe(self: Any, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
            try:
                return await asyncio.wait_for(run(self, dispatcher, tracker, domain), deadline)
            except asyncio.TimeoutError:
                logger.error(
                    "%s was not done after %.1f s in conversation %r.", self.name(), deadline, tracker.sender_id
                )
            except Exception:
                logger.exception("%s failed in conversation %r.", self.name(), tracker.sender_id)
            metrics.errors.labels(self.name()).inc()
            if speaks and not dispatcher.messages:
                send(dispatcher, APOLOGY[Turn(tracker).language], strategy="other", source="template")
            return otherwise()

        return safe

    return decorate
