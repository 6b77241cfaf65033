"""Templates: what is said when no draft may be sent. Hand-written in templates.yml and, for messages that only carry a
matter on, in follow_ups.yml; chosen by what they fit.

A template is a candidate if its conditions hold and every fact that it names is there. The most specific one wins:
outcome before the message's own intent before the matter in hand before emotion before the number of facts, facts
learned in this turn counting double.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

from kefu.errors import DataError
from kefu.facts import fill, names, placeholders
from kefu.generation.excerpt import excerpt
from kefu.generation.guard import writes_english
from kefu.generation.prompt import PASSAGE_STRATEGIES, passage_texts, short_facts
from kefu.generation.request import AGENT, USER, ReplyRequest, last_words
from kefu.generation.similarity import similar
from kefu.taxonomy import EMOTIONS, INTENTS, STRATEGIES

EMPTY = "empty_input"
# Intents that carry on with the topic in hand; they rule no template out that has facts to state.
FOLLOW_UPS = frozenset({"provide_info", "affirm", "deny", "greet", "thank"})
# Answered in hand-written words alone: what the assistant is, and what it does not do, is not for a model to say.
HAND_WRITTEN = frozenset({"ask_bot_identity", "out_of_scope"})
PASSAGE_CHARS = 90
_REPEATED = 0.75
_KEYS = {"strategy", "intents", "follows", "emotions", "outcomes", "needs", "text", "en"}


@dataclass(frozen=True)
class Template:
    """One wording of a reply and when it fits; empty conditions fit always.

    Attributes:
        intents: the matter in hand: what the message asks, or what was asked before where it only carries on with it.
        follows: of FOLLOW_UPS: how the message carries on, such as provide_info.
    """

    text: str
    english: bool
    strategies: frozenset[str]
    intents: frozenset[str]
    follows: frozenset[str]
    emotions: frozenset[str]
    outcomes: frozenset[str]
    needs: frozenset[str]


def _one(raw: Mapping[str, Any], groups: Mapping[str, Sequence[str]], where: str) -> list[Template]:
    if unknown := set(raw) - _KEYS:
        raise DataError(f"{where}: there is no key {sorted(unknown)[0]!r}; known are {', '.join(sorted(_KEYS))}.")
    strategies = [raw["strategy"]] if isinstance(raw.get("strategy"), str) else list(raw.get("strategy") or [])
    intents = [i for name in raw.get("intents") or [] for i in groups.get(name, [name])]
    emotions, needs, follows = raw.get("emotions") or [], raw.get("needs") or [], raw.get("follows") or []
    for value, known in [
        (strategies, {*STRATEGIES, EMPTY}),
        (intents, INTENTS),
        (follows, FOLLOW_UPS),
        (emotions, EMOTIONS),
        (needs, names()),
    ]:
        if wrong := [v for v in value if v not in known]:
            raise DataError(f"{where}: {wrong[0]!r} is no strategy, intent, group, emotion or fact that kefu knows.")
    texts = [(str(raw[key]), key == "en") for key in ("text", "en") if raw.get(key)]
    if not strategies or not texts:
        raise DataError(f"{where}: a template needs 'strategy' and 'text' or 'en'.")
    found = []
    for text, english in texts:
        needed = frozenset(needs) | frozenset(placeholders(text))
        if wrong := sorted(needed - set(names())):
            raise DataError(f"{where}: {text!r} names the fact {wrong[0]!r}, which facts.yml does not.")
        outcomes = frozenset(raw.get("outcomes") or [])
        asked = (frozenset(strategies), frozenset(intents), frozenset(follows), frozenset(emotions), outcomes)
        found.append(Template(text, english, *asked, needed))
    return found


def read_templates(
    text: str, where: str = "templates.yml", groups: Mapping[str, Sequence[str]] | None = None
) -> list[Template]:
    """Parses a file of templates.

    Args:
        groups: names for several intents, beside those that the file itself gives.

    Raises:
        DataError: a template breaks the format; the message names the file, the template and the value.
    """
    document = yaml.safe_load(text)
    groups = {**(groups or {}), **(document.get("groups") or {})}
    return [
        template
        for i, raw in enumerate(document["templates"], 1)
        for template in _one(raw, groups, f"{where}, template {i} ({str(raw.get('text') or raw.get('en'))[:20]!r})")
    ]


@lru_cache(maxsize=1)
def bundled_templates() -> tuple[Template, ...]:
    """Those of templates.yml and follow_ups.yml beside this file."""
    folder = files("kefu.generation")
    text = (folder / "templates.yml").read_text(encoding="utf-8")
    groups = yaml.safe_load(text)["groups"]
    carried_on = (folder / "follow_ups.yml").read_text(encoding="utf-8")
    return (*read_templates(text), *read_templates(carried_on, "follow_ups.yml", groups))


class Templates:
    """Chooses and fills templates; always has something to say."""

    def __init__(self, templates: Sequence[Template] | None = None) -> None:
        self._templates = tuple(templates if templates is not None else bundled_templates())

    def reply(self, request: ReplyRequest) -> str:
        """The text for a request, every fact in it taken from the request's."""
        english = writes_english(request.turns)
        said = [text for speaker, text in request.turns if speaker == AGENT]
        strategy = EMPTY if self._is_empty(request) else request.strategy
        ranked = self._ranked(strategy, request, english)
        stated = None if english or strategy == EMPTY else self._passage(request, said, ranked)
        if stated:
            return stated
        if not english and (plain := _plainly(request, ranked)) and not _said(plain, said):
            return plain
        texts = [fill(template.text, request.facts) for _, template in ranked]
        fresh = [(score, text) for (score, _), text in zip(ranked, texts) if not _said(text, said)]
        if fresh:
            best = [text for score, text in fresh if score == fresh[0][0]]
            return best[len(request.turns) % len(best)]
        if texts:
            return min(texts, key=lambda text: max((similar(text, s) for s in said), default=0.0))
        return "One moment, please." if english else "请稍等，我看一下。"

    @staticmethod
    def _is_empty(request: ReplyRequest) -> bool:
        return bool(request.turns) and request.turns[-1][0] == USER and not last_words(request.turns)

    def _ranked(self, strategy: str, request: ReplyRequest, english: bool) -> list[tuple[int, Template]]:
        scored = []
        for template in self._templates:
            if template.english == english and strategy in template.strategies:
                score = _score(template, request)
                if score is not None:
                    scored.append((score, template))
        return sorted(scored, key=lambda pair: -pair[0])

    @staticmethod
    def _passage(request: ReplyRequest, said: Sequence[str], ranked: Sequence[tuple[int, Template]]) -> str | None:
        """The best passage's own sentences, unless a template states facts of this turn or its outcome."""
        if (
            request.strategy not in PASSAGE_STRATEGIES - {"resolve", "continue_relationship"}
            or request.intent in HAND_WRITTEN
        ):
            return None
        if ranked:
            best = ranked[0][1]
            if best.outcomes or (
                best.needs and (_topic(request) in best.intents or best.needs & set(request.new_facts))
            ):
                return None
        question = last_words(request.turns)
        for text in passage_texts(request):
            stated = excerpt(text, question, PASSAGE_CHARS)
            if stated and not _said(stated, said):
                return stated
        return None


