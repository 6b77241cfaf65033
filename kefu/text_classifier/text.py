"""What the classifiers read of a message: one normal form, and no more of it than the encoder needs."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from html import unescape
from typing import Any

MAX_TEXT = 256  # characters of the message
MAX_CONTEXT = 40  # characters of the agent's previous turn, its end: that is where the question stands
MAX_EARLIER = 16  # characters of the customer's own previous turn: what "然后呢" goes on with
_BREAK = " | "
_SPACE = re.compile(r"\s+")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u00ad\ud800-\udfff]")
# Marks that anonymised logs carry in the place of what was said there, and a thing of that kind to read instead.
_MARK = re.compile(r"\[(?:(ORDERID|USERID)_\d+|([\u4e00-\u9fff]{2,4}(?:号|码)?)x)\]")
_KINDS = {
    "ORDERID": "202611080412345678",
    "USERID": "小雨2020",
    "数字": "3",
    "金额": "99元",
    "日期": "5月6日",
    "时间": "10:30",
    "姓名": "张伟",
    "地址": "幸福路12号",
    "站点": "城东站点",
    "电话": "13800001234",
    "组织机构": "百合商贸",
    "身份证号": "320501199001010011",
    "邮箱": "xiaoyu@mail.com",
    "链接": "https://m.shop.cn/1",
}
_STICKER = re.compile(r"#E-[a-z]{1,2}\d{0,4}|\[表情\]")
_TAG = re.compile(r"<[a-zA-Z/][^<>]{0,200}>")
_HAN = re.compile(r"[\u3400-\u9fff]")


@lru_cache(maxsize=1)
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def normalise(text: str) -> str:
    """Full-width to half-width (NFKC), traditional to simplified, invisible characters out, white space folded.

    Halves of surrogate pairs, which broken clients send, go too: no tokenizer takes them. Markup goes, a shop's own
    stickers become an emoji, and the marks of anonymised logs ("[数字x]") become a thing of their kind.
    """
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", _without_markup(text)))
    text = _SPACE.sub(" ", _unmasked(text)).strip()
    return str(_converter().convert(text)) if _HAN.search(text) else text


def unmarked(text: str) -> str:
    """Without markup, a shop's stickers and the marks of anonymised logs, as ``normalise``; else as it stands."""
    return _unmasked(_without_markup(text))


def _without_markup(text: str) -> str:
    while "&" in text and (plain := unescape(text)) != text:  # some clients escape twice
        text = plain
    return _TAG.sub(" ", text)


def _unmasked(text: str) -> str:
    return _STICKER.sub("🙂", _MARK.sub(lambda m: _KINDS.get(m[1] or m[2], m[0]), text))


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """A text longer than ``limit`` characters without its middle: openings and ends carry the intent."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    return text[:head] + "…" + text[-(limit - head - 1) :]


def history(agent: str | None, customer: str | None) -> str | None:
    """The context of a message: the agent's previous turn, and before it the customer's own where there is one."""
    if not customer or not (customer := normalise(customer)):
        return agent
    return f"{customer[-MAX_EARLIER:]}{_BREAK}{normalise(agent or '')[-MAX_CONTEXT:]}"


def agent_only(context: str) -> str:
    """``history`` without the customer's turn."""
    return context.rpartition(_BREAK)[2]


def model_input(text: str, context: str | None) -> tuple[str, str]:
    """(message, end of ``history``) as the encoder is given them, training and serving alike."""
    if not context:
        return cut(normalise(text)), ""
    customer, mark, agent = normalise(f"{context} ").rpartition(_BREAK.strip())
    agent = agent.strip()[-MAX_CONTEXT:]
    return cut(normalise(text)), f"{customer.strip()[-MAX_EARLIER:]}{_BREAK}{agent}" if mark else agent
