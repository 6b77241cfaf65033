"""The REST channel: POST /webhooks/rest/webhook.

{"sender", "message", "metadata"} is answered by a list of {"recipient_id", "text", "metadata"}.
With ``?stream=true`` each reply is one JSON line, sent as soon as it is there. A broken request gets HTTP 400 and
{"error", "key", "value"}.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from rasa.core.channels.channel import InputChannel
from rasa.core.channels.rest import RestInput
from rasa.utils.endpoints import bool_arg
from sanic import Blueprint, response
from sanic.exceptions import InvalidUsage
from sanic.request import Request
from sanic.response import HTTPResponse, ResponseStream

from components.channels.conversations import Conversations
from components.channels.incoming import BadMessage, Incoming, read
from components.channels.replies import ReplyCollector, ReplyQueue
from components.channels.turn import TURN_DEADLINE, OnNewMessage, Turns


class KefuRestInput(RestInput):
    """Rasa's REST channel with feedback, identity, repeated messages dropped and always an answer."""

    def __init__(self, turn_deadline: float = TURN_DEADLINE) -> None:
        """``turn_deadline``: seconds until a message without an answer is apologised for."""
        self.turn_deadline = turn_deadline
        self.conversations = Conversations()

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> InputChannel:
        """From the channel's entry in ``credentials.yml``."""
        return cls(**(credentials or {}))

    def blueprint(self, on_new_message: OnNewMessage) -> Blueprint:
        """The routes: GET / (is it there) and POST /webhook."""
        routes = Blueprint("kefu_rest", __name__)
        turns = Turns(on_new_message, self.conversations, self.turn_deadline)

        @routes.get("/")
        async def health(_: Request) -> HTTPResponse:
            return response.json({"status": "ok"})

        @routes.post("/webhook")
        async def receive(request: Request) -> HTTPResponse | ResponseStream:
            try:
                body = _body(request)
                incoming = read(body, sender_key="sender")
                channel = _input_channel(body) or self.name()
            except BadMessage as error:
                return response.json(error.as_json(), status=400, ensure_ascii=False)
            if bool_arg(request, "stream", default=False):
                return response.stream(self._streamer(turns, incoming, channel), content_type="application/x-ndjson")
            output = ReplyCollector(self.conversations)
            await turns.take(incoming, output, channel)
            return response.json(output.messages, ensure_ascii=False)

        return routes

    def _streamer(self, turns: Turns, incoming: Incoming, channel: str) -> Any:
        async def stream(to: Any) -> None:
            output = ReplyQueue(self.conversations)
            turn = asyncio.ensure_future(turns.take(incoming, output, channel))
            turn.add_done_callback(lambda _: output.queue.put_nowait(None))
            while (item := await output.queue.get()) is not None:
                await to.write(json.dumps(item, ensure_ascii=False) + "\n")
            await turn

        return stream


def _body(request: Request) -> Any:
    try:
        return request.json
    except InvalidUsage:
        shown = request.body.decode("utf-8", "replace")
        raise BadMessage("(body)", shown, 'it is not JSON; send {"sender": "...", "message": "..."}') from None


def _input_channel(body: dict[str, Any]) -> str | None:
    channel = body.get("input_channel")
    if channel is not None and not (isinstance(channel, str) and len(channel) <= 64 and channel.isprintable()):
        raise BadMessage("input_channel", channel, "send a string of at most 64 characters, or leave it out")
    return channel
