"""Spans in a message: those with a shape by pattern; products, colours and sizes by words, shape and a tagger."""

from kefu.entities.goods import find_goods, product_words
from kefu.entities.patterns import Span, find_spans, without_overlaps
from kefu.entities.recogniser import recognise
from kefu.entities.tagger import LABELS, load_tagger, tag, train_tagger

__all__ = [
    "LABELS",
    "Span",
    "find_goods",
    "find_spans",
    "load_tagger",
    "product_words",
    "recognise",
    "tag",
    "train_tagger",
    "without_overlaps",
]
