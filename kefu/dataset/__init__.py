"""The hand-written data: reading it with places, and checking it."""

from kefu.dataset.check import Findings, check
from kefu.dataset.nlu import NluExample, read_nlu, read_nlu_file, without_markup
from kefu.dataset.problems import Problem, folded
from kefu.dataset.similar import jaccard, similar_pairs

__all__ = [
    "Findings",
    "NluExample",
    "Problem",
    "check",
    "folded",
    "jaccard",
    "read_nlu",
    "read_nlu_file",
    "similar_pairs",
    "without_markup",
]
