"""The ONNX graph against the torch original."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kefu.errors import ModelError
from kefu.text_classifier import MultiTaskClassifier
from kefu.text_classifier.export import check_parity, export
from kefu.text_classifier.session import session
from kefu.text_classifier.text import model_input
from kefu.text_classifier.tokenizer import encode, load_tokenizer
from kefu.text_classifier.trainer import Trained
from tests.text_classifier.conftest import examples, tasks

INPUTS = [model_input(e.text, e.context if i % 2 else None) for i, e in enumerate(examples())]


def run_both(trained: Trained, file: Path, tokenizer: Any) -> tuple[list[Any], list[Any]]:
    ids, mask = encode(tokenizer, INPUTS)
    with torch.inference_mode():
        embedding, logits = trained.network(torch.from_numpy(ids), torch.from_numpy(mask))
    torchs = [embedding.numpy(), *(logits[t.name].numpy() for t in tasks())]
    return torchs, session(file).run(None, {"input_ids": ids, "attention_mask": mask})


@pytest.mark.parametrize(("quantise", "tolerance"), [(False, 1e-3), (True, 0.35)])
def test_the_graph_says_what_torch_says(trained: Trained, tmp_path: Path, quantise: bool, tolerance: float) -> None:
    file = tmp_path / "model.onnx"
    export(trained.network, file, quantise=quantise)
    tokenizer = load_tokenizer(trained.folder, 64)
    torchs, graphs = run_both(trained, file, tokenizer)
    for ours, theirs in zip(torchs, graphs):
        assert ours.shape == theirs.shape and theirs.dtype == np.float32
        assert np.abs(ours - theirs).max() < tolerance
    shares = check_parity(trained.network, file, tokenizer, INPUTS)
    assert set(shares) == {"intent", "emotion"} and min(shares.values()) >= 0.97
    if not quantise:
        assert shares == {"intent": 1.0, "emotion": 1.0}


def test_quantising_shrinks_the_graph(trained: Trained, tmp_path: Path) -> None:
    for quantise in (False, True):
        export(trained.network, tmp_path / f"{quantise}.onnx", quantise=quantise)
    assert (tmp_path / "True.onnx").stat().st_size < (tmp_path / "False.onnx").stat().st_size


def test_an_exported_network_answers_as_before(trained: Trained, tmp_path: Path) -> None:
    export(trained.network, tmp_path / "model.onnx", quantise=False)
    assert not any(module.training for module in trained.network.modules())  # no dropout in the comparison


def test_an_export_that_strays_is_not_served(trained: Trained, tmp_path: Path) -> None:
    export(trained.network, tmp_path / "model.onnx", quantise=False)
    other = MultiTaskClassifier.from_pretrained(trained.folder, tasks()).eval()
    with pytest.raises(ModelError, match=r"agrees with torch on \d+\.\d% of '(intent|emotion)', below 97%"):
        check_parity(other, tmp_path / "model.onnx", load_tokenizer(trained.folder, 64), INPUTS)


def test_one_probe_may_differ_and_no_more(trained: Trained, tmp_path: Path) -> None:
    """A network that cannot tell labels apart does not vouch for a graph that can."""
    export(trained.network, tmp_path / "model.onnx", quantise=False)
    undecided = MultiTaskClassifier.from_pretrained(trained.folder, tasks()).eval()
    for head in undecided.heads.values():
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
    tokenizer = load_tokenizer(trained.folder, 64)
    with pytest.raises(ModelError, match="agrees with torch"):
        check_parity(undecided, tmp_path / "model.onnx", tokenizer, INPUTS)
    assert any(
        check_parity(undecided, tmp_path / "model.onnx", tokenizer, [probe])["intent"] == 0.0 for probe in INPUTS
    )


def test_the_log_level_is_as_before(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "level", logging.DEBUG)
    export(trained.network, tmp_path / "model.onnx", quantise=False)
    assert root.level == logging.DEBUG
