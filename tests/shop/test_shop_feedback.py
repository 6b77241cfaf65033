"""Feedback rows."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from kefu.errors import DataError
from kefu.shop import About, record_feedback
from kefu.shop import models as m

NOW = datetime(2026, 11, 23, 14, 30)


def rows(session) -> list[m.Feedback]:
    return list(session.scalars(sa.select(m.Feedback).order_by(m.Feedback.id)).all())


def test_a_repeated_click_updates(shop):
    about = About("m1", "s1", "inform", 0.7, "track_delivery", "anxious", "model")
    with shop.session() as session:
        record_feedback(session, about, "thumb", "up", NOW)
        record_feedback(session, About("m1", "s1"), "thumb", "down", NOW + timedelta(minutes=1))
        record_feedback(session, about, "rating", "4", NOW)
        record_feedback(session, About("m1", "s2"), "thumb", "up", NOW)
    with shop.session() as session:
        found = rows(session)
    assert [(r.sender_id, r.kind, r.thumb, r.rating) for r in found] == [
        ("s1", "thumb", "down", None),
        ("s1", "rating", None, 4),
        ("s2", "thumb", "up", None),
    ]
    assert (found[0].strategy, found[0].probability, found[0].intent) == ("inform", 0.7, "track_delivery")
    assert found[0].created_at == NOW + timedelta(minutes=1)


def test_words(shop):
    with shop.session() as session:
        record_feedback(session, About("m1", "s1", target="reply"), "correction", " 应该先道歉 ", NOW)
        record_feedback(session, About("m1", "s1"), "comment", "讲得清楚", NOW)
        correction, comment = rows(session)
    assert (correction.correction, correction.text, correction.target) == ("应该先道歉", None, "reply")
    assert (comment.correction, comment.text) == (None, "讲得清楚")


@pytest.mark.parametrize(
    ("kind", "value"), [("thumb", "sideways"), ("rating", "6"), ("rating", "4.5"), ("comment", "  "), ("smile", "1")]
)
def test_a_wrong_value_is_refused_and_quoted(shop, kind, value):
    with shop.session() as session:
        with pytest.raises(DataError, match=repr(kind)):
            record_feedback(session, About("m1", "s1"), kind, value, NOW)
        assert rows(session) == []
