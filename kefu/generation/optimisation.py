"""What a training step of a generator is made of: tokens, batches, the loss on the reply alone, the learning rate."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy


@dataclass(frozen=True)
class Encoded:
    """Token ids of prompt and reply; the first ``start`` belong to the prompt."""

    ids: list[int]
    start: int


def encode(tokenizer: Any, prompt: str, reply: str) -> Encoded:
    """<bos> prompt reply <eos>, the reply tokenised on its own, as the model will write it."""
    head = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    head += tokenizer(prompt, add_special_tokens=False).input_ids
    tail = tokenizer(reply, add_special_tokens=False).input_ids
    return Encoded(head + tail + [tokenizer.eos_token_id], len(head))


def batches(encoded: Sequence[Encoded], size: int, rng: random.Random) -> list[list[Encoded]]:
    """Batches of like lengths (little padding), in random order."""
    keyed = sorted(encoded, key=lambda e: len(e.ids) + rng.random() * 16)
    cut = [keyed[i : i + size] for i in range(0, len(keyed), size)]
    rng.shuffle(cut)
    return cut


class ReplyLoss(torch.nn.Module):
    """The loss as a module, so that whatever wraps a model for several devices sees its forward pass."""

    def __init__(self, model: Any, pad: int) -> None:
        super().__init__()
        self.model, self._pad = model, pad

    def forward(self, batch: Sequence[Encoded]) -> tuple[Any, int]:
        """(summed cross-entropy of the reply tokens, their number)."""
        return reply_loss(self.model, batch, self._pad)


def reply_loss(model: Any, batch: Sequence[Encoded], pad: int) -> tuple[Any, int]:
    """(summed cross-entropy of the reply tokens, their number). Only their hidden states meet the output layer."""
    device = next(model.parameters()).device
    width = -(-max(len(e.ids) for e in batch) // 16) * 16  # few different shapes, so that freed memory is used again
    ids = torch.full((len(batch), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    target = torch.full_like(ids, -100)
    for row, item in enumerate(batch):
        length = len(item.ids)
        ids[row, :length] = torch.tensor(item.ids)
        mask[row, :length] = 1
        target[row, item.start - 1 : length - 1] = torch.tensor(item.ids[item.start :])
    ids, mask, target = ids.to(device), mask.to(device), target.to(device)
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    prefix = _prefix(model, len(batch))
    if prefix is not None:
        mask = torch.cat([torch.ones(len(batch), prefix.get_seq_length(), dtype=mask.dtype, device=device), mask], 1)
    hidden = causal.model(input_ids=ids, attention_mask=mask, past_key_values=prefix, use_cache=False).last_hidden_state
    chosen = target != -100
    logits = causal.lm_head(hidden[chosen])
    return cross_entropy(logits.float(), target[chosen], reduction="sum"), int(chosen.sum())


def _prefix(model: Any, rows: int) -> Any:
    """The keys and values that prefix tuning puts before a batch; None for other models."""
    config = getattr(model, "peft_config", {}).get("default")
    return model.get_prompt(rows) if config is not None and config.is_prompt_learning else None


class MasterWeights:
    """float32 copies of bfloat16 parameters: the optimiser works on the copies, the model computes with the originals.

    On a CPU this is a third faster than float32 parameters under autocast, which casts every input back and forth.
    """

    def __init__(self, parameters: Sequence[Any]) -> None:
        self._parameters = list(parameters)
        self.copies = [p.detach().clone().float().requires_grad_() for p in self._parameters]

    def take_gradients(self) -> None:
        """Moves the gradients from the parameters to the copies."""
        for copy, parameter in zip(self.copies, self._parameters):
            copy.grad = parameter.grad.float()
            parameter.grad = None

    def give_back(self) -> None:
        """Rounds the copies into the parameters."""
        for copy, parameter in zip(self.copies, self._parameters):
            parameter.data.copy_(copy.data)


def held_out_loss(model: Any, encoded: Sequence[Encoded], size: int, pad: int) -> float:
    """Mean cross-entropy per reply token."""
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in batches(encoded, size, random.Random(0)):
            loss, tokens = reply_loss(model, batch, pad)
            total, count = total + float(loss), count + tokens
    model.train()
    return total / max(count, 1)


def rate(step: float, steps: int, warmup: float) -> float:
    """The factor on the learning rate at ``step`` of ``steps``: linear warm-up, then a cosine from 1 to 0.1."""
    rise = max(1, int(steps * warmup))
    if step < rise:
        return min(1.0, (step + 1) / rise)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))
