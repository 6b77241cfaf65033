"""What moves and how fast: parameter groups, the learning rate's course, a running average of the weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from kefu.text_classifier.arguments import TrainingArguments
from kefu.text_classifier.model import MultiTaskClassifier

_LAYER = re.compile(r"\.layer\.(\d+)\.")


def freeze(network: nn.Module, arguments: TrainingArguments) -> None:
    """Fixes word embeddings, unless they are to be trained, the lowest ``frozen_layers``, and what LoRA stands for."""
    below = "embeddings" if arguments.frozen_layers else "word_embeddings"
    for name, parameter in network.named_parameters():
        if arguments.lora_rank and not name.startswith("heads.") and "lora_" not in name:
            parameter.requires_grad_(False)
            continue
        layer = _LAYER.search(name)
        fixed = int(layer[1]) < arguments.frozen_layers if layer else below in name and not arguments.train_embeddings
        parameter.requires_grad_(not fixed)


class FrozenLayers:
    """Runs the network with what is fixed computed once for each input, since it never changes.

    Where nothing is fixed, or the encoder is not built as BERT is, the whole network runs. Kept states take
    2 x hidden bytes a token.
    """

    def __init__(self, network: MultiTaskClassifier, layers: int) -> None:
        self._network = network
        self._layers = layers if hasattr(getattr(network.encoder, "encoder", None), "layer") else 0
        self._kept: dict[Hashable, torch.Tensor] = {}

    def __call__(
        self, inputs: Sequence[Hashable], ids: torch.Tensor, mask: torch.Tensor
    ) -> Callable[[], tuple[torch.Tensor, dict[str, torch.Tensor]]]:
        """The forward pass of a batch, to be run as often as wanted; ``inputs`` name its rows."""
        if not self._layers:
            return lambda: self._network(ids, mask)
        missing = [row for row, name in enumerate(inputs) if name not in self._kept]
        if missing:
            training = self._network.training
            self._network.eval()
            with torch.no_grad():
                states = self._network.lower(ids[missing], mask[missing], self._layers).to(torch.bfloat16)
            self._network.train(training)
            for row, state in zip(missing, states):
                self._kept[inputs[row]] = state[: int(mask[row].sum())].clone()
        hidden = torch.zeros(*ids.shape, self._network.hidden, device=ids.device)
        for row, name in enumerate(inputs):
            state = self._kept[name]
            hidden[row, : len(state)] = state
        return lambda: self._network.upper(hidden, mask, self._layers)


def optimizer_of(network: nn.Module, arguments: TrainingArguments) -> torch.optim.AdamW:
    """AdamW over what is trained: heads at their own rate, encoder layers at a rate that falls downwards.

    Layer-wise decay follows Howard and Ruder 2018, "Universal Language Model Fine-tuning". Biases and norms do not
    decay.
    """
    depths = [int(m[1]) for name, _ in network.named_parameters() if (m := _LAYER.search(name))]
    top = max(depths, default=0)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        layer = _LAYER.search(name)
        rate = arguments.head_learning_rate
        if not name.startswith("heads."):
            rate = arguments.learning_rate * arguments.layer_decay ** (top - (int(layer[1]) if layer else -1))
        groups.setdefault((rate, arguments.weight_decay if parameter.ndim > 1 else 0.0), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()], fused=True
    )


def schedule_of(optimizer: torch.optim.Optimizer, steps: int, warmup: float) -> torch.optim.lr_scheduler.LambdaLR:
    """Up from 0 over the share ``warmup`` of the steps, then down to 0, both in straight lines."""
    rise = max(1, int(steps * warmup))
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / rise, max(0.0, (steps - s) / max(1, steps - rise)))
    )


def trained_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the parameters that training moves."""
    return {name: p.detach().clone() for name, p in network.named_parameters() if p.requires_grad}


class RunningAverage:
    """An exponential moving average of the trained parameters, started anew for as long as it has seen few steps."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay, self._steps = network, decay, 0
        self._state = trained_state(network) if decay else {}

    def update(self) -> None:
        """Takes in the parameters after a step."""
        if not self._decay:
            return
        self._steps += 1
        decay = min(self._decay, self._steps / (self._steps + 10))
        current = {name: p for name, p in self._network.named_parameters() if name in self._state}
        for name, average in self._state.items():
            average.lerp_(current[name].detach(), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The average in the network's place; the parameters themselves come back at the end."""
        if not self._decay:
            yield
            return
        own = trained_state(self._network)
        self._network.load_state_dict(self._state, strict=False)
        try:
            yield
        finally:
            self._network.load_state_dict(own, strict=False)
