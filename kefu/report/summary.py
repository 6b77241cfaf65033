"""What happened in a period, counted from review items and tickets."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from kefu.errors import SettingsError
from kefu.feedback.store import MARKS, ReviewItem, ReviewStore, now
from kefu.taxonomy import STRATEGIES

UPSET = ("angry", "anxious")
CALM = ("neutral", "happy")
COMPLAINTS = ("complain_product", "complain_delivery", "complain_service", "report_wrong_or_missing")
EXAMPLES = 3
_LONGEST = 80  # characters of an example
_SPAN = re.compile(r"(\d+)\s*([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}

# What customers praise or blame when they type feedback; a message may touch several subjects.
SUBJECTS: dict[str, re.Pattern[str]] = {
    name: re.compile(words, re.I)
    for name, words in {
        "物流配送": "快递|物流|发货|送货|配送|到货|派送|驿站|签收|顺丰|中通|小哥",
        "商品质量": "质量|做工|材质|好用|难用|结实|坏|异味|味道|好吃|口感|手感|色差|尺码|噪音|声音|暖和|均匀|效果",
        "客服与安装": "客服|态度|服务|耐心|师傅|安装|回复|敷衍|人工|热线",
        "价格与活动": "价格|价钱|贵|便宜|划算|优惠|券|活动|性价比|降价|积分",
        "包装": "包装|盒子|纸箱|泡沫|破损|磕",
        "退换与售后": "退货|退款|换货|售后|维修|保修|发票|退换",
        "页面与 App": "app|页面|网页|详情页|图片|按钮|评价|下单|搜索|标注|标清",
    }.items()
}


@dataclass(frozen=True)
class Period:
    """From ``since`` up to but not including ``until``, China time without tzinfo."""

    since: datetime
    until: datetime


def moment_of(text: str, option: str, today: datetime | None = None) -> datetime:
    """'7d', '24h' and '2w' count back from now; '2026-11-01' and '2026-11-01 08:30' are taken as they are.

    Raises:
        SettingsError: the text is none of these; the message names ``option``.
    """
    if match := _SPAN.fullmatch(text.strip()):
        try:
            return (today or now()) - timedelta(**{_UNITS[match[2]]: int(match[1])})
        except OverflowError:
            pass
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        raise SettingsError(f"{option} has value {text!r}; write it like 7d, 24h, 2w or 2026-11-01.") from None


def summarise(store: ReviewStore, period: Period) -> dict[str, Any]:
    """The figures of a period, ready for JSON; texts in it are masked."""
    items = store.items(since=period.since, until=period.until, by_priority=False)
    replies = [r for i in items for r in i.replies]
    sources = Counter(r.get("source") or "other" for r in replies)
    with store.engine.connect() as connection:
        harvested = connection.execute(sa.select(sa.func.max(MARKS.c.harvested_at))).scalar()
    return {
        "since": f"{period.since:%Y-%m-%d %H:%M}",
        "until": f"{period.until:%Y-%m-%d %H:%M}",
        "harvested": f"{harvested:%Y-%m-%d %H:%M}" if harvested else None,
        "customers": len({i.sender_id for i in items}),
        "conversations": len({(i.sender_id, i.session_at) for i in items}),
        "messages": len(items),
        "replies": {"n": len(replies), "by_source": dict(sources.most_common())},
        "intents": dict(Counter(i.labels[0] or "unknown" for i in items).most_common()),
        "emotions": dict(Counter(i.labels[1] or "unknown" for i in items).most_common()),
        "upset": _upset(items),
        "strategies": _strategies(replies),
        "ratings": _ratings(replies),
        "tickets": _tickets(store.engine, period),
        "handovers": _handovers(items),
        "complaints": _complaints(items),
        "unanswered": _unanswered(items),
        "typed_feedback": _typed(items),
        "review": dict(Counter(i.status for i in items)),
    }


def _conversations(items: Sequence[ReviewItem]) -> list[list[ReviewItem]]:
    grouped: dict[Any, list[ReviewItem]] = defaultdict(list)
    for item in items:
        grouped[item.sender_id, item.session_at].append(item)
    return list(grouped.values())


def _upset(items: Sequence[ReviewItem]) -> dict[str, Any]:
    """Conversations in which the customer was angry or anxious, by her last message's emotion."""
    upset = [c for c in _conversations(items) if any(i.labels[1] in UPSET for i in c)]
    last = Counter(c[-1].labels[1] or "unknown" for c in upset)
    total = len(_conversations(items))
    return {
        "conversations": len(upset),
        "share": len(upset) / total if total else 0.0,
        "ended_calm": sum(last[e] for e in CALM),
        "ended_upset": sum(last[e] for e in UPSET),
        "ended_otherwise": sum(n for e, n in last.items() if e not in (*CALM, *UPSET)),
        "handed_over": sum(any(i.handed_over for i in c) for c in upset),
    }


