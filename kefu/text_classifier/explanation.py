"""What an attribution says: the weight of each character and word, and a page that shows it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kefu.taxonomy import EMOTIONS, INTENTS, short_name

Weighted = tuple[tuple[str, float], ...]  # texts with what each adds to the label's logit, in the order of the message
_TASKS = {"intent": ("意图", INTENTS), "emotion": ("情绪", EMOTIONS)}


@dataclass(frozen=True)
class Piece:
    """A token: the characters [start, end) of the text that it stands for, and its weight."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Explanation:
    """Why one task has its label.

    Attributes:
        probability: the served model's, calibrated.
        characters: of the message, in its normal form. A token's weight is shared equally by its characters.
        words: of the message, as the tokenizer cuts it.
        context: characters of the previous turn; empty where none was given.
        gain: the label's logit for the message, less its logit for the baseline. The weights add up to it.
        completeness_error: by how much they do not, in logits.
    """

    task: str
    label: str
    probability: float
    characters: Weighted
    words: Weighted
    context: Weighted
    gain: float
    completeness_error: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the context's characters only where there is a context."""
        document = {
            "label": self.label,
            "probability": self.probability,
            "characters": [list(pair) for pair in self.characters],
            "completeness_error": self.completeness_error,
        }
        return {**document, "context_characters": [list(pair) for pair in self.context]} if self.context else document

    def strongest(self, count: int = 5) -> Weighted:
        """The words that weigh most, for or against the label."""
        return tuple(sorted(self.words, key=lambda pair: -abs(pair[1]))[:count])

    def strength(self, weight: float) -> float:
        """``weight`` as a share, -1 to 1, of the heaviest character's."""
        return weight / (max((abs(w) for _, w in (*self.characters, *self.context)), default=0.0) or 1.0)


def title_of(task: str) -> str:
    """A task's Chinese name."""
    return _TASKS[task][0] if task in _TASKS else task


def gloss_of(task: str, label: str) -> str:
    """The short Chinese name of a label; empty where the taxonomy has none."""
    names = _TASKS[task][1] if task in _TASKS else {}
    return short_name(names[label]).split("、")[0] if label in names else ""


def characters_of(text: str, pieces: Sequence[Piece]) -> Weighted:
    """Every character of ``text`` with its share of the pieces over it; 0 where the text was cut.

    A piece without characters, such as a mark of a word's beginning, goes to the character that follows.
    """
    weights = [0.0] * len(text)
    for piece in pieces:
        start = min(piece.start, len(text) - 1)
        end = max(piece.end, start + 1)
        for i in range(start, end):
            weights[i] += piece.weight / (end - start)
    return tuple(zip(text, weights))


def words_of(text: str, pieces: Sequence[Piece]) -> Weighted:
    """The pieces as words; one that lies within the next, a mark of its beginning, becomes part of it."""
    words: list[tuple[str, float]] = []
    carried = 0.0
    for piece, following in zip(pieces, [*pieces[1:], None]):
        weight, carried = piece.weight + carried, 0.0
        if following is not None and following.start <= piece.start and piece.end <= following.end:
            carried = weight
        elif word := text[piece.start : piece.end].strip():
            words.append((word, weight))
    return tuple(words)


_STYLE = """
body{font:16px/1.7 system-ui,"PingFang SC","Microsoft YaHei",sans-serif;color:#1f2937;background:#f8fafc}
body{max-width:820px;margin:2.5rem auto;padding:0 1rem;--for:13,148,136;--against:234,88,12}
h1{font-size:1.4rem;margin-bottom:.2rem}h2{font-size:1.05rem;margin:0 0 .6rem}
section{background:#fff;border:1px solid #e5e7eb;border-radius:.8rem;padding:1.1rem 1.3rem;margin:1.2rem 0}
code,.note{color:#6b7280;font-size:.85rem}
.said{font-size:1.5rem;line-height:2.2rem;overflow-wrap:anywhere;white-space:pre-wrap}.before{font-size:1rem}
.said span{padding:.15rem 0;border-radius:.15rem}
.share{float:right;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;margin-top:.8rem}
td{padding:.2rem .5rem;border-top:1px solid #f3f4f6}
td:nth-child(2){text-align:right;width:5rem;font-variant-numeric:tabular-nums}td:last-child{width:50%}
.bar{height:.55rem;border-radius:.3rem;min-width:2px}
.for{background:rgb(var(--for))}.against{background:rgb(var(--against))}
.key{display:inline-block;width:.9rem;height:.9rem;border-radius:.2rem;vertical-align:-.1rem;margin:0 .3rem 0 .8rem}
@media (prefers-color-scheme:dark){
body{color:#e5e7eb;background:#0f172a}section{background:#1e293b;border-color:#334155}
td{border-color:#334155}code,.note{color:#94a3b8}}
"""


def page(explanations: Sequence[Explanation]) -> str:
    """The explanations of one message as an HTML file that loads nothing."""
    said = "".join(c for c, _ in explanations[0].characters)
    cards = "\n".join(_card(e) for e in explanations)
    return (
        '<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>为什么这样理解：{html.escape(said)}</title><style>{_STYLE}</style></head>\n"
        "<body><h1>为什么这样理解</h1>\n"
        '<div class="note">颜色越深，这个字的作用越大；把鼠标停在字上可看数值。'
        '<i class="key for"></i>支持这个结论<i class="key against"></i>反对这个结论</div>\n'
        f"{cards}\n"
        '<p class="note">方法：对词向量做积分梯度（Integrated Gradients，Sundararajan 等，2017），'
        "基线是把每个词换成填充符的同长句子。数值是该字为结论的 logit 增加（或减少）的量，"
        "相加约等于这句话与基线的 logit 之差。"
        "文字是模型读到的样子（全角转半角、繁体转简体）。</p>\n</body></html>\n"
    )


def _card(e: Explanation) -> str:
    gloss = gloss_of(e.task, e.label)
    before = f'<div class="said before note">上文：{_coloured(e, e.context)}</div>' if e.context else ""
    widest = max((abs(w) for _, w in e.words), default=0.0) or 1.0
    rows = "".join(
        f"<tr><td>{html.escape(word)}</td><td>{weight:+.2f}</td><td>"
        f'<div class="bar {_side(weight)}" style="width:{100 * abs(weight) / widest:.1f}%"></div></td></tr>'
        for word, weight in e.strongest()
    )
    return (
        f'<section><h2><span class="share">{e.probability:.1%}</span>{html.escape(title_of(e.task))}：'
        f"{html.escape(gloss or e.label)} <code>{html.escape(e.label)}</code></h2>\n"
        f'{before}<div class="said">{_coloured(e, e.characters)}</div>\n<table>{rows}</table>\n'
        f'<div class="note">与基线的 logit 之差 {e.gain:+.2f}，各字之和与它相差 {e.completeness_error:.2f}</div>'
        "</section>"
    )


def _side(weight: float) -> str:
    return "for" if weight >= 0 else "against"


def _coloured(e: Explanation, characters: Weighted) -> str:
    spans = []
    for character, weight in characters:
        ground = f"rgba(var(--{_side(weight)}),{abs(e.strength(weight)) * 0.7:.2f})"
        spans.append(f'<span title="{weight:+.2f}" style="background:{ground}">{html.escape(character)}</span>')
    return "".join(spans)
