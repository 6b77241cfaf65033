"""Which item a reviewer sees first, and why: a correction, a bad mark, an upset customer, doubt, something new."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kefu.feedback.store import ReviewItem

NOVELTY_WEIGHT = 0.5  # of a text that is like no other; what benchmarks/active_learning.py measures
REPEATED = 0.25  # of its priority is left to an item that says again what a more urgent one says
NEW = 0.75  # novelty from which a text is called new; of held-out messages about a quarter
DOUBTFUL = 0.5
_UPSET = {"neutral": 0, "happy": 0, "confused": 1, "anxious": 2, "disappointed": 3, "angry": 4}


def doubt(intent_confidence: float, emotion_confidence: float) -> float:
    """How unsure the model was, 0.0 to 1.5: the intent counts twice as much as the emotion."""
    return 1.0 - intent_confidence + 0.5 * (1.0 - emotion_confidence)


def degree(emotion: str | None) -> int:
    """How upset somebody of this emotion is, 0 to 4."""
    return _UPSET.get(emotion or "neutral", 0)


def upset(emotion: str | None, next_emotion: str | None) -> int:
    """By how many degrees the customer was more upset in her next message, 0 to 4."""
    if next_emotion is None:
        return 0
    return max(degree(next_emotion) - degree(emotion), 0)


def urgency(priority: float, novelty: float | None, repeated: bool) -> float:
    """What open items are sorted by: the priority, less of it where another item says the same, and the novelty."""
    return priority * (REPEATED if repeated else 1.0) + NOVELTY_WEIGHT * (novelty or 0.0)


def reasons(item: ReviewItem) -> dict[str, str]:
    """{reason: figure or id}, the weightiest first; the figure is empty where the reason says it all.

    Reasons: ``correction``, ``mark`` (a thumb down or three stars and less), ``upset`` (the customer afterwards),
    ``unanswered``, ``doubt`` (0.5 to 1.5), ``new`` (novelty), ``repeats`` (the item that it is like, as #id).
    """
    unsure = doubt(item.intent_confidence, item.emotion_confidence)
    marked = item.thumb == "down" or (item.rating is not None and item.rating <= 3)
    found = {
        "correction": "" if item.correction else None,
        "mark": "" if marked else None,
        "upset": item.next_emotion if upset(item.emotion, item.next_emotion) else None,
        "unanswered": None if item.replies else "",
        "doubt": f"{unsure:.2f}" if unsure >= DOUBTFUL else None,
        "new": f"{item.novelty:.2f}" if item.novelty is not None and item.novelty >= NEW else None,
        "repeats": f"#{item.repeats}" if item.repeats is not None else None,
    }
    return {name: figure for name, figure in found.items() if figure is not None}
