"""One turn between a client and Rasa: feedback first, then her words, and always an answer."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from rasa.core.channels.channel import UserMessage

from components.channels import courtesies
from components.channels.conversations import Conversations
from components.channels.identity import signed_in
from components.channels.incoming import Incoming, escape, feedback_payload
from components.channels.replies import ReplyChannel
from kefu import metrics

logger = logging.getLogger(__name__)
OnNewMessage = Callable[[UserMessage], Awaitable[Any]]
_CHANNELS = ("rest", "socketio")  # whatever else a client calls itself is counted as other
TURN_DEADLINE = 30.0  # seconds until a turn without an answer is apologised for


class Taken(NamedTuple):
    """What became of a message: dropped as ``repeated``, or taken from ``customer_id`` (None: not signed in)."""

    repeated: bool = False
    customer_id: str | None = None


class Turns:
    """Hands a channel's messages to Rasa and sees to it that each one is answered."""

    def __init__(
        self, on_new_message: OnNewMessage, conversations: Conversations, deadline: float = TURN_DEADLINE
    ) -> None:
        """``deadline`` is in seconds for one message; a turn that takes longer goes on, after an apology."""
        self._on_new_message = on_new_message
        self._conversations = conversations
        self._deadline = deadline

    async def take(self, incoming: Incoming, output: ReplyChannel, channel: str) -> Taken:
        """Answers through ``output``; a repeated message is dropped."""
        if self._conversations.repeated(incoming.sender, incoming.client_message_id):
            logger.info("Dropped a repeated message of %r: %r.", incoming.sender, incoming.client_message_id)
            return Taken(repeated=True)
        began, counted = time.monotonic(), _counted(channel)
        metrics.messages.labels(counted).inc()
        metadata = signed_in(incoming.metadata)
        if incoming.feedback:
            await self._record(incoming, output, channel, metadata)
        if incoming.text is not None:
            await self._answer(incoming.sender, incoming.text, output, channel, metadata)
        metrics.turn_seconds.labels(counted).observe(time.monotonic() - began)
        return Taken(customer_id=metadata.get("customer_id"))

    async def _record(self, incoming: Incoming, output: ReplyChannel, channel: str, metadata: dict[str, Any]) -> None:
        feedback = incoming.feedback or {}
        message = UserMessage(
            feedback_payload(feedback),
            output,
            incoming.sender,
            input_channel=channel,
            metadata={**metadata, "feedback": feedback},
        )
        done = await self._run(message)
        if incoming.text is None:
            result = {"feedback": "recorded" if done else "failed", "message_id": feedback["message_id"]}
            await output.acknowledge(incoming.sender, result)

    async def _answer(
        self, sender: str, text: str, output: ReplyChannel, channel: str, metadata: dict[str, Any]
    ) -> None:
        conversation = self._conversations.of(sender)
        conversation.language = courtesies.language(text) or conversation.language
        if not text:
            await _say(output, sender, courtesies.invitation(conversation.language), "clarify")
            return
        if text not in conversation.payloads:
            text = escape(text)
        sent = output.sent
        await self._run(UserMessage(text, output, sender, input_channel=channel, metadata=metadata))
        if output.sent == sent:
            metrics.turns_failed.labels(_counted(channel), "unanswered").inc()
            logger.error("No answer to %r in conversation %r, so an apology was sent.", text[:80], sender)
            await _say(output, sender, courtesies.apology(conversation.language), "other")

    async def _run(self, message: UserMessage) -> bool:
        """Whether Rasa finished with the message in time and without an error."""
        # Waited for, not awaited: a turn cut off midway would be lost from the conversation's record.
        turn = asyncio.ensure_future(self._on_new_message(message))
        turn.add_done_callback(_log_failure)
        await asyncio.wait({turn}, timeout=self._deadline)
        if not turn.done():
            metrics.turns_failed.labels(_counted(message.input_channel), "late").inc()
            logger.error("A turn of conversation %r takes longer than %.0f s.", message.sender_id, self._deadline)
            return False
        if turn.cancelled() or turn.exception():
            metrics.turns_failed.labels(_counted(message.input_channel), "failed").inc()
            return False
        return True


def _counted(channel: str | None) -> str:
    return channel if channel in _CHANNELS else "other"


async def _say(output: ReplyChannel, sender: str, text: str, strategy: str) -> None:
    await output.send_text_message(sender, text, message_id=uuid.uuid4().hex, strategy=strategy, source="fallback")


def _log_failure(turn: asyncio.Future[Any]) -> None:
    if not turn.cancelled() and turn.exception():
        logger.error("A turn failed.", exc_info=turn.exception())