def _ratings(replies: Sequence[dict[str, Any]]) -> dict[str, Any]:
    stars = [int(r["rating"]) for r in replies if r.get("rating")]
    return {
        "n": len(stars),
        "mean": round(sum(stars) / len(stars), 2) if stars else None,
        "stars": {str(n): stars.count(n) for n in range(1, 6)},
        "thumbs_up": sum(r.get("thumb") == "up" for r in replies),
        "thumbs_down": sum(r.get("thumb") == "down" for r in replies),
        "corrections": sum(bool(r.get("corrected")) for r in replies),
    }


def _strategies(replies: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for reply in replies:
        grouped[reply.get("strategy") or "unknown"].append(reply)
    order = [*STRATEGIES, "unknown"]
    found = {}
    for name in sorted(grouped, key=lambda n: (-len(grouped[n]), order.index(n))):
        figures = _ratings(grouped[name])
        kept = {key: figures[key] for key in ("mean", "thumbs_up", "thumbs_down")}
        found[name] = {"n": len(grouped[name]), **kept}
    return found


def _handovers(items: Sequence[ReviewItem]) -> dict[str, int]:
    conversations = _conversations(items)
    return {
        "asked": sum(any(i.labels[0] == "contact_human" for i in c) for c in conversations),
        "handed_over": sum(any(i.handed_over for i in c) for c in conversations),
    }


def _complaints(items: Sequence[ReviewItem]) -> list[dict[str, Any]]:
    """Complaints by intent, the most frequent first, with the most telling messages."""
    grouped: dict[str, list[ReviewItem]] = defaultdict(list)
    for item in items:
        if item.labels[0] in COMPLAINTS:
            grouped[str(item.labels[0])].append(item)
    ordered = sorted(grouped.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [{"intent": name, "n": len(found), "examples": _examples(found)} for name, found in ordered]


def _unanswered(items: Sequence[ReviewItem]) -> dict[str, Any]:
    """Messages without a reply; after a hand-over a person answers, which is no lack."""
    taken: set[Any] = set()
    found = []
    for item in items:
        session = (item.sender_id, item.session_at)
        if item.handed_over:
            taken.add(session)
        if not item.replies and session not in taken:
            found.append(item)
    return {"n": len(found), "examples": _examples(found)}


def _examples(items: Sequence[ReviewItem]) -> list[str]:
    texts = [" ".join(i.text.split())[:_LONGEST] for i in sorted(items, key=lambda i: (-i.priority, i.id))]
    return list(dict.fromkeys(texts))[:EXAMPLES]


def _typed(items: Sequence[ReviewItem]) -> dict[str, Any]:
    """Feedback in words, by subject: praise from happy customers, blame from angry and disappointed ones."""
    given = [i for i in items if i.labels[0] == "give_feedback"]
    subjects = []
    for name, words in SUBJECTS.items():
        found = [i for i in given if words.search(i.text)]
        if found:
            subjects.append({"subject": name, **_tone(found)})
    rest = [i for i in given if not any(words.search(i.text) for words in SUBJECTS.values())]
    if rest:
        subjects.append({"subject": "其他", **_tone(rest)})
    subjects.sort(key=lambda s: -int(s["n"]))
    return {"n": len(given), "subjects": subjects}


def _tone(items: Sequence[ReviewItem]) -> dict[str, Any]:
    praise = [i for i in items if i.labels[1] == "happy"]
    blame = [i for i in items if i.labels[1] in ("angry", "disappointed")]
    counts = {"n": len(items), "praise": len(praise), "blame": len(blame)}
    return {**counts, "other": len(items) - len(praise) - len(blame), "examples": _examples(items)}


def _tickets(engine: Engine, period: Period) -> dict[str, Any] | None:
    """The shop's tickets; None where there is no such table."""
    if not sa.inspect(engine).has_table("tickets"):
        return None
    table = sa.Table("tickets", sa.MetaData(), autoload_with=engine)
    opened = sa.and_(table.c.created_at >= period.since, table.c.created_at < period.until)
    still = table.c.state == "open"
    with engine.connect() as connection:
        kinds = connection.execute(sa.select(table.c.kind, sa.func.count()).where(opened).group_by(table.c.kind)).all()
        waiting = connection.execute(sa.select(sa.func.count()).select_from(table).where(still)).scalar()
        late = sa.and_(still, table.c.reply_by < now())
        overdue = connection.execute(sa.select(sa.func.count()).select_from(table).where(late)).scalar()
    by_kind = {kind: int(n) for kind, n in sorted(kinds, key=lambda row: (-row[1], row[0]))}
    return {
        "opened": sum(by_kind.values()),
        "by_kind": by_kind,
        "open": int(waiting or 0),
        "overdue": int(overdue or 0),
    }
