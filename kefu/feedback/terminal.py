"""The interactive review: one item after the other in the terminal, the most urgent first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from kefu.errors import DataError
from kefu.feedback.review import Decision, check_label, decide
from kefu.feedback.store import OPEN, ReviewItem, ReviewStore
from kefu.feedback.urgency import reasons
from kefu.taxonomy import EMOTIONS, INTENTS, STRATEGIES, short_name

_KEYS = "  ".join(
    f"[b]{key}[/b] {what}"
    for key, what in {
        "a": "接受",
        "i": "改意图",
        "e": "改情绪",
        "s": "改策略",
        "r": "写更好的回复",
        "o": "保存修改",
        "k": "跳过",
        "q": "退出",
    }.items()
)
_WHY = {
    "correction": "客户纠正",
    "mark": "差评",
    "upset": "之后情绪变差",
    "unanswered": "没有回复",
    "doubt": "没把握",
    "new": "说法新",
    "repeats": "类似",
}
_CONTEXT = 4  # earlier messages of the customer that are shown
_LABELS = {"i": ("intent", INTENTS), "e": ("emotion", EMOTIONS), "s": ("strategy", STRATEGIES)}


def review_all(
    store: ReviewStore,
    reviewer: str,
    passages: Mapping[str, str],
    limit: int | None = None,
    console: Console | None = None,
    ask: Callable[[str], str] = input,
) -> int:
    """Asks about every open item; returns how many were decided. End of input or Ctrl-C leaves without loss."""
    console = console or Console()
    items = store.items([OPEN], limit)
    if not items:
        console.print("没有待审的条目。先运行 kefu feedback harvest 收集对话。")
    done = 0
    for number, item in enumerate(items, 1):
        try:
            decided = _review(store, item, reviewer, passages, console, ask, f"{number}/{len(items)}")
        except (EOFError, KeyboardInterrupt):
            decided = None
        if decided is None:
            break
        done += 1
    console.print(f"已处理 {done} 条，剩余 {len(items) - done} 条。")
    return done


def _review(
    store: ReviewStore,
    item: ReviewItem,
    reviewer: str,
    passages: Mapping[str, str],
    console: Console,
    ask: Callable[[str], str],
    title: str,
) -> bool | None:
    """True when the item is decided, None to leave."""
    show(store, item, console, title)
    draft = Decision()
    while True:
        console.print(_KEYS)
        key = ask("> ").strip().lower()
        if key == "q":
            return None
        try:
            if key in _LABELS:
                kind, names = _LABELS[key]
                draft = _relabelled(draft, kind, _choose(kind, names, console, ask))
            elif key == "r":
                draft = _better_reply(draft, item, console, ask)
            elif key in ("a", "o", "k"):
                if key == "o" and draft == Decision():
                    console.print("还没有修改。无需修改请按 a。")
                    continue
                chosen = {"a": Decision(), "o": draft, "k": Decision(skip=True)}[key]
                decide(store, item.id, chosen, reviewer, passages)
                return True
        except DataError as error:
            console.print(f"[red]{escape(str(error))}[/red]")


def _relabelled(draft: Decision, kind: str, label: str | None) -> Decision:
    if label is None:
        return draft
    if kind == "intent":
        return replace(draft, intent=label)
    return replace(draft, emotion=label) if kind == "emotion" else replace(draft, strategy=label)


def _better_reply(draft: Decision, item: ReviewItem, console: Console, ask: Callable[[str], str]) -> Decision:
    if item.facts:
        known = "  ".join(f"{{{key}}}={value}" for key, value in item.facts.items())
        console.print("可用的事实：" + escape(known))
    reply = ask("更好的回复（空行保持不变）：").strip()
    facts = dict(draft.facts)
    while reply and (given := ask("补充事实 键=值（空行结束）：").strip()):
        key, _, value = given.partition("=")
        facts[key.strip()] = value.strip()
    return replace(draft, reply=reply or draft.reply, facts=facts)


def _choose(kind: str, names: Mapping[str, str], console: Console, ask: Callable[[str], str]) -> str | None:
    listed = list(names)
    shown = [f"{n:>2} {name} [dim]{_gloss(name, names)}[/dim]" for n, name in enumerate(listed, 1)]
    console.print(Columns(shown, padding=(0, 3)))
    answer = ask("编号或名称（空行保持不变）：").strip()
    if not answer:
        return None
    if answer.isdigit() and 1 <= int(answer) <= len(listed):
        return listed[int(answer) - 1]
    return check_label(kind, answer)


def show(store: ReviewStore, item: ReviewItem, console: Console, title: str) -> None:
    """Prints the item with the messages before it."""
    before = [i for i in store.conversation(item) if i.asked_at < item.asked_at][-_CONTEXT:]
    lines = []
    for earlier in before:
        lines.append(f"[dim]客户  {escape(earlier.text)}[/dim]")
        lines += [f"[dim]客服  {escape(r['text'])}[/dim]" for r in earlier.replies]
    lines.append(f"[b]客户  {escape(item.text)}[/b]")
    for reply in item.replies:
        mark = "[b]›[/b] " if reply.get("message_id") == item.message_id else "  "
        strategy = reply.get("strategy")
        name = _gloss(strategy, STRATEGIES) if strategy in STRATEGIES else "未知策略"
        lines.append(f"{mark}客服  {escape(reply['text'])}  [cyan]{name} ({strategy}, {reply.get('source')})[/cyan]")
    lines += ["", f"意图 [cyan]{_named(item.intent, INTENTS)}[/cyan] {item.intent_confidence:.2f}"]
    lines[-1] += f"   情绪 [cyan]{_named(item.emotion, EMOTIONS)}[/cyan] {item.emotion_confidence:.2f}"
    if why := reasons(item):
        lines.append("缘由 " + "，".join(f"{_WHY[name]} {figure}".strip() for name, figure in why.items()))
    if opinion := _opinion(item):
        lines.append("反馈 [yellow]" + escape(opinion) + "[/yellow]")
    console.print(Panel("\n".join(lines), title=f"#{item.id}  {title}  {item.asked_at:%Y-%m-%d %H:%M}"))


def _named(label: str | None, names: Mapping[str, str]) -> str:
    return f"{label} {_gloss(label, names)}" if label in names and label else "无"


def _gloss(label: str, names: Mapping[str, str]) -> str:
    """The first words of what a label means."""
    return escape(short_name(names[label]).split("、")[0])


def _opinion(item: ReviewItem) -> str:
    parts = [{"up": "赞", "down": "踩"}[item.thumb]] if item.thumb in ("up", "down") else []
    parts += [f"{item.rating} 星"] if item.rating else []
    said = "客户说她的意思是" if item.correction_target == "meaning" else "客户认为应答"
    parts += [f"{said}：{item.correction}"] if item.correction else []
    parts += [f"下一句情绪：{_named(item.next_emotion, EMOTIONS)}"] if item.next_emotion else []
    return "，".join(parts)
