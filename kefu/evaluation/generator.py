"""Measures the generator on dialogues: does it answer, is it true, does it do what it was asked, does it vary.

Each agent turn becomes the request that serving would make of it: the facts known by then, those of this turn marked as
new, the passage that the turn leaned on. What the responder sends is set beside the human's reply and the template.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kefu.errors import DataError
from kefu.evaluation.metrics import percentile
from kefu.generation.examples import Example
from kefu.generation.prompt import fill, passage_texts, short_facts
from kefu.generation.quantities import quantities, unvouched
from kefu.generation.request import USER, ReplyRequest
from kefu.generation.responder import Responder
from kefu.generation.templates import Templates

Read = Callable[[Sequence[str]], Mapping[str, Mapping[str, float]]]
# What the shares should reach before drafts are let out to customers.
BARS = {"model": 0.85, "grounded": 1.0, "read_back": 0.85, "distinct_2_ratio": 0.5}
_TOKEN = re.compile(r"[\u3400-\u9fff]|[A-Za-z]+|\d+(?:\.\d+)?")
_ORDERS, _BETA = range(1, 7), 2.0


@dataclass(frozen=True)
class Row:
    """One request, what was sent, and what a human and the template say.

    Attributes:
        asked: whether the model was asked for a draft at all.
        refused: why drafts were refused, in order.
        read: the strategy read off the sent, the human's and the template's text.
    """

    dialogue: str
    request: ReplyRequest
    reply: str
    source: str
    asked: bool
    refused: tuple[str, ...]
    latency_ms: float
    human: str
    template: str
    read: tuple[str, str, str] = ("", "", "")

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the whole request, so that a person can judge the reply."""
        request = self.request
        return {
            "dialogue": self.dialogue,
            "strategy": request.strategy,
            "intent": request.intent,
            "emotion": request.emotion,
            "turns": [list(turn) for turn in request.turns],
            "facts": dict(request.facts),
            "passages": [p.text for p in request.passages],
            "reply": self.reply,
            "source": self.source,
            "asked": self.asked,
            "refused": list(self.refused),
            "latency_ms": round(self.latency_ms, 1),
            "human": self.human,
            "template": self.template,
            "read": dict(zip(("reply", "human", "template"), self.read)),
            "loose": ["".join(q) for q in loose(self.reply, request)],
        }


def request_of(example: Example, deadline: float) -> ReplyRequest:
    """The request as the action server would make it; ``deadline`` in seconds."""
    facts = {**example.earlier, **example.request.facts}
    return replace(example.request, facts=facts, deadline=deadline)


def evaluate_generator(
    examples: Sequence[Example],
    responder: Responder,
    read: Read,
    deadline: float,
    say: Callable[[int], Any] = lambda done: None,
) -> tuple[dict[str, dict[str, Any]], list[Row]]:
    """(figures by strategy with "all" first, rows).

    Args:
        read: strategy probabilities by text, such as kefu.strategy.reader.Reader.
        deadline: seconds for a reply.
        say: is told how many replies are written.

    Raises:
        DataError: there is nothing to measure on.
    """
    if not examples:
        raise DataError("There is no agent turn to measure the generator on; give dialogues with --data, or --all.")
    templates, rows = Templates(), []
    for example in examples:
        request = request_of(example, deadline)
        sent = responder.reply(request)
        human = fill(example.reply, request.facts)
        asked = responder.drafts_for(request)
        about = (sent.text, sent.source, asked, sent.refused, sent.latency_ms)
        rows.append(Row(example.dialogue, request, *about, human, templates.reply(request)))
        say(len(rows))
    strategies = {text: max(p, key=lambda s: p[s]) for text, p in read(_texts(rows)).items()}
    rows = [replace(r, read=(strategies[r.reply], strategies[r.human], strategies[r.template])) for r in rows]
    figures = {"all": _figures(rows)}
    for strategy in sorted({r.request.strategy for r in rows}):
        figures[strategy] = _figures([r for r in rows if r.request.strategy == strategy])
    return figures, rows


def _texts(rows: Iterable[Row]) -> list[str]:
    return [text for r in rows for text in (r.reply, r.human, r.template)]


