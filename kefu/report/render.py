"""Writes a summary as Markdown and as a self-contained HTML page, in Chinese for the shop's people."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kefu.taxonomy import EMOTIONS, INTENTS, STRATEGIES

_SOURCES = {"model": "模型", "template": "模板", "other": "其他"}
_STATUSES = {"open": "待审", "accepted": "已接受", "corrected": "已纠正", "skipped": "已跳过"}
_TOP = 10
_MARKDOWN = re.compile(r"([\\`*\[\]<>|#]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z]))")

_STYLE = """
body{font:15px/1.6 system-ui,"PingFang SC","Microsoft YaHei",sans-serif;color:#1f2937}
body{max-width:960px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #e5e7eb;padding-bottom:.3rem}
table{border-collapse:collapse;width:100%}
td,th{padding:.3rem .6rem;text-align:left;border-bottom:1px solid #f3f4f6;vertical-align:top}
th{color:#6b7280;font-weight:500}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.bar{background:#2f855a;height:.55rem;border-radius:.3rem;min-width:1px;margin-top:.5rem}
@media (prefers-color-scheme:dark){
body{background:#111827;color:#e5e7eb}h2{border-color:#374151}td,th{border-color:#1f2937}th{color:#9ca3af}
}
"""


@dataclass(frozen=True)
class Section:
    """A heading with sentences and at most one table; cells that are numbers stand to the right."""

    title: str
    sentences: Sequence[str] = ()
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    bars: bool = False


def short(names: Mapping[str, str], name: str) -> str:
    """The first words of a label's Chinese gloss."""
    return re.split(r"[、：:，,（(\s\[]", names[name], maxsplit=1)[0] if name in names else "未识别"


def markdown(summary: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = [f"# {_title(summary)}", ""]
    for section in sections(summary):
        lines += [f"## {section.title}", ""]
        lines += [line for sentence in section.sentences for line in (_MARKDOWN.sub(r"\\\1", sentence), "")]
        if section.rows:
            lines += [
                _row(section.head),
                _row("---:" if _numeric(section, n) else "---" for n in range(len(section.head))),
            ]
            lines += [_row(_MARKDOWN.sub(r"\\\1", str(cell)) for cell in row) for row in section.rows]
            lines.append("")
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _numeric(section: Section, column: int) -> bool:
    return all(isinstance(row[column], (int, float)) or str(row[column]).endswith("%") for row in section.rows)


def page(summary: Mapping[str, Any]) -> str:
    """The report as one HTML file that loads nothing."""
    body = "\n".join(_html(section) for section in sections(summary))
    title = html.escape(_title(summary))
    return (
        '<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )


def _html(section: Section) -> str:
    parts = [f"<h2>{html.escape(section.title)}</h2>", *(f"<p>{html.escape(s)}</p>" for s in section.sentences)]
    if section.rows:
        marks = ['class="n"' if _numeric(section, n) else "" for n in range(len(section.head))]
        head = "".join(f"<th {m}>{html.escape(str(c))}</th>" for m, c in zip(marks, section.head, strict=True))
        parts.append(f"<table><tr>{head}{'<th></th>' if section.bars else ''}</tr>")
        for row in section.rows:
            cells = "".join(f"<td {m}>{html.escape(str(c))}</td>" for m, c in zip(marks, row, strict=True))
            parts.append(f"<tr>{cells}{_bar(section, row)}</tr>")
        parts.append("</table>")
    return "\n".join(parts)


def _bar(section: Section, row: Sequence[Any]) -> str:
    """A cell with a bar as long as the row's number, the second cell, is large."""
    if not section.bars:
        return ""
    most = max(float(r[1]) for r in section.rows) or 1.0
    return f'<td style="width:30%"><div class="bar" style="width:{100 * float(row[1]) / most:.1f}%"></div></td>'


def _title(summary: Mapping[str, Any]) -> str:
    return f"客服小结 {summary['since']} 至 {summary['until']}"


def sections(summary: Mapping[str, Any]) -> list[Section]:
    """The report's parts in order; a part without data says so or is left out."""
    if not summary["messages"]:
        hint = "这段时间没有对话。" if summary["harvested"] else "还没有收集过对话，请先运行 kefu feedback harvest。"
        return [Section("概况", [hint]), *_tickets(summary)]
    return [
        _overview(summary),
        _counted("客户在问什么", "意图", summary["intents"], lambda name: short(INTENTS, name)),
        _counted("情绪", "情绪", summary["emotions"], lambda name: short(EMOTIONS, name)),
        _calmed(summary["upset"]),
        _strategies(summary["strategies"]),
        _ratings(summary["ratings"]),
        *_tickets(summary),
        _complaints(summary["complaints"]),
        _typed(summary["typed_feedback"]),
        _unanswered(summary["unanswered"]),
    ]


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "0%"


def _overview(s: Mapping[str, Any]) -> Section:
    replies, sources = s["replies"], s["replies"]["by_source"]
    told = "，".join(f"{_SOURCES.get(k, k)} {n} 条（{_share(n, replies['n'])}）" for k, n in sources.items())
    hand = s["handovers"]
    sentences = [
        f"{s['customers']} 位客户，{s['conversations']} 段对话，{s['messages']} 条消息，{replies['n']} 条回复"
        + (f"：{told}。" if told else "。"),
        f"{hand['asked']} 段对话要求人工，{hand['handed_over']} 段已转人工；"
        f"{s['unanswered']['n']} 条消息没有得到回复。",
        "审核进度：" + "，".join(f"{_STATUSES.get(k, k)} {n} 条" for k, n in s["review"].items()) + "。",
        f"对话收集截至 {s['harvested']}，文中个人信息均已替换。" if s["harvested"] else "文中个人信息均已替换。",
    ]
    return Section("概况", sentences)


def _counted(title: str, head: str, counts: Mapping[str, int], name: Callable[[str], str]) -> Section:
    total = sum(counts.values())
    rows = [(f"{name(k)}（{k}）", n, _share(n, total)) for k, n in list(counts.items())[:_TOP]]
    rest = total - sum(int(row[1]) for row in rows)
    rows += [("其余", rest, _share(rest, total))] if rest else []
    return Section(title, (), (head, "消息", "占比"), rows, bars=True)


def _calmed(upset: Mapping[str, Any]) -> Section:
    n = upset["conversations"]
    if not n:
        return Section("生气与着急的客户", ["没有出现生气或着急的对话。"])
    return Section(
        "生气与着急的客户",
        [
            f"{n} 段对话里客户生过气或着过急，占 {upset['share']:.0%}。结束时 {upset['ended_calm']} 段已平静"
            f"（{_share(upset['ended_calm'], n)}），{upset['ended_upset']} 段仍生气或着急，"
            f"{upset['ended_otherwise']} 段是其他情绪；{upset['handed_over']} 段转了人工。"
        ],
    )


def _strategies(found: Mapping[str, Mapping[str, Any]]) -> Section:
    rows = [
        (f"{short(STRATEGIES, k)}（{k}）", f["n"], f["thumbs_up"], f["thumbs_down"], f["mean"] if f["mean"] else "–")
        for k, f in found.items()
    ]
    return Section("用了哪些策略", (), ("策略", "回复", "赞", "踩", "平均星级"), rows, bars=True)


def _ratings(r: Mapping[str, Any]) -> Section:
    mean = f"平均 {r['mean']} 星（{r['n']} 次评分）" if r["n"] else "还没有评分"
    told = f"{mean}，{r['thumbs_up']} 个赞，{r['thumbs_down']} 个踩，{r['corrections']} 次纠正。"
    rows = [(f"{n} 星", r["stars"][str(n)]) for n in range(5, 0, -1)] if r["n"] else []
    return Section("客户评分", [told], ("评分", "次数") if rows else (), rows, bars=bool(rows))


def _tickets(summary: Mapping[str, Any]) -> list[Section]:
    tickets = summary["tickets"]
    if tickets is None:
        return []
    told = (
        f"新开 {tickets['opened']} 张，目前 {tickets['open']} 张未结，其中 {tickets['overdue']} 张已过承诺的回复时间。"
    )
    rows = [(f"{short(INTENTS, k)}（{k}）" if k in INTENTS else k, n) for k, n in tickets["by_kind"].items()]
    return [Section("工单", [told], ("事由", "新开") if rows else (), rows, bars=bool(rows))]


def _complaints(found: Sequence[Mapping[str, Any]]) -> Section:
    rows = [(short(INTENTS, c["intent"]), c["n"], " / ".join(c["examples"])) for c in found]
    return Section("主要投诉", () if rows else ["没有投诉。"], ("投诉", "消息", "例子") if rows else (), rows)


def _typed(found: Mapping[str, Any]) -> Section:
    if not found["n"]:
        return Section("客户的话", ["没有人留下文字评价。"])
    rows = [(s["subject"], s["praise"], s["blame"], s["other"], " / ".join(s["examples"])) for s in found["subjects"]]
    praised = max(found["subjects"], key=lambda s: s["praise"])
    blamed = max(found["subjects"], key=lambda s: s["blame"])
    told = f"{found['n']} 条文字评价。"
    told += f"夸得最多的是{praised['subject']}（{praised['praise']} 条）。" if praised["praise"] else ""
    told += f"不满最多的是{blamed['subject']}（{blamed['blame']} 条）。" if blamed["blame"] else ""
    return Section("客户的话", [told], ("方面", "表扬", "不满", "建议与其他", "例子"), rows)


def _unanswered(found: Mapping[str, Any]) -> Section:
    rows = [(text,) for text in found["examples"]]
    told = f"{found['n']} 条消息没有得到回复。" if found["n"] else "每条消息都得到了回复。"
    return Section("没有得到回复", [told], ("消息",) if rows else (), rows)
