from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kefu.errors import ModelError
from kefu.settings import Settings
from kefu.strategy import encoder as module
from kefu.strategy.encoder import SentenceEncoder, load_encoder


@pytest.fixture(scope="module")
def exported(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> SentenceEncoder:
    folder = tmp_path_factory.mktemp("cache")
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "settings", lambda: Settings(cache_dir=folder))
    # A random network's weights spread no further than its rounding; only real ones keep to PARITY.
    patch.setattr(module, "PARITY", 0.9)
    load_encoder.cache_clear()
    encoder = load_encoder(str(tiny_encoder))
    patch.undo()
    load_encoder.cache_clear()
    assert isinstance(encoder, SentenceEncoder)
    return encoder


def test_vectors_have_unit_length_and_an_empty_text_none(exported: SentenceEncoder) -> None:
    vectors = exported.encode(["退款", " ", "您好，在吗？"])
    assert vectors.shape == (3, exported.dimension) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 0.0, 1.0], abs=1e-5)


def test_a_batch_says_what_each_text_says_alone(exported: SentenceEncoder) -> None:
    texts = ["退款", "快递到哪了", "您好", "发票"]
    together = exported.encode(texts)
    exported._remembered.clear()
    alone = np.concatenate([exported.encode([text]) for text in texts])
    assert (together * alone).sum(1).min() > 0.98


def test_many_texts_dealt_out_to_threads_come_out_the_same(
    exported: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"第{number}单到哪了" for number in range(40)]
    exported._remembered.clear()
    one_by_one = exported.encode(texts)
    exported._remembered.clear()
    monkeypatch.setattr(module, "_MANY_BATCHES", 2)
    assert (exported.encode(texts) == one_by_one).all()


def test_known_texts_are_not_embedded_again(exported: SentenceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    exported.encode(["人工客服"])
    monkeypatch.setattr(exported, "_run", None)
    assert exported.encode(["人工客服", "人工客服"]).shape == (2, exported.dimension)


def test_the_oldest_texts_are_forgotten(exported: SentenceEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported, "_remember", 2)
    exported.encode(["一", "二", "三", "五"])
    assert list(exported._remembered) == ["三", "五"]


def test_an_export_that_strays_is_refused(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARITY", 1.1)
    with pytest.raises(ModelError, match="cosine"):
        module._convert(tiny_encoder, tmp_path)


@pytest.mark.models
def test_the_bundled_encoder_keeps_to_its_original_and_tells_meanings_apart() -> None:
    encoder = load_encoder("bundled:e5-small")  # holds the export to PARITY when it makes it
    texts = ["退款什么时候到", "钱几时退回来", "今天天气真好"]
    one, same, other = encoder.encode(texts)
    assert float(one @ same) > float(one @ other)
