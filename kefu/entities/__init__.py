"""Spans in a message: those with a shape by pattern, products, colours and sizes by a trained tagger."""

from kefu.entities.patterns import Span, find_spans, without_overlaps
from kefu.entities.tagger import LABELS, load_tagger, tag, train_tagger

__all__ = ["LABELS", "Span", "find_spans", "load_tagger", "tag", "train_tagger", "without_overlaps"]
