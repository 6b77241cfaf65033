"""A tracker store as Rasa's SQLTrackerStore writes it, made by hand, for the tests of feedback and report."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

METADATA = sa.MetaData()
EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sender_id", sa.String(255), nullable=False, index=True),
    sa.Column("type_name", sa.String(255), nullable=False),
    sa.Column("timestamp", sa.Float),
    sa.Column("intent_name", sa.String(255)),
    sa.Column("action_name", sa.String(255)),
    sa.Column("data", sa.Text),
)
START = 1_795_000_000.0  # a second in November 2026


class TrackerStore:
    """Appends events, each a second after the one before; they are written when somebody asks for the database."""

    def __init__(self, path: Path) -> None:
        self._url = f"sqlite:///{path}"
        self._engine = sa.create_engine(self._url, future=True)
        METADATA.create_all(self._engine)
        self._pending: list[dict[str, Any]] = []
        self._seconds = itertools.count()
        self._ids = itertools.count(1)

    @property
    def engine(self) -> Any:
        """The database with all events in it."""
        if self._pending:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(EVENTS), self._pending)
            self._pending = []
        return self._engine

    @property
    def url(self) -> str:
        """Its SQLAlchemy URL."""
        return f"{self.engine.url}"

    def event(self, sender: str, kind: str, **data: Any) -> dict[str, Any]:
        """Adds one event with the columns that Rasa fills."""
        event = {"event": kind, "timestamp": START + next(self._seconds), **data}
        row = {
            "sender_id": sender,
            "type_name": kind,
            "timestamp": event["timestamp"],
            "intent_name": data.get("parse_data", {}).get("intent", {}).get("name"),
            "action_name": data.get("name"),
            "data": json.dumps(event),
        }
        self._pending.append(row)
        return event

    def start(self, sender: str) -> None:
        """A new session."""
        self.event(sender, "action", name="action_session_start")
        self.event(sender, "session_started")
        self.event(sender, "action", name="action_listen")

    def user(
        self,
        sender: str,
        text: str,
        intent: str | None = "greet",
        emotion: str | None = "neutral",
        confidence: float = 0.9,
        entities: list[dict[str, Any]] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """A message of the customer."""
        parsed = {
            "text": text,
            "intent": {"name": intent, "confidence": confidence},
            "intent_ranking": [{"name": intent, "confidence": confidence}],
            "emotion": {"name": emotion, "confidence": confidence},
            "entities": [*(entities or []), {"entity": "emotion", "value": emotion}],
        }
        number = next(self._ids)
        self.event(sender, "user", text=text, parse_data=parsed, message_id=f"user{number}", metadata=metadata or {})

    def facts(self, sender: str, **facts: str) -> None:
        """The slot ``facts``."""
        self.event(sender, "slot", name="facts", value=facts)

    def bot(self, sender: str, text: str, strategy: str = "inform", **metadata: Any) -> str:
        """A reply; returns its message id."""
        message_id = f"reply{next(self._ids)}"
        known = {"message_id": message_id, "strategy": strategy, "source": "model", "probability": 0.7, **metadata}
        self.event(sender, "action", name="action_reply")
        self.event(sender, "bot", text=text, data={}, metadata=known)
        self.event(sender, "action", name="action_listen")
        return message_id

    def feedback(self, sender: str, **given: Any) -> None:
        """A /give_feedback payload."""
        parsed = {
            "text": "/give_feedback" + json.dumps(given),
            "intent": {"name": "give_feedback", "confidence": 1.0},
            "entities": [{"entity": name, "value": value} for name, value in given.items()],
        }
        self.event(sender, "user", text=parsed["text"], parse_data=parsed, message_id="payload", metadata={})
