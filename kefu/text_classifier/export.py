"""Writes a trained network as an int8 ONNX graph and checks it against the torch original."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kefu.errors import ModelError
from kefu.text_classifier.model import MultiTaskClassifier
from kefu.text_classifier.session import session as session
from kefu.text_classifier.tokenizer import encode

# Share of the probes on which the int8 graph must name the same label as torch does. One probe may always differ: among
# few, a single toss-up is more than the rest of the share.
PARITY = 0.97


class _Flat(torch.nn.Module):
    """The network with its outputs in a row: embedding, then each task's logits."""

    def __init__(self, network: MultiTaskClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        embedding, logits = self.network(input_ids, attention_mask)
        return (embedding, *(logits[task.name] for task in self.network.tasks))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's tracing warnings and the advice that onnxruntime's quantiser gives on the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)


def _outlier_products(file: Path) -> list[str]:
    """The products that leave the feed-forward layers, left in fp32: one int8 scale flattens their inputs' outliers."""
    import onnx

    nodes = onnx.load(str(file), load_external_data=False).graph.node
    names = [n.name for n in nodes if n.op_type == "MatMul"]
    return [n for n in names if "/output/dense" in n and "/attention/" not in n]


def export(network: MultiTaskClassifier, file: Path, quantise: bool = True) -> None:
    """Writes ``file``: input_ids and attention_mask (batch, tokens) to embedding and a logits tensor for each task.

    With ``quantise`` matrices and word embeddings are int8 (dynamic quantisation, per channel).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    example = torch.ones(2, 8, dtype=torch.int64)
    axes = {0: "batch", 1: "tokens"}
    outputs = ["embedding", *(task.name for task in network.tasks)]
    with tempfile.TemporaryDirectory() as folder, _quiet(), torch.inference_mode():
        raw = Path(folder) / "raw.onnx"
        torch.onnx.export(
            _Flat(network).eval(),  # the wrapper too: torch puts back the mode that it finds on the outside
            (example, example),
            str(raw),
            input_names=["input_ids", "attention_mask"],
            output_names=outputs,
            dynamic_axes={"input_ids": axes, "attention_mask": axes, **{name: {0: "batch"} for name in outputs}},
            opset_version=17,
            dynamo=False,
        )
        if quantise:
            quantize_dynamic(
                raw,
                file,
                per_channel=True,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["MatMul", "Gather"],
                nodes_to_exclude=_outlier_products(raw),
            )
        else:
            shutil.move(raw, file)


def check_parity(
    network: MultiTaskClassifier, file: Path, tokenizer: Any, inputs: Sequence[tuple[str, str]]
) -> dict[str, float]:
    """Share of ``inputs`` on which graph and torch name the same label, for each task.

    Raises:
        ModelError: a share lies below PARITY; the export is not to be served.
    """
    network.eval()
    runtime = session(file)
    agree = {task.name: 0 for task in network.tasks}
    for start in range(0, len(inputs), 32):
        ids, mask = encode(tokenizer, inputs[start : start + 32])
        with torch.inference_mode():
            _, logits = network(torch.from_numpy(ids), torch.from_numpy(mask))
        outputs = runtime.run(None, {"input_ids": ids, "attention_mask": mask})
        for task, values in zip(network.tasks, outputs[1:]):
            agree[task.name] += int((np.argmax(values, -1) == logits[task.name].argmax(-1).numpy()).sum())
    shares = {name: count / max(1, len(inputs)) for name, count in agree.items()}
    for name, share in shares.items():
        if share < PARITY and len(inputs) - agree[name] > 1:
            raise ModelError(
                f"The int8 export agrees with torch on {share:.1%} of {name!r}, below {PARITY:.0%}; train again."
            )
    return shares