def refusals(rows: Sequence[Row]) -> dict[str, int]:
    """How many requests were left to the template, by reason; one with two refused drafts may count for two."""
    found: Counter[str] = Counter()
    for row in rows:
        if row.source != "model":
            found.update(set(row.refused) if row.asked else {"not asked"})
    return dict(found.most_common())


def loose(reply: str, request: ReplyRequest) -> list[tuple[str, str]]:
    """The quantities of a reply that no fact, no passage and no word of the customer's vouches for."""
    theirs = [text for speaker, text in request.turns if speaker == USER]
    return unvouched(reply, [*short_facts(request.facts).values(), *passage_texts(request), *theirs])


def _figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Shares of all requests; what concerns the model's wording, over the replies that it wrote."""
    by_model = [r for r in rows if r.source == "model"]
    written, humans = [r.reply for r in by_model], [r.human for r in by_model]
    asked = sum(r.asked for r in rows)
    numbers = sum(len(quantities(r.reply)) for r in rows)
    unproven = sum(len(loose(r.reply, r.request)) for r in rows)

    def read_back(which: int, among: Sequence[Row]) -> float | None:
        return _share(sum(r.read[which] == r.request.strategy for r in among), len(among))

    times = [r.latency_ms for r in by_model]
    return {
        "n": len(rows),
        "model": _share(len(by_model), len(rows)),
        "model_of_asked": _share(len(by_model), asked),
        "numbers": numbers,
        "grounded": _share(numbers - unproven, numbers),
        "read_back": read_back(0, by_model),
        "read_back_sent": read_back(0, rows),
        "read_back_human": read_back(1, rows),
        "read_back_template": read_back(2, rows),
        "distinct_1_ratio": _ratio(distinct(written, 1), distinct(humans, 1)),
        "distinct_2_ratio": _ratio(distinct(written, 2), distinct(humans, 2)),
        "chrf": chrf(written, humans) if written else None,
        "chrf_template": chrf([r.template for r in rows], [r.human for r in rows]),
        "length": _share(sum(map(len, written)), len(written)),
        "length_human": _share(sum(map(len, humans)), len(humans)),
        "p50_ms": round(percentile(times, 0.5), 1) if times else None,
        "p95_ms": round(percentile(times, 0.95), 1) if times else None,
    }


def bars(figures: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{figure: its value, its bar, whether it is reached}; a figure that there is nothing to take from reaches none."""
    return {
        name: {"value": figures[name], "bar": bar, "reached": figures[name] is not None and figures[name] >= bar}
        for name, bar in BARS.items()
    }


def _share(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _ratio(one: float | None, other: float | None) -> float | None:
    return round(one / other, 4) if one is not None and other else None


def distinct(texts: Sequence[str], order: int) -> float | None:
    """Distinct n-grams over all n-grams (Li et al., 2016), of Chinese characters, words and numbers."""
    tokens = [_TOKEN.findall(text) for text in texts]
    grams = [tuple(found[i : i + order]) for found in tokens for i in range(max(0, len(found) - order + 1))]
    return len(set(grams)) / len(grams) if grams else None


def chrf(texts: Sequence[str], references: Sequence[str]) -> float:
    """chrF2 over a corpus (Popović, 2015), 0 to 1: F-score of character 1- to 6-grams, recall counting double."""
    scores = []
    for order in _ORDERS:
        shared = own = theirs = 0
        for text, reference in zip(texts, references):
            one, other = _grams(text, order), _grams(reference, order)
            shared += sum((one & other).values())
            own, theirs = own + sum(one.values()), theirs + sum(other.values())
        if own and theirs:
            precision, recall = shared / own, shared / theirs
            weight = _BETA**2
            both = weight * precision + recall
            scores.append((1 + weight) * precision * recall / both if both else 0.0)
    return round(sum(scores) / len(scores), 4) if scores else 0.0


def _grams(text: str, order: int) -> Counter[str]:
    flat = "".join(text.split())
    return Counter(flat[i : i + order] for i in range(len(flat) - order + 1))
