"""The classifier as it is served."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kefu.errors import DataError, ModelCorrupt
from kefu.text_classifier import Classifier, Example
from kefu.text_classifier.training import tasks_of, train_joint
from tests.text_classifier.conftest import Toy, examples


def test_it_names_the_labels_best_first(classifier: Classifier) -> None:
    prediction = classifier.predict("我要退款气气气", "订单号")
    assert prediction.best("intent")[0] == "refund" and prediction.best("emotion")[0] == "angry"
    for ranking in prediction.rankings.values():
        confidences = [c for _, c in ranking]
        assert confidences == sorted(confidences, reverse=True) and sum(confidences) == pytest.approx(1.0)
    assert {name for name, _ in prediction.rankings["intent"]} == {"refund", "delivery", "invoice"}
    assert prediction.embedding.shape == (32,) and prediction.embedding.dtype == np.float32


def test_it_is_right_on_its_own_examples(classifier: Classifier) -> None:
    predictions = classifier.predict_batch([(e.text, e.context) for e in examples()])
    for task in ("intent", "emotion"):
        right = [p.best(task)[0] == e.labels[task] for p, e in zip(predictions, examples())]
        assert np.mean(right) > 0.95


def test_a_batch_says_what_single_messages_say(classifier: Classifier) -> None:
    messages = [(e.text, e.context if i % 3 else None) for i, e in enumerate(examples()[::4])]
    for message, of_batch in zip(messages, classifier.predict_batch(messages)):
        single = classifier.predict(*message)
        assert single.best("intent")[0] == of_batch.best("intent")[0]
        # int8 activations share one scale over a batch, so the last digits may differ.
        assert single.best("intent")[1] == pytest.approx(of_batch.best("intent")[1], abs=0.05)
        cosine = single.embedding @ of_batch.embedding / 32
        assert cosine > 0.99


def test_no_messages_no_predictions(classifier: Classifier) -> None:
    assert classifier.predict_batch([]) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\u200b",
        "😡😡😡",
        "ＲＥＦＵＮＤ　退款",
        "退款" * 5000,
        "' OR 1=1; --",
        "<script>alert(1)</script>",
        "\ud83d",
    ],
)
def test_any_text_has_a_prediction(classifier: Classifier, text: str) -> None:
    name, confidence = classifier.predict(text, text).best("intent")
    assert name in {"refund", "delivery", "invoice"} and 0 < confidence <= 1


def test_full_width_and_traditional_are_read_alike(classifier: Classifier) -> None:
    np.testing.assert_array_equal(classifier.predict("發票！").embedding, classifier.predict("发票!").embedding)


def test_a_temperature_flattens_and_keeps_the_order(saved: Path, tmp_path: Path, classifier: Classifier) -> None:
    warm = Path(shutil.copytree(saved, tmp_path / "warm"))
    meta = json.loads((warm / "classifier.json").read_text())
    meta["temperatures"]["intent"] = 10.0
    (warm / "classifier.json").write_text(json.dumps(meta))
    before, after = (c.predict("退款").rankings["intent"] for c in (classifier, Classifier(warm)))
    assert [n for n, _ in before] == [n for n, _ in after]
    assert after[0][1] < before[0][1]


def test_a_message_in_context_is_read_twice_and_the_readings_are_pooled(saved: Path, tmp_path: Path) -> None:
    rankings = []
    for alone in (0.0, 0.5, 0.999):
        folder = Path(shutil.copytree(saved, tmp_path / str(alone)))
        meta = json.loads((folder / "classifier.json").read_text())
        meta["alone"] = {"intent": alone}
        (folder / "classifier.json").write_text(json.dumps(meta))
        both, bare = Classifier(folder).predict_batch([("退款", "您要开发票吗"), ("退款", None)])
        rankings.append((dict(both.rankings["intent"]), dict(bare.rankings["intent"])))
    (contextual, bare), (pooled, _), (ignored, same) = rankings
    assert bare == same  # nothing to pool
    assert ignored == pytest.approx(bare, abs=0.01)
    odds = {name: {k: np.log(v) - np.log(p["refund"]) for k, v in p.items()} for name, p in
            (("contextual", contextual), ("bare", bare), ("pooled", pooled))}  # fmt: skip
    for label, value in odds["pooled"].items():
        assert value == pytest.approx((odds["contextual"][label] + odds["bare"][label]) / 2, abs=0.05)


def test_threads_may_share_it(classifier: Classifier) -> None:
    texts = [e.text for e in examples()]
    alone = [classifier.predict(text).best("intent") for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: classifier.predict(text).best("intent"), texts)) == alone


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "classifier.json"])
@pytest.mark.parametrize("damage", ["missing", "cut short", "junk"])
def test_a_damaged_folder_is_named_with_the_mend(saved: Path, tmp_path: Path, name: str, damage: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "damaged"))
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if damage != "missing":
        (folder / name).write_bytes(content[: len(content) // 2] if damage == "cut short" else b"\x00junk")
    with pytest.raises(ModelCorrupt) as caught:
        Classifier(folder)
    assert str(folder) in str(caught.value) and "rasa train" in str(caught.value)


def test_serving_needs_no_torch(saved: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from kefu.text_classifier import Classifier\n"
        f"print(Classifier(Path({str(saved)!r})).predict('退款').best('intent')[0])\n"
        "print([m for m in ('torch', 'transformers', 'tensorflow', 'rasa') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.stdout.split("\n")[:2] == ["refund", "[]"], run.stderr


def test_the_joint_training_saves_what_is_served(toy: Toy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = [
        Example(e.text, {"intent": e.labels["intent"], "emotion": e.labels["emotion"]}, e.context) for e in examples()
    ]
    train_joint(real, toy.thorough(), 0.7, tmp_path)
    assert "epoch 6/6" in capsys.readouterr().out
    assert Classifier(tmp_path).predict("我要退款").best("intent")[0] == "refund"


def test_the_tasks_follow_the_labels() -> None:
    intents = [Example("退款", {"intent": name}) for name in ("b", "a", "b")]
    assert [(t.name, t.labels, t.sees) for t in tasks_of(intents)] == [("intent", ("a", "b"), None)]
    both = [*intents, Example("退款", {"emotion": "angry"})]
    assert [(t.name, t.sees) for t in tasks_of(both)] == [("intent", None), ("emotion", "intent")]
    with pytest.raises(DataError):
        from kefu.text_classifier import TrainingArguments, train

        train([], tasks_of([]), TrainingArguments())
