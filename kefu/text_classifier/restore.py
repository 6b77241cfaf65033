"""Rebuilds the torch network from the folder that is served, which holds only the int8 graph.

It is what explanations differentiate and what a training may go on from. Its weights are those of the graph, multiplied
out: they differ from the ones that were trained by the rounding to int8, and they predict what the graph predicts.

>>> network = restore(folder)
>>> train(examples, network.tasks, arguments, network=network, folder=folder)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from kefu.errors import ModelCorrupt, ModelError
from kefu.text_classifier.classifier import CONFIG, GRAPH, META
from kefu.text_classifier.model import MultiTaskClassifier, Task

Weights = dict[str, npt.NDArray[np.float32]]


def restore(folder: Path, dropout: float = 0.1, encoder_dropout: float = 0.1) -> MultiTaskClassifier:
    """The network in ``folder``, as ``save`` wrote it, in evaluation mode.

    Raises:
        ModelError: the folder was written before its network could be rebuilt.
        ModelCorrupt: a file is missing or damaged, or the graph lacks weights of the network.
    """
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        if "sees" not in meta or not (folder / CONFIG).is_file():
            raise ModelError(
                f"The classifier in {folder} was saved without {CONFIG} and 'sees', from which its network is rebuilt. "
                "Train again: rasa train."
            )
        tasks = [Task(name, tuple(labels), meta["sees"].get(name)) for name, labels in meta["labels"].items()]
        network = MultiTaskClassifier.from_config(folder, tasks, dropout, encoder_dropout)
        _load(network, weights_of(folder / GRAPH, tasks))
    except ModelError:
        raise
    except Exception as error:  # json, onnx and transformers raise unrelated types
        raise ModelCorrupt(
            f"The network of the classifier in {folder} cannot be rebuilt ({error}). Train again: rasa train."
        ) from error
    return network.eval()


def _load(network: MultiTaskClassifier, weights: Weights) -> None:
    state = network.state_dict()
    missing = sorted(set(state) - set(weights))
    if missing:
        raise ValueError(f"{GRAPH} lacks {len(missing)} of its {len(state)} weights, {missing[0]!r} among them")
    network.load_state_dict({name: torch.from_numpy(weights[name]) for name in state})


def weights_of(file: Path, tasks: list[Task]) -> Weights:
    """{name in the network's state_dict: float32 array} of an exported graph, quantised or not.

    Biases and embeddings keep their names in the graph; transposed matrices lose theirs, and of equal tensors (norms
    that were never trained) one is kept, which Identity nodes hand on. So each weight is named after the node that uses
    it, and that after its module.
    """
    import onnx

    graph = onnx.load(str(file)).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]
    weights: Weights = {}
    for node in graph.node:
        module = _module(node.name, tasks)
        for name, kind, transposed in _operands(node, stored):
            values = _dequantised(name, stored)
            weights[f"{module}.{kind}"] = np.array(values.T if transposed else values, order="C")
    return weights


def _module(node: str, tasks: list[Task]) -> str:
    """The module of a node: 'encoder.encoder.layer.0.output' of '/network/encoder/encoder/layer.0/output/Add'."""
    path = node.rpartition("/")[0].removeprefix("/network/").replace("/", ".")
    return f"heads.{path}" if path in {task.name for task in tasks} else path


def _operands(node: Any, stored: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """(initializer, weight or bias, whether it lies transposed) of the parameters that a node uses."""
    inputs = [name if name in stored else None for name in node.input]
    kind = node.op_type
    if kind in ("MatMul", "MatMulInteger") and inputs[1]:
        yield inputs[1], "weight", True
    elif kind == "Gather" and inputs[0]:
        yield inputs[0], "weight", False
    elif kind == "LayerNormalization" and inputs[1] and inputs[2]:
        yield inputs[1], "weight", False
        yield inputs[2], "bias", False
    elif kind == "Gemm" and inputs[1]:
        upright = any(a.name == "transB" and a.i for a in node.attribute)
        yield inputs[1], "weight", not upright
        if len(inputs) > 2 and inputs[2]:
            yield inputs[2], "bias", False
    elif kind == "Add":
        yield from ((name, "bias", False) for name in inputs if name)


def _dequantised(name: str, stored: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """The float32 values of an initializer; scales are one for all or one for each of the last dimension."""
    from onnx.numpy_helper import to_array

    values = to_array(stored[name])
    base = name.removesuffix("_quantized")
    if base != name:
        scale, zero = (to_array(stored[base + part]) for part in ("_scale", "_zero_point"))
        values = (values.astype(np.float32) - zero.astype(np.float32)) * scale
    return np.asarray(values, np.float32)
