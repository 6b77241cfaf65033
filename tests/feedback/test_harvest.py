"""Harvesting makes review items of conversations, once, and keeps them up to date."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from kefu.errors import DataError, KefuError, NotFound, SettingsError
from kefu.feedback import Decision, Masker, ReviewItem, ReviewStore, connect, decide, harvest, tracker_url
from tests.tracker_store import START, TrackerStore


def talk(tracker: TrackerStore, sender: str = "c1") -> tuple[str, str]:
    """An angry customer, two replies with facts, and her thanks; returns the replies' ids."""
    tracker.start(sender)
    tracker.user(sender, "亲在吗", "greet")
    tracker.bot(sender, "在的，您说。", "greet")
    text = "加湿器五天没到，电话13812340816"
    entities = [
        {"entity": "product", "start": 0, "end": 3, "value": "加湿器"},
        {"entity": "phone", "start": 10, "end": 21},
    ]
    tracker.user(sender, text, "urge_delivery", "angry", 0.6, entities)
    tracker.facts(sender, order_id="202611187734920615", signed_by="张伟", eta="11月25日")
    first = tracker.bot(sender, "让您等久了，真抱歉。", "manage_emotion")
    second = tracker.bot(sender, "202611187734920615这单由张伟签收，预计11月25日送到。", "inform", passages=["a"])
    return first, second


def by_text(store: ReviewStore, start: str) -> ReviewItem:
    return next(i for i in store.items() if i.text.startswith(start))


