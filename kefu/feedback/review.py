"""A reviewer's decision on a review item: checked, and recorded with name and time."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kefu.errors import DataError
from kefu.feedback.passages import texts_of
from kefu.feedback.proof import prove, stated
from kefu.feedback.store import ACCEPTED, CORRECTED, SKIPPED, ReviewItem, ReviewStore, now
from kefu.taxonomy import EMOTIONS, INTENTS, STRATEGIES

_LABELS: dict[str, Mapping[str, str]] = {"intent": INTENTS, "emotion": EMOTIONS, "strategy": STRATEGIES}


@dataclass(frozen=True)
class Decision:
    """What a reviewer says about an item. A label left out is as predicted.

    Attributes:
        reply: a better reply; the facts it states may stand in it as words or as {key}.
        facts: facts that the reviewer adds, {key of facts.yml: words}.
        skip: the item teaches nothing.
    """

    intent: str | None = None
    emotion: str | None = None
    strategy: str | None = None
    reply: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    skip: bool = False


def check_label(kind: str, name: str) -> str:
    """``name``, if the taxonomy has it.

    Args:
        kind: ``intent``, ``emotion`` or ``strategy``.

    Raises:
        DataError: it has not; the message gives the nearest names.
    """
    names = _LABELS[kind]
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, 3, 0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"The names are: {', '.join(names)}."
    raise DataError(f"There is no {kind} {name!r}. {hint}")


def decide(
    store: ReviewStore, item_id: int, decision: Decision, reviewer: str, passages: Mapping[str, str] | None = None
) -> ReviewItem:
    """Records the decision; a later one replaces it.

    Args:
        reviewer: who decides; not empty.
        passages: the shop's knowledge (``read_passages``), which may prove numbers of a better reply.

    Raises:
        NotFound: no item has this id.
        DataError: a label is unknown or missing, or the better reply states what nothing proves.
    """
    item = store.get(item_id)
    if not reviewer.strip():
        raise DataError("A decision needs a reviewer's name: --reviewer NAME.")
    values: dict[str, object] = {"reviewer": reviewer.strip()[:80], "reviewed_at": now()}
    values.update(dict.fromkeys([f"reviewed_{n}" for n in ("intent", "emotion", "strategy", "reply", "facts")]))
    if decision.skip:
        values["status"] = SKIPPED
    else:
        values.update(_judged(store, item, decision, passages or {}))
    store.update(item_id, values)
    return store.get(item_id)


def _judged(store: ReviewStore, item: ReviewItem, decision: Decision, passages: Mapping[str, str]) -> dict[str, object]:
    labels: dict[str, str | None] = {}
    for kind, given, predicted in (
        ("intent", decision.intent, item.intent),
        ("emotion", decision.emotion, item.emotion),
        ("strategy", decision.strategy, item.strategy),
    ):
        value = given or predicted
        if value is None and (kind != "strategy" or decision.reply):
            raise DataError(f"Item {item.id} has no predicted {kind}; give one with --{kind}.")
        labels[kind] = check_label(kind, value) if value is not None else None
    changed = (labels["intent"], labels["emotion"], labels["strategy"]) != (item.intent, item.emotion, item.strategy)
    judged: dict[str, object] = {
        "status": CORRECTED if changed or decision.reply else ACCEPTED,
        **{f"reviewed_{kind}": value for kind, value in labels.items()},
    }
    if decision.reply and decision.reply.strip():
        template, facts = prove_reply(store, item, decision.reply.strip(), decision.facts, passages)
        judged.update(reviewed_reply=template, reviewed_facts=facts)
    elif decision.facts:
        raise DataError("--fact belongs to a better reply; give it with --reply.")
    return judged


def prove_reply(
    store: ReviewStore, item: ReviewItem, reply: str, facts: Mapping[str, str], passages: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """(template, facts) of a better reply to ``item``.

    Raises:
        DataError: a number or placeholder of it has no proof in the facts, the knowledge or the customer's words.
    """
    before = [i for i in store.conversation(item) if i.asked_at <= item.asked_at]
    known = texts_of(passage_ids(item), passages)
    return prove(reply, {**stated(item.facts), **facts}, known, [i.text for i in before])


def passage_ids(item: ReviewItem) -> Sequence[str]:
    """The passages that the item's replies drew on."""
    return [str(p) for reply in item.replies for p in reply.get("passages") or ()]
