"""A server with both channels, settings of a fresh machine, and a socket client as a page would be one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import socketio

from kefu.settings import settings
from tests.chat_server import ChatServer

SECRET = "a secret for the tests, long enough for HS256"


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """A channel secret and a state folder of the test's own; other settings at their defaults."""
    for key in ("KEFU_DATABASE_URL", "KEFU_DEMO"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("KEFU_CHANNEL_SECRET", SECRET)
    monkeypatch.setenv("KEFU_STATE_DIR", str(tmp_path))
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@pytest.fixture(scope="session")
def running_server() -> Iterator[ChatServer]:
    """Both channels on a free port, with a turn deadline of one second; started once, for it takes a second."""
    running = ChatServer("channels", deadline=1.0)
    yield running
    running.stop()


@pytest.fixture
def server(running_server: ChatServer) -> ChatServer:
    """The server as if just started."""
    running_server.reset()
    return running_server


@pytest.fixture
def client(server: ChatServer) -> Iterator[httpx.Client]:
    """HTTP to the server."""
    with httpx.Client(base_url=server.url, timeout=10, trust_env=False) as http:
        yield http


class Page:
    """A socket client that keeps what the server tells it.

    Attributes:
        replies: the ``bot_uttered`` events, oldest first.
        session: the confirmed session id.
    """

    def __init__(self, url: str) -> None:
        self.replies: list[dict[str, Any]] = []
        self.session = ""
        self._confirmed = asyncio.Event()
        self._url = url
        self._client = socketio.AsyncClient(reconnection=False)
        self._client.on("bot_uttered", self.replies.append)
        self._client.on("session_confirm", self._confirm)

    def _confirm(self, session: str) -> None:
        self.session = session
        self._confirmed.set()

    async def __aenter__(self) -> Page:
        await self._client.connect(self._url, transports=["polling"])
        return self

    async def __aexit__(self, *_: object) -> None:
        # This client would wait for its long poll to run out; a browser does not.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._client.disconnect(), 0.3)
        await self._client.eio.http.close()

    async def open(self, session: str | None = None, after: str | None = None) -> str:
        """Asks for a session and gives its id."""
        self._confirmed.clear()
        await self._client.emit("session_request", {"session_id": session, "after": after})
        await asyncio.wait_for(self._confirmed.wait(), 5)
        await asyncio.sleep(0.1)  # replies that come again follow the confirmation
        return self.session

    async def say(self, message: str, session: str | None = None, **metadata: Any) -> dict[str, Any]:
        """Sends a message and waits for its acknowledgement and the replies before it."""
        body = {"session_id": session or self.session, "message": message, "metadata": metadata}
        acknowledgement: dict[str, Any] = await self._client.call("user_uttered", body, timeout=5)
        await asyncio.sleep(0.05)
        return acknowledgement


@pytest.fixture
def page(server: ChatServer) -> Page:
    """A page, to be used as ``async with page``."""
    return Page(server.url)
