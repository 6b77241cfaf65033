"""Stores what customers think of replies: one row for each reply, sender and kind, so that a repeated click updates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from kefu.errors import DataError
from kefu.shop.models import Feedback

KINDS = ("thumb", "rating", "correction", "comment")
THUMBS = ("up", "down")
MAX_TEXT = 2000


@dataclass(frozen=True)
class About:
    """The reply that feedback is about, as far as it is known: how it was chosen, and the message it answered."""

    message_id: str
    sender_id: str
    strategy: str | None = None
    probability: float | None = None
    intent: str | None = None
    emotion: str | None = None
    source: str | None = None
    target: str | None = None


def record_feedback(session: Session, about: About, kind: str, value: str, now: datetime) -> Feedback:
    """Stores one piece of feedback, or updates the one of the same kind on the same reply by the same sender.

    Args:
        kind: thumb (value up or down), rating (1 to 5), correction (the better reply) or comment (her own words).

    Raises:
        DataError: the kind or the value is not one of those.
    """
    fields = _value(kind, value)
    key = {"message_id": about.message_id, "sender_id": about.sender_id, "kind": kind}
    row = _row(session, key)
    if row is None:
        row = Feedback(message_id=about.message_id, sender_id=about.sender_id, kind=kind, created_at=now)
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:  # the other click was faster
            row = _row(session, key) or row
    for name, content in fields.items():
        setattr(row, name, content)
    for name in ("strategy", "probability", "intent", "emotion", "source", "target"):
        known = getattr(about, name)
        setattr(row, name, known if known is not None else getattr(row, name))
    row.created_at = now
    session.flush()
    return row


def _row(session: Session, key: dict[str, str]) -> Feedback | None:
    found: Feedback | None = session.scalars(sa.select(Feedback).filter_by(**key)).first()
    return found


def _value(kind: str, value: str) -> dict[str, str | int]:
    if kind == "thumb" and value in THUMBS:
        return {"thumb": value}
    if kind == "rating" and value in ("1", "2", "3", "4", "5"):
        return {"rating": int(value)}
    if kind in ("correction", "comment") and value.strip():
        return {"correction" if kind == "correction" else "text": value.strip()[:MAX_TEXT]}
    if kind not in KINDS:
        raise DataError(f"Feedback has the kind {kind!r}; kinds are {', '.join(KINDS)}.")
    raise DataError(
        f"Feedback of the kind {kind!r} has value {value!r}; a thumb is up or down, a rating 1 to 5, a text not empty."
    )
