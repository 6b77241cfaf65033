"""Sentence embeddings for the strategy model: the base encoder, mean-pooled, as an int8 ONNX graph.

Unlike the classifiers' fine-tuned encoders this one is the same for every training, so it is exported once into the
cache.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from kefu.errors import ModelError
from kefu.pretrained import resolve
from kefu.pretrained.store import converted, sha256
from kefu.settings import settings

if TYPE_CHECKING:
    import torch

Vectors = npt.NDArray[np.float32]
MAX_TOKENS = 96
# Least cosine between the int8 graph's and torch's embeddings of the probes.
PARITY = 0.985
_VERSION = 1  # raise it when what _convert() writes changes
_GRAPH = "sentences.onnx"
_MANY_BATCHES = 32  # from so many on they are dealt out to threads
PROBES = (
    "都五天了钱怎么还没退回来",
    "尾号0816",
    "麻烦报一下订单号，我马上查是谁签的。",
    "亲 在吗",
    "好的，今晚收到货心里也踏实些。",
    "拆开试了下有点大，吊牌没剪还能换小一码不",
)


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    name: str
    dimension: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(texts, dimension) float32; the zero vector for an empty text."""


class SentenceEncoder:
    """Embeds on the CPU, a message on one thread, and remembers the texts it met last. Thread-safe."""

    def __init__(self, folder: Path, name: str, threads: int = 1, remember: int = 20_000) -> None:
        from kefu.text_classifier.export import session
        from kefu.text_classifier.trainer import load_tokenizer

        self.name = name
        self._tokenizer = load_tokenizer(folder, MAX_TOKENS)
        self._session = session(folder / _GRAPH, threads)
        self.dimension = int(self._session.get_outputs()[0].shape[-1])
        self._remembered: OrderedDict[str, Vectors] = OrderedDict()
        self._remember = remember
        self._lock = Lock()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(texts, dimension) float32; the zero vector for an empty text."""
        with self._lock:
            known = {t: self._remembered[t] for t in texts if t in self._remembered}
        # Of one order, since int8 rounds by batch: the same texts give the same vectors in every process.
        missing = sorted({t for t in texts if t not in known}, key=lambda text: (len(text), text))
        batches = [missing[start : start + 16] for start in range(0, len(missing), 16)]
        if len(batches) < _MANY_BATCHES:
            known.update((text, vector) for batch in batches for text, vector in zip(batch, self._run(batch)))
        else:  # a training's texts: every core takes batches, which stay the same
            with ThreadPoolExecutor(settings().threads) as pool:
                for batch, vectors in zip(batches, pool.map(self._run, batches)):
                    known.update(zip(batch, vectors))
        with self._lock:
            for text in texts:
                self._remembered[text] = known[text]
                self._remembered.move_to_end(text)
            while len(self._remembered) > self._remember:
                self._remembered.popitem(last=False)
        return np.stack([known[t] for t in texts]) if texts else np.zeros((0, self.dimension), np.float32)

    def _run(self, texts: Sequence[str]) -> Vectors:
        from kefu.text_classifier.text import model_input
        from kefu.text_classifier.trainer import encode

        ids, mask = encode(self._tokenizer, [model_input(text, None) for text in texts])
        vectors: Vectors = self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
        vectors[[i for i, text in enumerate(texts) if not text.strip()]] = 0.0
        return vectors


def _convert(source: Path, target: Path) -> None:
    """Exports the encoder in ``source`` and holds it to its torch original."""
    import logging

    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from kefu.text_classifier.trainer import encode, load_tokenizer

    tokenizer = load_tokenizer(source, MAX_TOKENS)  # writes tokenizer.json where a hub model has none
    shutil.copy(source / "tokenizer.json", target / "tokenizer.json")
    network = _pooled(source)
    example = torch.ones(2, 8, dtype=torch.int64)
    axes = {0: "batch", 1: "tokens"}
    logging.getLogger("root").setLevel(logging.ERROR)  # onnxruntime's quantiser advises on the root logger
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        raw = Path(folder) / "raw.onnx"
        torch.onnx.export(
            network,
            (example, example),
            str(raw),
            input_names=["input_ids", "attention_mask"],
            output_names=["embedding"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(
            raw,
            target / _GRAPH,
            per_channel=True,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gather"],
        )
        ids, mask = encode(tokenizer, [(probe, "") for probe in PROBES])
        original = network(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    original = original / np.linalg.norm(original, axis=1, keepdims=True)
    cosine = float((SentenceEncoder(target, str(source)).encode(PROBES) * original).sum(1).min())
    if cosine < PARITY:
        raise ModelError(
            f"The int8 export of {source} has cosine {cosine:.3f} to its original, below {PARITY}; use another encoder."
        )


def _pooled(source: Path) -> torch.nn.Module:
    """(input_ids, attention_mask) -> mean of the encoder's last hidden states over the tokens, (batch, hidden)."""
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            options: dict[str, Any] = {"add_pooling_layer": False, "attn_implementation": "eager"}
            self.encoder = AutoModel.from_pretrained(source, dtype=torch.float32, **options)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)

    return Pooled().eval()


@lru_cache(maxsize=2)
def load_encoder(name: str) -> Encoder:
    """The encoder ``name``, as kefu.pretrained.resolve takes it; exported on first use, loaded once a process.

    Raises:
        ModelNotFound, ModelCorrupt: from resolve, or the export in the cache was damaged.
        ModelError: the int8 export strays from its original.
    """
    source = resolve(name)
    weights = next((p for p in sorted(source.glob("*.safetensors"))), source / "config.json")
    slug = re.sub(r"\W+", "-", source.name).strip("-")
    folder = settings().cache / f"{slug}-sentences-{sha256(weights)[:8]}-v{_VERSION}"
    return SentenceEncoder(converted(folder, lambda target: _convert(source, target)), name)
