"""The encoder's adapter: what it trains, what it writes, what it is refused for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from kefu.errors import ModelCorrupt, ModelNotFound
from kefu.pretrained import adapter, resolve
from kefu.settings import settings
from kefu.text_classifier import MultiTaskClassifier, train
from tests.text_classifier.conftest import Toy, examples, tasks


def outputs(network: MultiTaskClassifier) -> torch.Tensor:
    ids = torch.arange(5, 21).reshape(2, 8)
    with torch.inference_mode():
        return network.eval()(ids, torch.ones_like(ids))[0]


def test_only_the_adapter_and_the_heads_are_trained(toy: Toy, tiny_encoder: Path) -> None:
    before = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks()).encoder.state_dict()
    run = train(examples(), tasks(), toy.arguments(epochs=1, lora_rank=2))
    after = {n.replace(".base_layer", ""): p for n, p in run.network.encoder.state_dict().items()}
    assert all(torch.equal(p, after[n]) for n, p in before.items())
    assert any(bool((p != 0).any()) for n, p in after.items() if "lora_B" in n)


def test_saved_and_merged_it_gives_what_was_trained(toy: Toy, tiny_encoder: Path, tmp_path: Path) -> None:
    run = train(examples(), tasks(), toy.arguments(epochs=2, lora_rank=2, learning_rate=1e-2))
    trained = outputs(run.network)
    adapter.save(run.network.encoder, tmp_path, {"examples": 60})
    assert json.loads((tmp_path / adapter.CARD).read_text())["examples"] == 60
    adapter.merge(run.network.encoder)
    assert torch.allclose(outputs(run.network), trained, atol=1e-5)
    assert not [n for n, _ in run.network.named_parameters() if "lora" in n]
    fresh = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks())
    plain = outputs(fresh)
    adapter.apply(fresh.encoder, tmp_path)
    assert torch.allclose(outputs(fresh), trained, atol=1e-2) and not torch.allclose(plain, trained, atol=1e-3)
    assert all(p.requires_grad for p in fresh.parameters())


def test_a_full_training_is_cut_to_an_adapter(toy: Toy, tiny_encoder: Path, tmp_path: Path) -> None:
    """Nearer with a higher rank, and with the matrices' own rank all of what was trained but biases and norms."""
    run = train(examples(), tasks(), toy.arguments(epochs=2, learning_rate=1e-2))
    tuned = run.network.encoder
    name = "encoder.layer.0.attention.self.query"
    gaps = []
    for rank in (1, 4, tuned.config.hidden_size):
        adapter.save(adapter.approximation(tuned, tiny_encoder, rank), tmp_path / str(rank), {})
        fresh = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks()).encoder
        adapter.apply(fresh, tmp_path / str(rank))
        gap = fresh.get_submodule(name).weight - tuned.get_submodule(name).weight
        gaps.append(float(gap.detach().norm()))
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 1e-2


def test_training_starts_from_the_adapter(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEFU_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    run = train(examples(), tasks(), toy.arguments(epochs=4, lora_rank=4, learning_rate=1e-2))
    adapter.save(run.network.encoder, tmp_path, {})
    still = {"epochs": 1, "learning_rate": 1e-30, "head_learning_rate": 1e-30}
    cold = train(examples(), tasks(), toy.arguments(**still))
    name = f"{toy.folder}+{tmp_path}"
    warm = train(examples(), tasks(), toy.arguments(**still, encoder=name))
    assert warm.history[0]["loss"] < cold.history[0]["loss"]
    assert resolve(name) == resolve(name) != toy.folder and (resolve(name) / "tokenizer.json").is_file()
    with pytest.raises(ModelNotFound, match="no adapter"):
        resolve(f"{toy.folder}+{tmp_path / 'nowhere'}")
    settings.cache_clear()


def test_no_adapter_and_one_of_another_encoder_are_told(tiny_encoder: Path, tmp_path: Path) -> None:
    encoder = MultiTaskClassifier.from_pretrained(tiny_encoder, tasks()).encoder
    with pytest.raises(ModelNotFound, match="kefu train encoder"):
        adapter.apply(encoder, tmp_path)
    from safetensors.torch import save_file

    save_file({"encoder.layer.0.other.lora_A.default.weight": torch.ones(2, 4)}, tmp_path / adapter.WEIGHTS)
    with pytest.raises(ModelCorrupt, match="another shape"):
        adapter.apply(encoder, tmp_path)
