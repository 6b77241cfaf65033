"""Which passages a reply cites: those whose words it uses, before those that it could have drawn on."""

from __future__ import annotations

from kefu.generation.prompt import MAX_PASSAGES, PASSAGE_STRATEGIES
from kefu.generation.request import ReplyRequest
from kefu.generation.similarity import bigrams

# Least share of a reply's character pairs, and least number of them, that a passage adds to what others explain.
_SHARE, _PAIRS = 0.25, 5


def cited(reply: str, request: ReplyRequest) -> tuple[str, ...]:
    """Ids of passages: first those used, the one that explains most of the reply leading; then those only shown."""
    if request.strategy not in PASSAGE_STRATEGIES:
        return ()
    used: list[str] = []
    own = bigrams(reply)
    unexplained, left = set(own), {p.id: bigrams(p.text) for p in request.passages}
    while left:
        best = max(left, key=lambda name: len(unexplained & left[name]))  # of equals the better hit, which comes first
        gain = len(unexplained & left[best])
        if gain < _PAIRS or gain < _SHARE * len(own):
            break
        unexplained -= left.pop(best)
        used.append(best)
    shown = [p.id for p in request.passages[:MAX_PASSAGES] if p.id not in used]
    return tuple(used + shown)