def _said(text: str, said: Sequence[str]) -> bool:
    return any(similar(text, earlier) >= _REPEATED for earlier in said)


def _plainly(request: ReplyRequest, ranked: Sequence[tuple[int, Template]]) -> str | None:
    """What was just learned, said by name, where no template was written for it."""
    if request.strategy != "inform" or (ranked and (ranked[0][1].needs or ranked[0][1].outcomes)):
        return None
    facts = short_facts(request.facts)
    learned = [key for key in request.new_facts if key in facts and key in names()][:3]
    return f"查到了，{'，'.join(f'{names()[key]}是{facts[key]}' for key in learned)}。" if learned else None


def _topic(request: ReplyRequest) -> str | None:
    return request.topic if request.topic and request.intent in FOLLOW_UPS else request.intent


def _score(template: Template, request: ReplyRequest) -> int | None:
    """How well a template fits; None where a condition fails or a fact is missing."""
    facts = short_facts(request.facts)
    if not template.needs <= set(facts):
        return None
    if template.outcomes and request.outcome not in template.outcomes:
        return None
    if template.emotions and request.emotion not in template.emotions:
        return None
    if template.follows and request.intent not in template.follows:
        return None
    topic = _topic(request)
    matched = topic in template.intents or (request.intent in template.intents and template.intents <= FOLLOW_UPS)
    if template.intents and not matched and not (template.needs and (topic is None or topic in FOLLOW_UPS)):
        return None
    new = len(template.needs & set(request.new_facts))
    fit = 40 * bool(template.outcomes) + 30 * bool(template.follows) + 20 * matched + 6 * bool(template.emotions)
    return fit + 4 * len(template.needs) + 4 * new
