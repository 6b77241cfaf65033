"""The prompt: one function that training and serving share.

The model writes names of facts in braces, ``{退款金额}``, where a fact belongs; ``fill`` puts the values in. So the
model never types the digits of a fact, though it sees them: each stands in the prompt as ``{退款金额}=268.00元``.

    资料：退回的货到仓验收通过后48小时内退款，原路返回。
    已知 {商品}=三层蒸锅
    {退款金额}=268.00元
    客户：都五天了钱怎么还没退回来
    【退款进度|愤怒|寻求】信息传达：
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from kefu.errors import DataError
from kefu.facts import FREE_TEXTS, names
from kefu.generation.excerpt import excerpt
from kefu.generation.request import AGENT, ReplyRequest, last_words
from kefu.taxonomy import EMOTIONS, INTENTS, STAGES, STRATEGIES, short_name

# Raise it whenever format_prompt writes something else for the same request: adapters are bound to it. What only an
# attack holds, such as a speaker's name and a colon inside a turn, was in no training and may change without it.
PROMPT_VERSION = 1
# Strategies whose replies draw on passages; the others would only be led astray by them.
PASSAGE_STRATEGIES = frozenset({"inform", "suggest", "resolve", "continue_relationship"})
MAX_TURNS, TURN_CHARS = 5, 56
MAX_PASSAGES, PASSAGE_CHARS = 2, 110
MAX_FACTS, FACT_CHARS = 10, 32
# Marks of the prompt's own format; a reply that holds one has leaked it.
MARKS = ("资料：", "已知 {", "客户：", "客服：", "【", "】", "|", "{", "}")
_BRACES = str.maketrans({"{": "（", "}": "）", "【": "（", "】": "）", "|": "/", "｛": "（", "｝": "）", "｜": "/"})
_SPEAKER = re.compile(r"(资料|客户|客服)\s*[：:]")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def _line(text: str, limit: int) -> str:
    """``text`` in one line, without the prompt's own marks, its middle left out beyond ``limit`` characters."""
    flat = _SPEAKER.sub(r"\1，", " ".join(text.translate(_BRACES).split()))
    if len(flat) <= limit:
        return flat
    tail = limit // 3
    return f"{flat[: limit - tail - 1]}…{flat[-tail:]}"


def _label(name: str | None, glosses: Mapping[str, str]) -> str:
    return short_name(glosses[name]).split("、")[0] if name is not None and name in glosses else "未知"


def short_facts(facts: Mapping[str, str]) -> dict[str, str]:
    """The facts that go in as placeholders: all but the free texts and the empty ones."""
    return {k: str(v).strip() for k, v in facts.items() if k not in FREE_TEXTS and str(v).strip()}


def passage_texts(request: ReplyRequest) -> list[str]:
    """The texts a reply may state in its own words: free-text facts first, then the passages."""
    free = [str(request.facts[k]) for k in FREE_TEXTS if str(request.facts.get(k) or "").strip()]
    return list(dict.fromkeys(free + [p.text for p in request.passages]))


def format_prompt(request: ReplyRequest) -> str:
    """The prompt of a request; the reply follows right behind its last character."""
    lines: list[str] = []
    if request.strategy in PASSAGE_STRATEGIES:
        asked = last_words(request.turns)
        for text in passage_texts(request)[:MAX_PASSAGES]:
            short = text if len(text) <= PASSAGE_CHARS else excerpt(text, asked, PASSAGE_CHARS)
            lines.append(f"资料：{_line(short, PASSAGE_CHARS)}")
    facts = short_facts(request.facts)
    new = [k for k in facts if k in set(request.new_facts)] if request.new_facts else list(facts)
    new = new[-MAX_FACTS:]
    shown = {k: f"{{{names().get(k, k)}}}={_line(v, FACT_CHARS)}" for k, v in facts.items()}
    known = [shown[k] for k in facts if k not in new][-MAX_FACTS:]
    if known:
        lines.append("已知 " + " ".join(known))
    lines += [shown[k] for k in new]
    for speaker, text in request.turns[-MAX_TURNS:]:
        lines.append(f"{'客服' if speaker == AGENT else '客户'}：{_line(text, TURN_CHARS)}")
    labels = [_label(request.intent, INTENTS), _label(request.emotion, EMOTIONS)]
    if request.stage in STAGES:
        labels.append(STAGES[request.stage][:2])
    strategy = short_name(STRATEGIES[request.strategy]) if request.strategy in STRATEGIES else request.strategy
    lines.append(f"【{'|'.join(labels)}】{strategy}：")
    return "\n".join(lines)


@lru_cache(maxsize=1)
def _keys() -> dict[str, str]:
    return {name: key for key, name in names().items()}


def with_names(text: str) -> str:
    """A hand-written reply as the model is to write it: ``{refund_amount}`` becomes ``{退款金额}``."""
    return _PLACEHOLDER.sub(lambda m: f"{{{names().get(m[1], m[1])}}}", text)


def fill(text: str, facts: Mapping[str, str]) -> str:
    """A draft with its placeholders replaced by the facts' values.

    Raises:
        DataError: a placeholder has no fact.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1].strip()
        key = _keys().get(name, name)
        found = str(facts.get(key) or "").strip()
        if not found or key in FREE_TEXTS:
            raise DataError(f"{text!r} needs the fact {name!r}; given are {', '.join(facts) or 'none'}.")
        rest = text[match.end() :]
        # "共{订单金额}元" where the value brings its own unit
        return found[:-1] if rest[:1] and found[-1] == rest[0] and found[-1] in "元天件号个前点" else found

    return _PLACEHOLDER.sub(value, text)
