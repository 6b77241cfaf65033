"""The report counts what happened in the period and writes it without personal data and without running anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from kefu import settings as settings_module
from kefu.cli import app
from kefu.errors import KefuError, SettingsError
from kefu.feedback import Masker, ReviewStore, harvest
from kefu.feedback.store import moment
from kefu.report import Period, markdown, moment_of, page, summarise
from tests.tracker_store import START, TrackerStore

BEFORE, AFTER = moment(START - 3600), moment(START + 3600)
PERIOD = Period(BEFORE, AFTER)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with an empty var/ and settings of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "var").mkdir()
    settings_module.settings.cache_clear()
    yield tmp_path
    settings_module.settings.cache_clear()


@pytest.fixture
def tracker(project: Path) -> Iterator[TrackerStore]:
    """Three conversations: one calms down, one is handed over, in one the customer writes feedback."""
    store = TrackerStore(project / "var" / "tracker.db")
    store.start("angry")
    store.user("angry", "显示签收我没收到 13812340816", "complain_delivery", "angry")
    first = store.bot("angry", "真抱歉。", "manage_emotion", source="template")
    second = store.bot("angry", "我来查。", "other")
    store.feedback("angry", message_id=first, thumb="down", rating=2)
    store.feedback("angry", message_id=second, thumb="up", rating=5, correction="说清楚点")
    store.user("angry", "好吧", "affirm", "neutral")
    store.start("anxious")
    store.user("anxious", "转人工快点", "contact_human", "anxious")
    store.event("anxious", "slot", name="handed_over", value=True)
    store.bot("anxious", "这就转。", "other")
    store.user("anxious", "人呢<b>", "contact_human", "anxious")
    store.start("writer")
    store.user("writer", "快递真快 客服也耐心", "give_feedback", "happy")
    store.bot("writer", "谢谢您。", "thank_and_close")
    store.user("writer", "就是包装太薄 快递盒子都破了", "give_feedback", "disappointed")
    yield store
    store.engine.dispose()


@pytest.fixture
def store(project: Path, tracker: TrackerStore) -> Iterator[ReviewStore]:
    """The conversations, harvested."""
    opened = ReviewStore(f"sqlite:///{project / 'var' / 'kefu.db'}")
    harvest(opened, tracker.engine, Masker(b"salt"))
    yield opened
    opened.close()


def test_counts(store: ReviewStore) -> None:
    found = summarise(store, PERIOD)
    assert (found["customers"], found["conversations"], found["messages"]) == (3, 3, 6)
    assert found["replies"] == {"n": 4, "by_source": {"model": 3, "template": 1}}
    assert found["intents"]["contact_human"] == 2
    assert found["emotions"] == {"anxious": 2, "angry": 1, "neutral": 1, "happy": 1, "disappointed": 1}
    assert found["strategies"]["manage_emotion"] == {"n": 1, "mean": 2.0, "thumbs_up": 0, "thumbs_down": 1}
    assert found["ratings"] == {
        "n": 2,
        "mean": 3.5,
        "stars": {"1": 0, "2": 1, "3": 0, "4": 0, "5": 1},
        "thumbs_up": 1,
        "thumbs_down": 1,
        "corrections": 1,
    }
    assert found["review"] == {"open": 6}


def test_how_upset_customers_ended(store: ReviewStore) -> None:
    found = summarise(store, PERIOD)["upset"]
    assert (found["conversations"], found["ended_calm"], found["ended_upset"], found["handed_over"]) == (2, 1, 1, 1)
    assert found["share"] == pytest.approx(2 / 3)


def test_hand_overs_and_unanswered(store: ReviewStore) -> None:
    found = summarise(store, PERIOD)
    assert found["handovers"] == {"asked": 1, "handed_over": 1}
    assert found["unanswered"]["n"] == 2, "after the hand-over a person answers"
    assert "人呢<b>" not in found["unanswered"]["examples"]


def test_typed_feedback_by_subject(store: ReviewStore) -> None:
    found = summarise(store, PERIOD)["typed_feedback"]
    assert found["n"] == 2
    by_subject = {s["subject"]: (s["praise"], s["blame"]) for s in found["subjects"]}
    assert by_subject == {"物流配送": (1, 1), "客服与安装": (1, 0), "包装": (0, 1)}


def test_examples_are_masked(store: ReviewStore) -> None:
    found = summarise(store, PERIOD)
    assert found["complaints"][0]["intent"] == "complain_delivery"
    assert found["complaints"][0]["examples"][0].startswith("显示签收我没收到 1")
    for text in (json.dumps(found, ensure_ascii=False), markdown(found), page(found)):
        assert "13812340816" not in text


def test_period_is_half_open(store: ReviewStore) -> None:
    assert summarise(store, Period(AFTER, moment(START + 7200)))["messages"] == 0
    second = store.items(by_priority=False)[1].asked_at
    assert summarise(store, Period(BEFORE, second))["messages"] == 1
    assert summarise(store, Period(second, AFTER))["messages"] == 5


def test_tickets(store: ReviewStore) -> None:
    assert summarise(store, PERIOD)["tickets"] is None
    metadata = sa.MetaData()
    table = sa.Table(
        "tickets",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(n, sa.String(40)) for n in ("kind", "state")),
        *(sa.Column(n, sa.DateTime) for n in ("created_at", "reply_by")),
    )
    metadata.create_all(store.engine)
    rows = [
        ("complain_delivery", "open", moment(START), moment(START - 10**9)),
        ("request_repair", "closed", moment(START), moment(START)),
        ("request_repair", "open", moment(START - 10**7), datetime(2999, 1, 1)),
    ]
    with store.engine.begin() as connection:
        names = ("kind", "state", "created_at", "reply_by")
        connection.execute(sa.insert(table), [dict(zip(names, row)) for row in rows])
    found = summarise(store, PERIOD)["tickets"]
    assert found == {
        "opened": 2,
        "by_kind": {"complain_delivery": 1, "request_repair": 1},
        "open": 2,
        "overdue": 1,
    }
    assert "新开 2 张，目前 2 张未结，其中 1 张已过承诺的回复时间" in markdown(summarise(store, PERIOD))


def test_page_stands_alone_and_escapes(store: ReviewStore) -> None:
    text = page(summarise(store, PERIOD))
    assert "<script" not in text
    assert "http" not in text.replace('http-equiv="', "")
    assert "<b>" not in text
    assert "平均 3.5 星" in text
    assert text.startswith("<!doctype html>")


def test_markdown_tables_hold_customers_words(store: ReviewStore, tracker: TrackerStore) -> None:
    tracker.start("pipes")
    tracker.user("pipes", "| 你们 *真* 行\n# 差评 [x](http://a)", "complain_service", "angry")
    harvest(store, tracker.engine, Masker(b"salt"))
    text = markdown(summarise(store, PERIOD))
    (row,) = [line for line in text.splitlines() if "真" in line and line.startswith("| 抱怨客服")]
    assert row.count(" | ") == 2, "the customer's bar does not make a column"
    assert r"\*真\*" in row
    assert r"\[x\]" in row


def test_an_empty_period_says_so(store: ReviewStore, project: Path) -> None:
    assert "这段时间没有对话" in markdown(summarise(store, Period(AFTER, moment(START + 7200))))
    empty = ReviewStore(f"sqlite:///{project}/var/empty.db")
    assert "kefu feedback harvest" in page(summarise(empty, PERIOD))
    empty.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", datetime(2026, 11, 16, 12)),
        ("24h", datetime(2026, 11, 22, 12)),
        ("2w", datetime(2026, 11, 9, 12)),
        ("2026-11-01", datetime(2026, 11, 1)),
        ("2026-11-01 08:30", datetime(2026, 11, 1, 8, 30)),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    assert moment_of(text, "--since", datetime(2026, 11, 23, 12)) == expected


@pytest.mark.parametrize("text", ["yesterday", "7", "", "99999999999d"])
def test_bad_moments(text: str) -> None:
    with pytest.raises(SettingsError, match="--since"):
        moment_of(text, "--since")


def test_the_command_harvests_first(project: Path, tracker: TrackerStore) -> None:
    arguments = ["report", "--since", "2026-01-01", "--until", "2027-01-01", "--tracker-url", tracker.url]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["messages"] == 6
    assert "# 客服小结" in CliRunner().invoke(app, arguments).stdout
    for name in ("report.html", "sub/report.md"):
        result = CliRunner().invoke(app, [*arguments, "--out", name])
        assert f"wrote {name}" in result.stdout
        assert "客服小结" in Path(name).read_text(encoding="utf-8")


def test_the_command_without_a_tracker_store(project: Path) -> None:
    result = CliRunner().invoke(app, ["report", "--json"])
    assert json.loads(result.stdout)["messages"] == 0
    assert "nothing new was read" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "--since has value 'soon'"),
        (["--since", "1d", "--until", "2d"], "is not before"),
        (["--out", "x.pdf"], ".md or .html"),
        (["--tracker-url", "sqlite:///none.db"], "no database 'none.db'"),
    ],
)
def test_errors_of_the_command(project: Path, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["report", *arguments])
    assert isinstance(result.exception, KefuError)
    assert message in str(result.exception)
