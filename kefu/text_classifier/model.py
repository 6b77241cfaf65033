"""The fine-tuned network: one encoder, a linear head for each task, and a head may see the head before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Task:
    """A label set to predict. With ``sees`` the head is also given the probabilities of that earlier task."""

    name: str
    labels: tuple[str, ...]
    sees: str | None = None


class MultiTaskClassifier(nn.Module):
    """Mean-pooled encoder output at unit variance, dropout, and a linear layer for each task.

    ``forward(input_ids, attention_mask)``, both (batch, tokens) int64, returns (embedding (batch, hidden),
    {task: logits (batch, labels)}). The probabilities that a head sees are detached: emotion learns from intent,
    and does not teach it.
    """

    def __init__(self, encoder: nn.Module, tasks: Sequence[Task], dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.tasks = tuple(tasks)
        self.dropout = nn.Dropout(dropout)
        self.hidden = int(encoder.config.hidden_size)  # type: ignore[union-attr,arg-type]
        sizes = {t.name: len(t.labels) for t in tasks}
        self.heads = nn.ModuleDict(
            {t.name: nn.Linear(self.hidden + (sizes[t.sees] if t.sees else 0), len(t.labels)) for t in tasks}
        )

    @classmethod
    def from_pretrained(cls, folder: Path, tasks: Sequence[Task], dropout: float = 0.1) -> MultiTaskClassifier:
        """A classifier on the encoder in ``folder``, its heads newly initialised."""
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()
        logging.set_verbosity_error()
        extra: dict[str, Any] = {"add_pooling_layer": False, "attn_implementation": "sdpa"}
        return cls(AutoModel.from_pretrained(folder, dtype=torch.float32, **extra), tasks, dropout)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        # E5's embeddings point into a narrow cone; at unit variance a linear head learns from them at once.
        pooled = nn.functional.layer_norm(pooled.float(), (self.hidden,))
        return pooled, self.classify(pooled)

    def classify(self, pooled: torch.Tensor) -> dict[str, torch.Tensor]:
        """{task: logits (batch, labels)} from embeddings (batch, hidden)."""
        logits: dict[str, torch.Tensor] = {}
        for task in self.tasks:
            features = self.dropout(pooled)
            if task.sees:
                features = torch.cat([features, logits[task.sees].softmax(-1).detach().to(features.dtype)], dim=-1)
            logits[task.name] = self.heads[task.name](features)
        return logits
