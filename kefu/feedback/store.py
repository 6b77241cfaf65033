"""Keeps review items: table ``review_items`` in the shop's database, one row for each message of a customer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from kefu.errors import NotFound
from kefu.feedback.database import connect
from kefu.feedback.urgency import NOVELTY_WEIGHT, REPEATED, reasons

OPEN, ACCEPTED, CORRECTED, SKIPPED = "open", "accepted", "corrected", "skipped"
STATUSES = (OPEN, ACCEPTED, CORRECTED, SKIPPED)
_CHINA = timezone(timedelta(hours=8))
_METADATA = sa.MetaData()
_BATCH = 500  # SQLite takes 999 parameters in a statement

ITEMS = sa.Table(
    "review_items",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(64), nullable=False, unique=True),
    sa.Column("sender_id", sa.String(255), nullable=False, index=True),
    sa.Column("session_at", sa.DateTime, nullable=False),
    sa.Column("asked_at", sa.DateTime, nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("context", sa.Text),
    sa.Column("intent", sa.String(40)),
    sa.Column("intent_confidence", sa.Float, nullable=False),
    sa.Column("emotion", sa.String(20)),
    sa.Column("emotion_confidence", sa.Float, nullable=False),
    sa.Column("entities", sa.JSON, nullable=False),
    sa.Column("replies", sa.JSON, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("message_id", sa.String(128), index=True),
    sa.Column("reply", sa.Text),
    sa.Column("strategy", sa.String(30)),
    sa.Column("probability", sa.Float),
    sa.Column("source", sa.String(20)),
    sa.Column("thumb", sa.String(4)),
    sa.Column("rating", sa.Integer),
    sa.Column("correction", sa.Text),
    sa.Column("correction_target", sa.String(10)),
    sa.Column("next_emotion", sa.String(20)),
    sa.Column("handed_over", sa.Boolean, nullable=False),
    sa.Column("priority", sa.Float, nullable=False, index=True),
    sa.Column("novelty", sa.Float),
    sa.Column("repeats", sa.Integer),
    sa.Column("status", sa.String(12), nullable=False, index=True),
    sa.Column("reviewed_intent", sa.String(40)),
    sa.Column("reviewed_emotion", sa.String(20)),
    sa.Column("reviewed_strategy", sa.String(30)),
    sa.Column("reviewed_reply", sa.Text),
    sa.Column("reviewed_facts", sa.JSON),
    sa.Column("reviewer", sa.String(80)),
    sa.Column("reviewed_at", sa.DateTime),
)
# One row for each strategy that was taken where another could have been; kefu.feedback.choices fills it.
CHOICES = sa.Table(
    "strategy_choices",
    _METADATA,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("at", sa.Float, nullable=False, index=True),
    sa.Column("explored", sa.Boolean, nullable=False),
    sa.Column("choice", sa.JSON, nullable=False),
    sa.Column("signals", sa.JSON, nullable=False),
)
MARKS = sa.Table(
    "harvest_marks",
    _METADATA,
    sa.Column("source", sa.String(255), primary_key=True),
    sa.Column("event_id", sa.Integer, nullable=False),
    sa.Column("harvested_at", sa.DateTime, nullable=False),
)


def now() -> datetime:
    """The time in China without tzinfo, as the shop's tables keep it."""
    return datetime.now(_CHINA).replace(tzinfo=None)


def moment(timestamp: float) -> datetime:
    """Seconds since 1970 as the time in China without tzinfo."""
    return datetime.fromtimestamp(timestamp, _CHINA).replace(tzinfo=None)


