"""The network that is rebuilt from the served graph."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from kefu.errors import ModelCorrupt, ModelError
from kefu.text_classifier import Classifier, MultiTaskClassifier, save, train
from kefu.text_classifier.calibration import Calibration
from kefu.text_classifier.export import export
from kefu.text_classifier.restore import restore
from kefu.text_classifier.session import session
from kefu.text_classifier.text import model_input
from kefu.text_classifier.tokenizer import encode, load_tokenizer
from kefu.text_classifier.trainer import Trained
from tests.text_classifier.conftest import Toy, examples, tasks

INPUTS = [model_input(e.text, e.context if i % 2 else None) for i, e in enumerate(examples())]


def test_it_says_what_the_graph_says(saved: Path) -> None:
    ids, mask = encode(load_tokenizer(saved, 64), INPUTS)
    with torch.inference_mode():
        embedding, logits = restore(saved)(torch.from_numpy(ids), torch.from_numpy(mask))
    graph = session(saved / "model.onnx").run(None, {"input_ids": ids, "attention_mask": mask})
    assert np.abs(embedding.numpy() - graph[0]).max() < 0.35
    for task, theirs in zip(tasks(), graph[1:]):
        ours = logits[task.name].numpy()
        assert np.array_equal(ours.argmax(-1), theirs.argmax(-1))
        assert np.abs(ours - theirs).max() < 0.2 < ours.std()  # what rounding the activations to int8 leaves


def test_each_weight_is_the_trained_one_but_for_its_rounding(trained: Trained, saved: Path) -> None:
    before, after = trained.network.state_dict(), restore(saved).state_dict()
    assert before.keys() == after.keys()
    for name, weight in before.items():
        step = (weight.max() - weight.min()).item() / 127
        torch.testing.assert_close(after[name], weight, rtol=0, atol=step, msg=name)


def test_an_unquantised_graph_gives_the_weights_themselves(trained: Trained, saved: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "exact"))
    export(trained.network, folder / "model.onnx", quantise=False)
    after = restore(folder).state_dict()
    for name, weight in trained.network.state_dict().items():
        torch.testing.assert_close(after[name], weight, rtol=0, atol=0, msg=name)


def test_weights_that_modules_share_are_found(tiny_encoder: Path, tmp_path: Path) -> None:
    """Norms and biases of an untrained encoder are all alike, and the graph keeps one of each."""
    network = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks()).eval()
    folder = save(
        Trained(network, tiny_encoder, {"intent": Calibration(), "emotion": Calibration()}), tmp_path / "new", 64
    )
    after = restore(folder).state_dict()
    assert after.keys() == network.state_dict().keys()
    assert all(bool((value == 1).all()) for name, value in after.items() if name.endswith("LayerNorm.weight"))


def test_tasks_and_dropout_are_as_wanted(saved: Path) -> None:
    network = restore(saved, dropout=0.3, encoder_dropout=0.2)
    assert network.tasks == tuple(tasks())
    assert network.dropout.p == 0.3 and network.encoder.config.hidden_dropout_prob == 0.2
    assert not network.training


def test_training_goes_on_from_it(toy: Toy, saved: Path, tmp_path: Path) -> None:
    network = restore(saved)
    further = train(examples(), network.tasks, toy.arguments(epochs=1), network=network, folder=saved)
    again = save(further, tmp_path / "again", max_tokens=64)
    assert Classifier(again).predict("我要退款", "订单号").best("intent")[0] == "refund"
    assert restore(again).tasks == network.tasks


def test_what_is_kept_for_it_is_small(saved: Path) -> None:
    assert (saved / "config.json").stat().st_size < 2000
    assert json.loads((saved / "classifier.json").read_text())["sees"] == {"intent": None, "emotion": "intent"}


@pytest.mark.parametrize("lacks", ["config.json", "sees"])
def test_an_older_folder_says_what_to_do(saved: Path, tmp_path: Path, lacks: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "older"))
    if lacks == "sees":
        meta = json.loads((folder / "classifier.json").read_text())
        del meta["sees"]
        (folder / "classifier.json").write_text(json.dumps(meta))
    else:
        (folder / lacks).unlink()
    with pytest.raises(ModelError, match=r"older was saved without config\.json and 'sees'.*Train again"):
        restore(folder)
    assert Classifier(folder).predict("退款").best("intent")[0] == "refund"  # it serves all the same


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.onnx", b"\x00junk"), ("config.json", b"{"), ("config.json", None), ("classifier.json", b"{")],
)
def test_a_damaged_folder_is_named(saved: Path, tmp_path: Path, name: str, content: bytes | None) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "damaged"))
    if content is None:  # of another encoder
        config = json.loads((folder / name).read_text())
        content = json.dumps({**config, "num_hidden_layers": 3}).encode()
    (folder / name).write_bytes(content)
    with pytest.raises(ModelCorrupt, match="damaged cannot be rebuilt"):
        restore(folder)
