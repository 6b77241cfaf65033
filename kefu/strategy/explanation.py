"""What of a conversation made the strategy: each part left blank in its turn (occlusion, Zeiler & Fergus, 2014)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Parts of a conversation, by the beginnings of their feature blocks' names.
PARTS: Mapping[str, tuple[str, ...]] = {
    "customer's words": ("text.user",),
    "agent's words": ("text.agent",),
    "intent": ("intent.last",),
    "earlier intents": ("intent.previous", "intent.topic"),
    "emotion": ("emotion",),
    "strategies used": ("strategy",),
    "place in the conversation": ("position",),
    "facts": ("facts",),
}


def blank_rows(layout: Mapping[str, slice]) -> dict[str, list[slice]]:
    """Where each part stands in a vector of features."""
    return {
        part: [where for name, where in layout.items() if name.startswith(beginnings)]
        for part, beginnings in PARTS.items()
    }


def sentence(scores: Mapping[str, float], fired: Sequence[str], weights: Mapping[str, float]) -> str:
    """One line for a log: the best strategies, the rules that fired, what spoke for the best one and what against."""
    best = ", ".join(f"{name} {p:.2f}" for name, p in list(scores.items())[:3])
    told = ", ".join(f"{part} {weight:+.2f}" for part, weight in weights.items())
    return f"{best}; rules: {', '.join(fired) or 'none'}; what mattered: {told or 'nothing by itself'}"
