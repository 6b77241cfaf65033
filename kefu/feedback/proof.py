"""Ties the numbers of a reply to what proves them: facts, passages of knowledge, the customer's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kefu.errors import DataError
from kefu.facts import FREE_TEXTS, PLACEHOLDER, names, placeholders
from kefu.generation.quantities import quantities, unvouched

if TYPE_CHECKING:
    from kefu.feedback.mask import Masker

_KINDS = ("日期", "时刻", "编号")  # units that say what a value is; the others are written after it


def unproven(text: str, evidence: Iterable[str]) -> list[str]:
    """The quantities of ``text`` that stand in no piece of evidence; placeholders in braces are none.

    The generator's guard counts the same way, so a reply that is taught here would also be let through when served.
    """
    return [value + ("" if unit in _KINDS else unit) for value, unit in unvouched(_bare(text), evidence)]


def _bare(text: str) -> str:
    return PLACEHOLDER.sub(" ", text)


def masked_reply(
    text: str, facts: Mapping[str, str], masked_facts: Mapping[str, str], masker: Masker
) -> tuple[str, str]:
    """(template, text) of a reply for storing: with {fact key} where it states a fact, and with the masked fact there.

    Facts are cut out before the text is masked: a bare name can only be known by its key.
    """
    template = masker.text(templated(text, facts))
    return template, PLACEHOLDER.sub(lambda m: masked_facts.get(m[1], m[0]), template)


def templated(text: str, facts: Mapping[str, str]) -> str:
    """``text`` with every short fact that it states replaced by the fact's {key}, the longest first."""
    known = [k for k in names() if k in facts and k not in FREE_TEXTS and _stateable(facts[k])]
    for key in sorted(known, key=lambda k: -len(facts[k])):
        value = facts[key].strip()
        before = r"(?<![\d.{])" if value[0].isdigit() else ""
        after = r"(?!\d|\.\d)" if value[-1].isdigit() else ""
        pieces = re.split(r"(\{\w+\})", text)  # a fact's words inside an earlier placeholder are no mention of it
        pattern = re.compile(before + re.escape(value) + after)
        pieces[::2] = [pattern.sub(lambda _, k=key: "{" + k + "}", piece) for piece in pieces[::2]]
        text = "".join(pieces)
    return text


def _stateable(value: str) -> bool:
    value = value.strip()
    return len(value) >= 2 or value.isdigit()


def stated(facts: Mapping[str, str]) -> dict[str, str]:
    """The facts that facts.yml names; what else the business actions keep is not for replies."""
    return {key: value for key, value in facts.items() if key in names()}


def prove(reply: str, facts: Mapping[str, str], passages: str, said: Iterable[str]) -> tuple[str, dict[str, str]]:
    """(template, the facts it needs) of a reply that may be taught.

    Args:
        facts: key -> words; a key of facts.yml each.
        passages: the texts of the shop's knowledge that the reply drew on; they become the fact ``policy``.
        said: what the customer wrote so far; a number of hers may be repeated.

    Raises:
        DataError: a fact's key is unknown, a placeholder has no fact or a number has no proof.
    """
    for key in facts:
        if key not in names():
            raise DataError(f"There is no fact {key!r}; kefu/facts.yml names them.")
    given = dict(facts)
    if passages and "policy" not in given:
        given["policy"] = passages
    known = ", ".join(f"{k}={v}" for k, v in given.items() if k not in FREE_TEXTS) or "none"
    template = templated(reply, given)
    for key in placeholders(template):
        if key not in given or key in FREE_TEXTS:
            raise DataError(f"The reply {reply!r} uses {{{key}}}, which is not known in this turn. Known: {known}.")
    missing = unproven(template, [*given.values(), *said])
    if missing:
        raise DataError(
            f"The reply {reply!r} states {missing[0]!r}, which no fact of this turn proves. Known: {known}. "
            "Leave the number out or give the fact (--fact key=value)."
        )
    return template, {k: given[k] for k in given if k in placeholders(template) or _leans_on(template, given[k])}


def _leans_on(template: str, value: str) -> bool:
    """Whether the template repeats a quantity of a fact in its own words."""
    stated = quantities(_bare(template))
    return bool(stated) and len(unvouched(_bare(template), [value])) < len(stated)
