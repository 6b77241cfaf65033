"""Output channels that keep a reply's metadata (message_id, strategy, source, passages ...) on the wire.

Rasa's own collecting and socket outputs drop it, and cut a reply at blank lines; here one reply stays one item.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from rasa.core.channels.channel import OutputChannel

from components.channels.conversations import Conversations

# The parts of a bot event that have their own place on the wire, or none.
_BODY = {"text", "buttons", "quick_replies", "image", "attachment", "elements", "custom", "template"}


class ReplyChannel(OutputChannel):
    """Builds one item for each reply, {"recipient_id", "text" | "buttons" | ..., "metadata"}, and delivers it.

    Attributes:
        sent: how many items were delivered through this object.
    """

    def __init__(self, conversations: Conversations) -> None:
        """``conversations`` is the channel's memory, which keeps the replies."""
        self.sent = 0
        self._conversations = conversations

    async def deliver(self, item: dict[str, Any]) -> None:
        """Brings ``item`` to the customer."""
        raise NotImplementedError(f"{type(self).__name__} has no way to deliver a reply.")

    async def acknowledge(self, recipient_id: str, result: dict[str, Any]) -> None:
        """Tells the client {"feedback", "message_id"}; not a reply, so it carries no metadata."""
        await self.deliver({"recipient_id": recipient_id, "custom": result})

    async def send_text_message(self, recipient_id: str, text: str, **kwargs: Any) -> None:
        """One reply of text."""
        await self._send(recipient_id, kwargs, text=text)

    async def send_text_with_buttons(
        self, recipient_id: str, text: str, buttons: list[dict[str, Any]], **kwargs: Any
    ) -> None:
        """One reply of text with buttons {"title", "payload"}."""
        await self._send(recipient_id, kwargs, text=text, buttons=buttons)

    async def send_image_url(self, recipient_id: str, image: str, **kwargs: Any) -> None:
        """One image by its address."""
        await self._send(recipient_id, kwargs, image=image)

    async def send_attachment(self, recipient_id: str, attachment: Any, **kwargs: Any) -> None:
        """One attachment as the action made it."""
        await self._send(recipient_id, kwargs, attachment=attachment)

    async def send_elements(self, recipient_id: str, elements: Iterable[dict[str, Any]], **kwargs: Any) -> None:
        """Cards, as one item."""
        await self._send(recipient_id, kwargs, elements=list(elements))

    async def send_custom_json(self, recipient_id: str, json_message: Any, **kwargs: Any) -> None:
        """JSON of the action's own form."""
        await self._send(recipient_id, kwargs, custom=json_message)

    async def _send(self, recipient_id: str, kwargs: dict[str, Any], **body: Any) -> None:
        metadata = {key: value for key, value in kwargs.items() if key not in _BODY and value is not None}
        metadata.setdefault("message_id", uuid.uuid4().hex)
        item = {"recipient_id": recipient_id, **body, "metadata": metadata}
        self.sent += 1
        self._conversations.replied(recipient_id, item)
        await self.deliver(item)


class ReplyCollector(ReplyChannel):
    """Keeps the replies in ``messages`` for one JSON answer."""

    def __init__(self, conversations: Conversations) -> None:
        """No replies yet."""
        super().__init__(conversations)
        self.messages: list[dict[str, Any]] = []

    @classmethod
    def name(cls) -> str:
        """Rasa's name for collected output, which channel-specific responses go by."""
        return "collector"

    async def deliver(self, item: dict[str, Any]) -> None:
        """Appends to ``messages``."""
        self.messages.append(item)


class ReplyQueue(ReplyCollector):
    """Hands the replies on one by one, for a streamed answer."""

    def __init__(self, conversations: Conversations) -> None:
        """The queue holds items, and None after the last."""
        super().__init__(conversations)
        self.queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def deliver(self, item: dict[str, Any]) -> None:
        """Appends to ``messages`` and puts into the queue."""
        await super().deliver(item)
        await self.queue.put(item)


class ReplySocket(ReplyChannel):
    """Emits each reply in the form that socket.io chat widgets for Rasa know, with ``metadata`` beside it."""

    def __init__(self, conversations: Conversations, emit: Callable[[str, dict[str, Any]], Awaitable[None]]) -> None:
        """``emit(recipient_id, message)`` sends one bot message."""
        super().__init__(conversations)
        self._emit = emit

    @classmethod
    def name(cls) -> str:
        """Rasa's name for socket output."""
        return "socketio"

    async def deliver(self, item: dict[str, Any]) -> None:
        """Turns buttons into quick replies and images and cards into attachments, then emits."""
        message = dict(item)
        recipient_id = message.pop("recipient_id")
        if "buttons" in message:
            message["quick_replies"] = [
                {"content_type": "text", "title": button.get("title"), "payload": button.get("payload")}
                for button in message.pop("buttons")
            ]
        if "image" in message:
            message["attachment"] = {"type": "image", "payload": {"src": message.pop("image")}}
        if "elements" in message:
            payload = {"template_type": "generic", "elements": message.pop("elements")}
            message["attachment"] = {"type": "template", "payload": payload}
        await self._emit(recipient_id, message)
