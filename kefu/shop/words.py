"""Times and amounts in an agent's words: 昨天16:42, 11月25日, 268.00元. All times are China time, without tzinfo."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone

_CHINA = timezone(timedelta(hours=8))  # no daylight saving time, so no time-zone database is needed
_NEAR = {-1: "昨天", 0: "今天", 1: "明天"}


def now() -> datetime:
    """The shop's clock, to the second."""
    return datetime.now(_CHINA).replace(tzinfo=None, microsecond=0)


def yuan(fen: int) -> str:
    """An amount in fen (分) as 268.00元."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}元"


def day(moment: date, current: datetime) -> str:
    """昨天, 今天, 明天, else 11月25日, with the year where it is another one."""
    plain = moment.date() if isinstance(moment, datetime) else moment
    near = _NEAR.get((plain - current.date()).days)
    if near:
        return near
    year = "" if plain.year == current.year else f"{plain.year}年"
    return f"{year}{plain.month}月{plain.day}日"


def at(moment: datetime, current: datetime) -> str:
    """昨天16:42."""
    return f"{day(moment, current)}{moment:%H:%M}"


def by(moment: datetime, current: datetime) -> str:
    """今天18:00 as the end of a term; the last minute of a day is 24:00."""
    clock = "24:00" if moment.time() >= time(23, 59) else f"{moment:%H:%M}"
    return f"{day(moment, current)}{clock}"


def before(moment: datetime, current: datetime) -> str:
    """今天18:00前."""
    return f"{by(moment, current)}前"


def end_of_day(moment: date) -> datetime:
    """The last second of the day."""
    return datetime(moment.year, moment.month, moment.day, 23, 59, 59)


def month_day(text: str, current: datetime) -> date | None:
    """The date that 12月3日 means, the occurrence nearest to now; None for anything else."""
    match = re.fullmatch(r"(\d{1,2})月(\d{1,2})日", text.strip())
    if not match:
        return None
    candidates = []
    for year in (current.year - 1, current.year, current.year + 1):
        try:
            candidates.append(date(year, int(match[1]), int(match[2])))
        except ValueError:
            continue
    return min(candidates, key=lambda d: abs((d - current.date()).days), default=None)
