"""All spans of a message: what each way of finding them adds, and which wins where two overlap."""

from __future__ import annotations

from typing import Any

from kefu.entities.goods import find_goods, is_product
from kefu.entities.patterns import Span, find_spans, without_overlaps
from kefu.entities.tagger import tag

_LONGEST = 512  # characters; what stands behind is not searched for products


def recognise(text: str, nlp: Any | None, words: frozenset[str]) -> list[Span]:
    """Non-overlapping spans in order of position: patterns first, then words and shapes, then the tagger ``nlp``."""
    spans = find_spans(text)
    spans += without_overlaps(find_goods(text[:_LONGEST], words), spans)
    if nlp is not None:
        # Half a surrogate pair, which broken clients send, is nothing that spaCy can store.
        storable = text[:_LONGEST].encode("utf-8", "replace").decode("utf-8")
        spans += without_overlaps(
            [s for s in tag(nlp, storable) if _whole(storable, s) and is_product(storable, s)], spans
        )
    ends = {s.end for s in spans if s.entity == "product"}
    return sorted((s for s in spans if not _part(text, s, ends)), key=lambda s: s.start)


def _part(text: str, span: Span, ends: set[int]) -> bool:
    """Whether it is a product's part and no other product, as 杯子 in 破壁机的杯子; ``ends`` of products."""
    return span.entity == "product" and text[span.start - 1 : span.start] == "的" and span.start - 1 in ends


def _whole(text: str, span: Span) -> bool:
    """Whether the span cuts no run of letters and digits: M is no size in Mate60."""
    return not any(0 < i < len(text) and _alnum(text[i - 1]) and _alnum(text[i]) for i in (span.start, span.end))


def _alnum(character: str) -> bool:
    return character.isascii() and character.isalnum()
