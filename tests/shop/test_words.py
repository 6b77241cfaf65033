"""Times and amounts in words."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from kefu.shop import words

NOW = datetime(2026, 1, 1, 10, 0)


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (datetime(2025, 12, 31, 16, 42), "昨天16:42"),
        (datetime(2026, 1, 1, 0, 5), "今天00:05"),
        (datetime(2026, 1, 2, 23, 59), "明天23:59"),
        (datetime(2026, 1, 3, 8, 0), "1月3日08:00"),
        (datetime(2025, 12, 30, 8, 0), "2025年12月30日08:00"),
    ],
)
def test_at(moment, said):
    assert words.at(moment, NOW) == said


def test_before_midnight_is_24():
    assert words.before(words.end_of_day(NOW), NOW) == "今天24:00前"
    assert words.before(datetime(2026, 1, 2, 18, 0), NOW) == "明天18:00前"


@pytest.mark.parametrize(("fen", "said"), [(26800, "268.00元"), (5, "0.05元"), (0, "0.00元"), (-1230, "-12.30元")])
def test_yuan(fen, said):
    assert words.yuan(fen) == said


def test_month_day_means_the_nearest_one():
    assert words.month_day("12月3日", NOW) == date(2025, 12, 3)
    assert words.month_day("1月20日", NOW) == date(2026, 1, 20)
    assert words.month_day("2月30日", NOW) is None and words.month_day("下周", NOW) is None


def test_the_clock_is_chinas(monkeypatch):
    from datetime import timezone

    assert abs((words.now() - datetime.now(timezone.utc).replace(tzinfo=None)).total_seconds() - 8 * 3600) < 5
