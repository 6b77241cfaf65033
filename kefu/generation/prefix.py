"""Serves a prefix-tuned model: what peft learned stands as keys and values before every prompt."""

from __future__ import annotations

import copy
from typing import Any

import torch


class PrefixedModel(torch.nn.Module):
    """Fills an empty cache with the prefix before it reads; else as the base model. kefu.generation.decoder runs it."""

    def __init__(self, tuned: Any) -> None:
        super().__init__()
        self.model = tuned.get_base_model()
        self.config = copy.copy(self.model.config)
        self.config.model_type += "_prefixed"  # decoders made for the base model know nothing of a prefix
        with torch.no_grad():
            layers = tuned.get_prompt(1).layers
        self.keys = torch.nn.ParameterList([torch.nn.Parameter(layer.keys, requires_grad=False) for layer in layers])
        self.values = torch.nn.ParameterList(
            [torch.nn.Parameter(layer.values, requires_grad=False) for layer in layers]
        )

    @property
    def device(self) -> Any:
        """Where the weights are."""
        return self.model.device

    def forward(self, ids: Any, past_key_values: Any, **rest: Any) -> Any:
        """As the base model's, (1, tokens) in, with a cache in any case."""
        if past_key_values.get_seq_length() == 0:
            for number, (keys, values) in enumerate(zip(self.keys, self.values)):
                past_key_values.update(keys, values, number)
        return self.model(ids, past_key_values=past_key_values, **rest)
