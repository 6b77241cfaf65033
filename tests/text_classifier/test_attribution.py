"""Integrated gradients on the toy, whose labels are told by known characters."""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.errors import DataError
from kefu.text_classifier import Classifier
from kefu.text_classifier.attribution import Explainer
from kefu.text_classifier.explanation import Explanation


@pytest.fixture(scope="module")
def explainer(saved: Path) -> Explainer:
    return Explainer(saved)


def of(explainer: Explainer, text: str, context: str | None = None, **options: int) -> dict[str, Explanation]:
    return {e.task: e for e in explainer.explain(text, context, **options)}


def test_the_characters_that_tell_the_labels_weigh_most(explainer: Explainer) -> None:
    found = of(explainer, "您好退款气气气", "订单号")
    assert found["intent"].label == "refund" and found["emotion"].label == "angry"
    weights = dict(found["intent"].characters)
    assert max(weights, key=lambda c: weights[c]) in "退款"
    assert max(found["emotion"].characters, key=lambda pair: pair[1])[0] == "气"
    assert found["intent"].strongest(1)[0][0] in "退款"


def test_labels_and_probabilities_are_those_that_are_served(explainer: Explainer, classifier: Classifier) -> None:
    prediction = classifier.predict("查快递", "订单号")
    for task, found in of(explainer, "查快递", "订单号").items():
        assert (found.label, found.probability) == prediction.best(task)


@pytest.mark.parametrize("context", [None, "订单号"])
def test_the_weights_add_up(explainer: Explainer, context: str | None) -> None:
    for found in of(explainer, "您好退款气气气", context).values():
        total = sum(weight for _, weight in (*found.characters, *found.context))
        assert abs(total - found.gain) == pytest.approx(found.completeness_error, abs=1e-4)
        assert found.completeness_error < 0.05 * max(1.0, abs(found.gain))
        assert "".join(c for c, _ in found.context) == (context or "")


def test_more_steps_add_up_better_for_both_heads(explainer: Explainer) -> None:
    """The emotion's head sees the intent's probabilities; gradients that stopped there would never add up."""
    for found in of(explainer, "我要退款气气气", steps=256).values():
        assert found.completeness_error < 1e-3


def test_the_text_is_shown_as_the_model_reads_it(explainer: Explainer) -> None:
    found = of(explainer, "　發票！！")["intent"]
    assert "".join(c for c, _ in found.characters) == "发票!!"


def test_what_is_cut_off_weighs_nothing(explainer: Explainer) -> None:
    found = of(explainer, "退款" * 60)["intent"]
    assert len(found.characters) == 120
    assert any(w for _, w in found.characters[:50]) and not any(w for _, w in found.characters[-50:])


def test_nothing_to_read_is_said(explainer: Explainer) -> None:
    with pytest.raises(DataError, match="nothing in it"):
        explainer.explain(" \u200b")
