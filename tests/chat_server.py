"""The channels in a small Sanic app with a scripted bot, for the tests of channels and console."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from rasa.core.channels.channel import UserMessage, register
from sanic import Sanic

from components.channels.metrics import MetricsInput
from components.channels.rest import KefuRestInput
from components.channels.web import WebInput

Bot = Callable[[UserMessage], Awaitable[None]]


class ChatServer:
    """Serves the chat on a free port from a thread of its own.

    Attributes:
        url: the server's address.
        received: what reached the bot, oldest first.
        bot: answers a message; a test may put another in its place.
    """

    def __init__(self, name: str, deadline: float = 5.0) -> None:
        self.received: list[UserMessage] = []
        self.bot: Bot = answer
        self.web = WebInput(turn_deadline=deadline)
        self.rest = KefuRestInput(turn_deadline=deadline)
        Sanic.test_mode = True  # otherwise a process can start one app only
        self.app = Sanic(name, configure_logging=False)
        self.metrics = MetricsInput()
        register([self.web, self.rest, self.metrics], self.app, route="/webhooks/")
        self.app.ctx.agent = self
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._server: Any = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.do(self._start())

    async def handle_message(self, message: UserMessage) -> None:
        """Stands in for Rasa's agent."""
        self.received.append(message)
        if not (message.text or "").startswith("/give_feedback"):
            await self.bot(message)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs ``work`` on the server's loop and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def cut_connections(self) -> None:
        """Drops every connection the way a lost network does."""
        for connection in list(self._server.connections):
            if connection.transport:
                connection.transport.abort()

    def reset(self) -> None:
        """As if just started."""
        self.received = []
        self.bot = answer
        self.web.conversations.clear()
        self.rest.conversations.clear()
        self.do(self.cut_connections())

    def texts(self) -> list[str]:
        """The texts that reached the bot."""
        return [message.text for message in self.received]

    def stop(self) -> None:
        """Stops server and thread."""
        self.do(self.cut_connections())
        self.do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _start(self) -> None:
        # Sanic's own run() would take over the signals of the test run.
        self._server = await self.app.create_server(
            host="127.0.0.1", port=self.port, return_asyncio_server=True, access_log=False
        )
        await self._server.startup()
        await self._server.start_serving()

    async def _stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


async def answer(message: UserMessage) -> None:
    """The bot of most tests: says what it heard."""
    number = message.message_id[:8]
    await message.output_channel.send_text_message(
        message.sender_id, f"收到：{message.text}", message_id=f"reply-{number}", strategy="inform", source="template"
    )