@dataclass(frozen=True)
class ReviewItem:
    """A customer's message, what the assistant made of it, what she thought of that, and a reviewer's decision.

    Attributes:
        key: the same for the same message at every harvest.
        session_at, asked_at, reviewed_at: China time without tzinfo.
        text, context, reply, correction: personal data masked.
        entities: [{entity, start, end}], places in ``text``; products, colours and sizes only.
        replies: [{text, template, strategy, stage, probability, source, message_id, passages, ...feedback}], as sent;
            ``template`` has {fact key} where ``text`` has the fact.
        facts: masked facts known when the turn was over.
        message_id, reply, strategy, probability, source, thumb, rating, correction: of the reply that matters most:
            the one with the worst feedback, else the last.
        correction_target: ``meaning`` where the customer says what she had meant, ``reply`` where what to answer.
        priority: higher wants review sooner, by what the customer said and how sure the model was.
        novelty, repeats: how new the text is, 0 to 1, and the item that it says again, at the last harvest.
    """

    id: int
    key: str
    sender_id: str
    session_at: datetime
    asked_at: datetime
    text: str
    context: str | None = None
    intent: str | None = None
    intent_confidence: float = 0.0
    emotion: str | None = None
    emotion_confidence: float = 0.0
    entities: list[dict[str, Any]] = field(default_factory=list)
    replies: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    message_id: str | None = None
    reply: str | None = None
    strategy: str | None = None
    probability: float | None = None
    source: str | None = None
    thumb: str | None = None
    rating: int | None = None
    correction: str | None = None
    correction_target: str | None = None
    next_emotion: str | None = None
    handed_over: bool = False
    priority: float = 0.0
    novelty: float | None = None
    repeats: int | None = None
    status: str = OPEN
    reviewed_intent: str | None = None
    reviewed_emotion: str | None = None
    reviewed_strategy: str | None = None
    reviewed_reply: str | None = None
    reviewed_facts: dict[str, str] | None = None
    reviewer: str | None = None
    reviewed_at: datetime | None = None

    @property
    def reviewed(self) -> bool:
        """Whether a reviewer vouches for the labels."""
        return self.status in (ACCEPTED, CORRECTED)

    @property
    def disliked(self) -> bool:
        """Whether the customer rejected the reply."""
        return self.thumb == "down" or bool(self.correction) or (self.rating is not None and self.rating <= 2)

    @property
    def labels(self) -> tuple[str | None, str | None, str | None]:
        """(intent, emotion, strategy): the reviewer's, else the predicted ones."""
        return (
            self.reviewed_intent or self.intent,
            self.reviewed_emotion or self.emotion,
            self.reviewed_strategy or self.strategy,
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON; times in ISO 8601, and ``why`` the item wants review."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "key"}
        values["why"] = list(reasons(self))
        return {
            k: v.isoformat(sep=" ", timespec="seconds") if isinstance(v, datetime) else v for k, v in values.items()
        }


# kefu.feedback.urgency.urgency in SQL.
_URGENCY = ITEMS.c.priority * sa.case((ITEMS.c.repeats.is_(None), 1.0), else_=REPEATED)
_URGENCY = _URGENCY + NOVELTY_WEIGHT * sa.func.coalesce(ITEMS.c.novelty, 0.0)


def _add_columns(engine: Engine) -> None:
    """Gives a table that an earlier version made the columns that it lacks; all of these may be empty."""

    def lacking() -> list[Any]:
        there = {column["name"] for column in sa.inspect(engine).get_columns(ITEMS.name)}
        return [column for column in ITEMS.columns if column.name not in there]

    for column in lacking():
        kind = column.type.compile(engine.dialect)
        try:
            with engine.begin() as connection:
                connection.execute(sa.text(f"ALTER TABLE {ITEMS.name} ADD COLUMN {column.name} {kind}"))
        except SQLAlchemyError:
            if any(column is left for left in lacking()):  # else another process was faster
                raise


def _item(row: Any) -> ReviewItem:
    return ReviewItem(**{f.name: row[f.name] for f in fields(ReviewItem)})


class ReviewStore:
    """The review items of one database.

    Raises:
        SettingsError: the database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.engine: Engine = connect(url, "Setting 'KEFU_DATABASE_URL'", create=True)
        _METADATA.create_all(self.engine)
        _add_columns(self.engine)

    def close(self) -> None:
        """Closes the connections."""
        self.engine.dispose()

    def get(self, item_id: int) -> ReviewItem:
        """One item.

        Raises:
            NotFound: no item has this id.
        """
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(ITEMS).where(ITEMS.c.id == item_id)).mappings().first()
        if row is None:
            raise NotFound(f"There is no review item with id {item_id}; `kefu feedback list` shows them.")
        return _item(row)

    def items(
        self,
        statuses: Iterable[str] | None = None,
        limit: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by_priority: bool = True,
    ) -> list[ReviewItem]:
        """Items, the most urgent first (kefu.feedback.urgency), or oldest first with ``by_priority=False``.

        Args:
            until: exclusive.
        """
        query = sa.select(ITEMS)
        if statuses is not None:
            query = query.where(ITEMS.c.status.in_(list(statuses)))
        if since is not None:
            query = query.where(ITEMS.c.asked_at >= since)
        if until is not None:
            query = query.where(ITEMS.c.asked_at < until)
        order = (_URGENCY.desc(), ITEMS.c.id) if by_priority else (ITEMS.c.asked_at, ITEMS.c.id)
        with self.engine.connect() as connection:
            return [_item(row) for row in connection.execute(query.order_by(*order).limit(limit)).mappings()]

    def conversation(self, item: ReviewItem) -> list[ReviewItem]:
        """All items of the session that ``item`` belongs to, oldest first."""
        same = sa.and_(ITEMS.c.sender_id == item.sender_id, ITEMS.c.session_at == item.session_at)
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(ITEMS).where(same).order_by(ITEMS.c.asked_at, ITEMS.c.id)).mappings()
            return [_item(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """{status: number of items}."""
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(ITEMS.c.status, sa.func.count()).group_by(ITEMS.c.status)).all()
        found = {status: int(count) for status, count in rows}
        return {status: found.get(status, 0) for status in STATUSES}

    def update(self, item_id: int, values: Mapping[str, Any]) -> None:
        """Sets columns of one item.

        Raises:
            NotFound: no item has this id.
        """
        with self.engine.begin() as connection:
            done = connection.execute(sa.update(ITEMS).where(ITEMS.c.id == item_id).values(**values))
        if done.rowcount == 0:
            raise NotFound(f"There is no review item with id {item_id}; `kefu feedback list` shows them.")


def existing(connection: Connection, keys: list[str]) -> dict[str, Mapping[str, Any]]:
    """The stored rows of these keys, by key."""
    rows: dict[str, Mapping[str, Any]] = {}
    for batch in chunks(keys, _BATCH):
        for row in connection.execute(sa.select(ITEMS).where(ITEMS.c.key.in_(batch))).mappings():
            rows[row["key"]] = dict(row)
    return rows


def chunks(values: list[Any], size: int) -> Iterator[list[Any]]:
    """``values`` in lists of at most ``size``."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
