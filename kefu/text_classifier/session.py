"""ONNX Runtime, set up the same way wherever a graph is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def session(file: Path, threads: int = 1) -> Any:
    """An onnxruntime session on the CPU, or on CUDA where onnxruntime-gpu is installed."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    available = set(onnxruntime.get_available_providers())
    return onnxruntime.InferenceSession(str(file), options, providers=[p for p in wanted if p in available])
