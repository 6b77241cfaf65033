"""A History as a vector of named blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from kefu.facts import FREE_TEXTS, names
from kefu.strategy.encoder import Encoder, Vectors
from kefu.strategy.history import OUTCOMES, History, Message
from kefu.taxonomy import EMOTIONS, INTENTS, STRATEGIES

# Facts by what they are about; what stands in none of these lists is about the order and its way.
FACT_GROUPS: dict[str, frozenset[str]] = {
    "refund": frozenset(
        (
            "refund_amount",
            "refund_state",
            "refund_date",
            "refund_channel",
            "refund_eta",
            "return_address",
            "return_deadline",
            "compensation",
        )
    ),
    "product": frozenset(
        (
            "price",
            "old_price",
            "price_gap",
            "stock_state",
            "restock_date",
            "promotion",
            "coupon",
            "deadline",
            "points",
            "balance",
            "warranty",
        )
    ),
    "invoice": frozenset(("invoice_type", "invoice_state", "invoice_title", "invoice_eta")),
    "opened": frozenset(("return_id", "exchange_id", "repair_id", "ticket_id")),
    "contact": frozenset(("hotline", "hours", "callback_by", "ticket_state", "phone_tail")),
}
_REST = frozenset(names()) - frozenset(FREE_TEXTS) - frozenset().union(*FACT_GROUPS.values())
FACT_GROUPS["order"] = _REST
# Lengths of the embeddings, so that they weigh as much as the 0-to-1 features beside them.
_USER, _AGENT = 2.0, 1.0
_REMEMBERED = 20_000  # texts whose components are kept: in training a text stands in many histories


def _one_hot(distribution: Mapping[str, float] | None, labels: Mapping[str, Any]) -> list[float]:
    return [float(distribution.get(label, 0.0)) for label in labels] if distribution else [0.0] * len(labels)


class Featurizer:
    """Makes vectors. ``mean`` (dimension,) and ``axes`` (dimension, kept) give an embedding's main components."""

    def __init__(self, encoder: Encoder, mean: Vectors, axes: Vectors) -> None:
        self.encoder, self.mean, self.axes = encoder, mean, axes
        self._remembered: dict[str, Vectors] = {}

    @classmethod
    def fit(cls, encoder: Encoder, texts: Sequence[str], kept: int) -> Featurizer:
        """Takes the main components of the texts' embeddings."""
        vectors = encoder.encode(list(dict.fromkeys(t for t in texts if t.strip())))
        mean = vectors.mean(0)
        _, _, rows = np.linalg.svd(vectors - mean, full_matrices=False)
        return cls(encoder, mean.astype(np.float32), np.ascontiguousarray(rows[:kept].T, dtype=np.float32))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """(texts, kept) components of the centred embeddings, each of length at most 1; zeros for an empty text."""
        known = {text: row for text in texts if (row := self._remembered.get(text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            found = dict(zip(missing, self._embedded(missing)))
            if len(self._remembered) + len(found) > _REMEMBERED:
                self._remembered.clear()
            self._remembered.update(found)
            known.update(found)
        return np.stack([known[text] for text in texts])

    def _embedded(self, texts: Sequence[str]) -> Vectors:
        vectors = self.encoder.encode(texts) - self.mean
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
        vectors[[i for i, text in enumerate(texts) if not text.strip()]] = 0.0
        components: Vectors = vectors @ self.axes
        return components

    def blocks(self, history: History) -> dict[str, npt.NDArray[np.float32]]:
        """The vector's parts by name, in order."""
        block, asked, before = history.block, history.asked, history.before
        agent = block[-1] if block else before
        embedded = self.embed([" ".join(m.text for m in asked), agent.text if agent else ""])
        return {
            "text.user": embedded[0] * np.float32(_USER),
            "text.agent": embedded[1] * np.float32(_AGENT),
            **plain_blocks(history),
        }

    def __call__(self, history: History) -> npt.NDArray[np.float32]:
        """(size,) float32."""
        return np.concatenate(list(self.blocks(history).values()))

    @property
    def layout(self) -> dict[str, slice]:
        """Where each block stands in the vector."""
        layout, start = {}, 0
        for name, part in self.blocks(History(())).items():
            layout[name] = slice(start, start + len(part))
            start += len(part)
        return layout


def plain_blocks(history: History) -> dict[str, npt.NDArray[np.float32]]:
    """The parts that need no embedding: the same for every encoder and every training."""
    block, asked, users = history.block, history.asked, history.users
    last, previous = (users[-1] if users else None), (users[-2] if len(users) > 1 else None)
    parts: dict[str, Sequence[float]] = {
        "intent.last": _one_hot(last.intents if last else None, INTENTS),
        "intent.previous": _one_hot(previous.intents if previous else None, INTENTS),
        "intent.topic": _one_hot({history.topic: 1.0} if history.topic else None, INTENTS),
        "emotion.last": _one_hot(last.emotions if last else None, EMOTIONS),
        "emotion.previous": _one_hot(previous.emotions if previous else None, EMOTIONS),
        "emotion.opening": _opening_emotion(last, block),
        **_strategies(history),
        "position": _position(history, asked),
        **_facts(history),
    }
    return {name: np.asarray(part, dtype=np.float32) for name, part in parts.items()}


def plain(history: History) -> npt.NDArray[np.float32]:
    """(size,) float32: ``plain_blocks`` in one vector."""
    return np.concatenate(list(plain_blocks(history).values()))


def _opening_emotion(last: Message | None, block: Sequence[Message]) -> list[float]:
    """The customer's emotion as long as the agent has not answered it."""
    return _one_hot(last.emotions if last and not block else None, EMOTIONS)


def _strategies(history: History) -> dict[str, Sequence[float]]:
    agents = [m.strategies for m in history.agents]
    parts: dict[str, Sequence[float]] = {}
    for back, name in enumerate(("last", "second", "third"), start=1):
        parts[f"strategy.{name}"] = _one_hot(agents[-back] if len(agents) >= back else None, STRATEGIES)
    counts = np.array([_one_hot(a, STRATEGIES) for a in agents]).sum(0) if agents else np.zeros(len(STRATEGIES))
    parts["strategy.counts"] = [float(c) for c in np.minimum(counts, 3.0) / 3.0]
    block = [_one_hot(m.strategies, STRATEGIES) for m in history.block]
    parts["strategy.block"] = [float(v) for v in np.max(block, axis=0)] if block else [0.0] * len(STRATEGIES)
    before = history.before
    parts["strategy.before"] = _one_hot(before.strategies if before else None, STRATEGIES)
    return parts


def _position(history: History, asked: Sequence[Message]) -> list[float]:
    users, agents, block = len(history.users), len(history.agents), len(history.block)
    length = sum(len(m.text) for m in asked)
    return [
        float(block == 0),
        float(block == 1),
        float(block >= 2),
        min(users, 8) / 8,
        min(agents, 8) / 8,
        float(users <= 1),
        float(agents == 0),
        float(len(asked) > 1),
        min(length, 60) / 60,
        float(length <= 6),
        float("?" in asked[-1].text or "？" in asked[-1].text) if asked else 0.0,
        float(history.order_known),
    ]


@lru_cache(maxsize=256)
def _groups(keys: frozenset[str]) -> tuple[float, ...]:
    return tuple(float(bool(keys & members)) for members in FACT_GROUPS.values())


def _facts(history: History) -> dict[str, Sequence[float]]:
    if not history.observed:
        zeros = [0.0] * len(FACT_GROUPS)
        return {"facts.new": zeros, "facts.known": zeros, "facts.outcome": [0.0] * (len(OUTCOMES) + 3)}
    outcome = [float(history.outcome == name) for name in OUTCOMES]
    return {
        "facts.new": _groups(history.new_facts),
        "facts.known": _groups(history.facts),
        "facts.outcome": [*outcome, float(history.handed_over), float(bool(history.business_facts)), 1.0],
    }
