"""The web channel: a socket (socket.io) and the chat page on it, under /chat.

Events from the page, each acknowledged:
- ``session_request`` {"session_id"?, "after"?}: joins the session (a new one where the id is missing or too easy to
  guess), answered by ``session_confirm`` with the id; replies since the message id ``after`` come again, so that
  none is lost while the phone was in a tunnel.
- ``user_uttered`` {"session_id", "message", "metadata"}: one message. The acknowledgement comes at the end of the turn:
  {"ok": true, "repeated", "signed_in"}, or {"ok": false, "error", "key", "value"}.
Replies are ``bot_uttered`` events, to all pages of the session.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Sequence
from typing import Any

from rasa.core.channels.channel import InputChannel, OutputChannel, decode_bearer_token
from rasa.core.channels.socketio import SocketBlueprint, SocketIOInput
from sanic import Blueprint
from socketio import AsyncServer

from components.channels.conversations import Conversations
from components.channels.incoming import BadMessage, read
from components.channels.page import add_page
from components.channels.replies import ReplySocket
from components.channels.turn import TURN_DEADLINE, OnNewMessage, Turns

logger = logging.getLogger(__name__)
_SESSION_ID = re.compile(r"[\w-]{16,128}")


class WebInput(SocketIOInput):
    """Rasa's socket.io channel with sessions that outlive a connection, and the chat page."""

    def __init__(
        self,
        *args: Any,
        session_persistence: bool = True,
        turn_deadline: float = TURN_DEADLINE,
        frame_ancestors: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        """As SocketIOInput; ``turn_deadline`` in seconds, ``frame_ancestors`` origins that may frame the page."""
        super().__init__(*args, session_persistence=session_persistence, **kwargs)
        self.turn_deadline = turn_deadline
        self.frame_ancestors = frame_ancestors
        self.conversations = Conversations()

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> InputChannel:
        """From the channel's entry in ``credentials.yml``, whose keys are the constructor's parameters."""
        return cls(**(credentials or {}))

    def url_prefix(self) -> str:
        """Absolute, so that Rasa does not put the page under /webhooks."""
        return "/chat"

    def get_output_channel(self) -> OutputChannel | None:
        """For replies that no message asked for; None before the server runs."""
        return ReplySocket(self.conversations, self._emit) if self.sio else None

    def blueprint(self, on_new_message: OnNewMessage) -> Blueprint:
        """The socket and the page."""
        # Rasa's own --cors setting guards other origins; an empty list keeps socketio from adding the headers twice.
        sio = AsyncServer(async_mode="sanic", cors_allowed_origins=[])
        self.sio = sio
        routes = SocketBlueprint(sio, self.socketio_path, "kefu_web", __name__)
        add_page(routes, self.frame_ancestors)
        turns = Turns(on_new_message, self.conversations, self.turn_deadline)

        @sio.on("connect", namespace=self.namespace)
        async def connect(sid: str, environ: dict[str, Any], auth: Any) -> bool:
            return self._admitted(auth)

        @sio.on("session_request", namespace=self.namespace)
        async def session_request(sid: str, data: Any) -> None:
            await self._open_session(sid, data if isinstance(data, dict) else {})

        @sio.on(self.user_message_evt, namespace=self.namespace)
        async def user_uttered(sid: str, data: Any) -> dict[str, Any]:
            return await self._take(turns, sid, data)

        return routes

    def _admitted(self, auth: Any) -> bool:
        """Whether the connection is let in: always, but where ``jwt_key`` asks for a token at the door."""
        if not self.jwt_key:
            return True
        token = auth.get("token") if isinstance(auth, dict) else None
        return bool(token and decode_bearer_token(token, self.jwt_key, self.jwt_algorithm))

    async def _open_session(self, sid: str, data: dict[str, Any]) -> None:
        session_id = data.get("session_id")
        if not isinstance(session_id, str) or not _SESSION_ID.fullmatch(session_id):
            session_id = uuid.uuid4().hex
        if not self.session_persistence:
            await self._event("session_confirm", session_id, sid)
            return
        await self._join(sid, session_id)
        await self._event("session_confirm", session_id, sid)
        again = ReplySocket(self.conversations, lambda _, message: self._event(self.bot_message_evt, message, sid))
        after = data.get("after")
        for reply in self.conversations.replies_after(session_id, after if isinstance(after, str) else None):
            await again.deliver(reply)

    async def _take(self, turns: Turns, sid: str, data: Any) -> dict[str, Any]:
        try:
            if isinstance(data, dict) and not self.session_persistence:
                data = {**data, "session_id": sid}
            incoming = read(data, sender_key="session_id", metadata_key=self.metadata_key)
        except BadMessage as error:
            logger.warning("A socket message was refused: %s", error)
            return {"ok": False, **error.as_json()}
        if self.session_persistence:
            # A page that lost its connection may write before it asks for its session again.
            await self._join(sid, incoming.sender)
        taken = await turns.take(incoming, ReplySocket(self.conversations, self._emit), self.name())
        return {"ok": True, "repeated": taken.repeated, "signed_in": taken.customer_id is not None}

    async def _join(self, sid: str, session_id: str) -> None:
        try:
            await self.sio.enter_room(sid, session_id, namespace=self.namespace)
        except ValueError:  # the page has gone meanwhile
            logger.debug("Connection %s closed before it could join its session.", sid)

    async def _emit(self, recipient_id: str, message: dict[str, Any]) -> None:
        await self._event(self.bot_message_evt, message, recipient_id)

    async def _event(self, name: str, data: Any, room: str) -> None:
        await self.sio.emit(name, data, room=room, namespace=self.namespace)