def test_items_hold_what_was_said_and_predicted(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    _, second = talk(tracker)
    done = harvest(store, tracker.engine, masker)
    assert (done.conversations, done.added, done.changed) == (1, 2, 0)
    item = by_text(store, "加湿器")
    assert item.context == "在的，您说。"
    assert (item.intent, item.emotion, item.intent_confidence) == ("urge_delivery", "angry", 0.6)
    assert item.message_id == second
    assert (item.strategy, item.probability, item.source) == ("inform", 0.7, "model")
    assert [r["strategy"] for r in item.replies] == ["manage_emotion", "inform"]
    assert item.replies[1]["passages"] == ["a"]
    assert item.entities == [{"entity": "product", "start": 0, "end": 3}]
    assert item.asked_at.year == 2026
    greeting = by_text(store, "亲在吗")
    assert greeting.next_emotion == "angry"
    assert greeting.context is None


def test_who_only_tries_the_server_is_no_customer(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    talk(tracker, "warm-up-1a2b3c4d")
    assert harvest(store, tracker.engine, masker).conversations == 0 and not list(store.items())
    talk(tracker, "warm-hearted")
    assert harvest(store, tracker.engine, masker).conversations == 1


def test_personal_data_never_reaches_the_store(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    _, second = talk(tracker)
    tracker.feedback("c1", message_id=second, correction="打我电话13812340816")
    harvest(store, tracker.engine, masker)
    with store.engine.connect() as connection:
        dump = str([dict(r) for r in connection.execute(sa.text("select * from review_items")).mappings()])
    for secret in ("13812340816", "202611187734920615", "张伟"):
        assert secret not in dump
    item = by_text(store, "加湿器")
    assert item.facts["order_id"] in item.replies[1]["text"]
    assert item.replies[1]["template"] == "{order_id}这单由{signed_by}签收，预计{eta}送到。"


def test_a_second_harvest_adds_nothing(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    talk(tracker)
    harvest(store, tracker.engine, masker)
    again = harvest(store, tracker.engine, masker)
    assert (again.added, again.changed) == (0, 0)
    everything = harvest(store, tracker.engine, masker, everything=True)
    assert (everything.added, everything.changed) == (0, 0)
    assert sum(store.counts().values()) == 2


def test_late_feedback_and_emotion_are_noted(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    first, _ = talk(tracker)
    harvest(store, tracker.engine, masker)
    before = by_text(store, "加湿器").priority
    tracker.feedback("c1", message_id=first, thumb="down", rating="1")
    tracker.feedback("c1", message_id=first, correction="先说什么时候到", target="reply")
    tracker.user("c1", "行吧", "affirm", "disappointed")
    done = harvest(store, tracker.engine, masker)
    assert (done.added, done.changed) == (1, 1)
    item = by_text(store, "加湿器")
    assert (item.thumb, item.rating, item.correction) == ("down", 1, "先说什么时候到")
    assert item.correction_target == "reply"
    assert item.message_id == first, "the disliked reply is the one to review"
    assert item.next_emotion == "disappointed"
    assert item.priority > before
    assert store.items(["open"])[0].id == item.id, "a correction comes first"


def test_feedback_counts_once_a_reply_and_the_last_word_counts(
    tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    _, second = talk(tracker)
    for thumb in ("down", "down", "up"):
        tracker.feedback("c1", message_id=second, thumb=thumb)
    harvest(store, tracker.engine, masker)
    item = by_text(store, "加湿器")
    assert item.thumb == "up"
    assert [r["thumb"] for r in item.replies] == [None, "up"]


def test_feedback_of_another_sender_is_ignored(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    _, second = talk(tracker)
    tracker.start("stranger")
    tracker.feedback("stranger", message_id=second, thumb="down")
    harvest(store, tracker.engine, masker)
    assert by_text(store, "加湿器").thumb is None


def test_feedback_without_an_id_is_about_the_last_reply(
    tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    _, second = talk(tracker)
    tracker.feedback("c1", thumb="up")
    harvest(store, tracker.engine, masker)
    item = by_text(store, "加湿器")
    assert (item.message_id, item.thumb) == (second, "up")


def test_the_channels_checked_feedback_is_read(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    first, _ = talk(tracker)
    parsed = {"intent": {"name": "give_feedback", "confidence": 1.0}, "entities": []}
    given = {"message_id": first, "rating": 2}
    tracker.event("c1", "user", text="/give_feedback{}", parse_data=parsed, metadata={"feedback": given})
    harvest(store, tracker.engine, masker)
    assert by_text(store, "加湿器").rating == 2


def test_the_shops_feedback_table_is_read(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    _, second = talk(tracker)
    metadata = sa.MetaData()
    columns = [
        "message_id",
        "sender_id",
        "kind",
        "thumb",
        "correction",
        "text",
        "strategy",
        "intent",
        "emotion",
        "source",
    ]
    table = sa.Table(
        "feedback",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(c, sa.Text) for c in columns),
        sa.Column("rating", sa.Integer),
        sa.Column("probability", sa.Float),
        sa.Column("created_at", sa.DateTime),
    )
    metadata.create_all(store.engine)
    china = timezone(timedelta(hours=8))
    moment = datetime.fromtimestamp(START + 100, china).replace(tzinfo=None)
    with store.engine.begin() as connection:
        row = {"message_id": second, "sender_id": "c1", "created_at": moment}
        connection.execute(sa.insert(table).values(**row, kind="thumb", thumb="down"))
        connection.execute(sa.insert(table).values(**row, kind="correction", correction="不是这个意思"))
    harvest(store, tracker.engine, masker)
    item = by_text(store, "加湿器")
    assert (item.thumb, item.correction) == ("down", "不是这个意思")


def test_a_reviewed_item_keeps_what_the_reviewer_saw(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    first, second = talk(tracker)
    harvest(store, tracker.engine, masker)
    item = by_text(store, "加湿器")
    decide(store, item.id, Decision(), "李")
    tracker.feedback("c1", message_id=first, thumb="down")
    tracker.user("c1", "好的", "affirm", "happy")
    harvest(store, tracker.engine, masker)
    kept = store.get(item.id)
    assert (kept.status, kept.message_id, kept.thumb) == ("accepted", second, None)
    assert kept.next_emotion == "happy"


def test_sessions_and_hand_over(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    talk(tracker)
    tracker.start("c1")
    tracker.user("c1", "转人工", "contact_human")
    tracker.event("c1", "slot", name="handed_over", value=True)
    harvest(store, tracker.engine, masker)
    item = by_text(store, "转人工")
    assert item.handed_over
    assert item.context is None, "the session before is another conversation"
    assert item.facts == {}
    assert [i.text for i in store.conversation(item)] == ["转人工"]
    assert by_text(store, "加湿器").next_emotion is None


def test_payloads_and_unknown_emotions_are_no_messages(
    tracker: TrackerStore, store: ReviewStore, masker: Masker
) -> None:
    tracker.start("c1")
    tracker.user("c1", "/session_start")
    tracker.user("c1", "   ")
    tracker.user("c1", "\x00？？", None, None)
    harvest(store, tracker.engine, masker)
    (item,) = store.items()
    assert (item.text, item.intent, item.emotion) == (" ？？", None, None)


def test_an_emptied_tracker_store_is_read_again(tracker: TrackerStore, store: ReviewStore, masker: Masker) -> None:
    for n in range(220):
        tracker.user("c1", f"第{n}句")
    harvest(store, tracker.engine, masker)
    with tracker.engine.begin() as connection:
        connection.execute(sa.text("delete from events"))
    tracker.user("c2", "新的开始")
    assert harvest(store, tracker.engine, masker).added == 1


def test_only_news_are_read(
    tracker: TrackerStore, store: ReviewStore, masker: Masker, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.user("old", "很久以前")
    for n in range(250):
        tracker.event("busy", "slot", name="x", value=n)
    harvest(store, tracker.engine, masker)
    tracker.user("new", "刚刚")
    read: list[str] = []
    module = sys.modules["kefu.feedback.harvest"]
    original = module.events_of
    monkeypatch.setattr(module, "events_of", lambda engine, sender: read.append(sender) or original(engine, sender))
    assert harvest(store, tracker.engine, masker).added == 1
    assert "old" not in read
    assert "new" in read


def test_no_tracker_store(tmp_path: Path, store: ReviewStore, masker: Masker) -> None:
    with pytest.raises(NotFound, match="talk to it first"):
        connect(f"sqlite:///{tmp_path}/none.db", "--tracker-url", create=False)
    (tmp_path / "empty.db").touch()
    engine = connect(f"sqlite:///{tmp_path}/empty.db", "--tracker-url", create=False)
    with pytest.raises(DataError, match="not a tracker store"):
        harvest(store, engine, masker)
    engine.dispose()


def test_bad_urls_are_named_without_passwords(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--tracker-url has a value that is no usable database URL"):
        connect("nonsense", "--tracker-url", create=False)
    with pytest.raises(KefuError) as error:
        connect("sqlite:////proc/none/x.db?password=geheim", "--tracker-url", create=False)
    assert "geheim" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("tracker_store:\n  type: SQL\n  dialect: sqlite\n  db: var/tracker.db\n", "sqlite:///var/tracker.db"),
        ("tracker_store:\n  type: sql\n", "sqlite:///rasa.db"),
        (
            "tracker_store:\n  type: components.tracker_store.Store\n  dialect: postgresql\n  host: db\n  port: 5432\n"
            "  db: rasa\n  username: ${DB_USER}\n  password: p@ss\n",
            "postgresql://kefu:p%40ss@db:5432/rasa",
        ),
        ("tracker_store:\n  type: SQL\n  url: postgresql://u:p@db/rasa\n", "postgresql://u:p@db/rasa"),
    ],
)
def test_tracker_url_of_endpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, url: str) -> None:
    monkeypatch.setenv("DB_USER", "kefu")
    file = tmp_path / "endpoints.yml"
    file.write_text(text, encoding="utf-8")
    assert tracker_url(file) == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("action_endpoint: {url: x}\n", "no 'tracker_store'"),
        ("tracker_store: {type: redis, url: localhost}\n", "type 'redis'"),
        ("tracker_store: {type: SQL, db: '${NOWHERE_SET}'}\n", "NOWHERE_SET"),
        ("a: [", "not YAML"),
    ],
)
def test_endpoints_without_sql_store(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "endpoints.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(KefuError, match=message):
        tracker_url(file)
    with pytest.raises(NotFound, match="--tracker-url"):
        tracker_url(tmp_path / "none.yml")
