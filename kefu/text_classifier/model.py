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


def _options(encoder_dropout: float) -> dict[str, Any]:
    """How the encoder is built. On a CPU random masks inside attention are slow to draw, the fused kernel backwards."""
    return {
        "add_pooling_layer": False,
        "attn_implementation": "eager",
        "attention_probs_dropout_prob": 0.0,
        "hidden_dropout_prob": encoder_dropout,
    }


def _hush() -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()


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
    def from_pretrained(
        cls, folder: Path, tasks: Sequence[Task], dropout: float = 0.1, encoder_dropout: float = 0.1
    ) -> MultiTaskClassifier:
        """A classifier on the encoder in ``folder``, its heads newly initialised."""
        from transformers import AutoModel

        _hush()
        encoder = AutoModel.from_pretrained(folder, dtype=torch.float32, **_options(encoder_dropout))
        return cls(encoder, tasks, dropout)

    @classmethod
    def from_config(
        cls, folder: Path, tasks: Sequence[Task], dropout: float = 0.1, encoder_dropout: float = 0.1
    ) -> MultiTaskClassifier:
        """The same network built from the config.json in ``folder`` alone, all of its weights newly initialised."""
        from transformers import AutoConfig, AutoModel

        _hush()
        extra = _options(encoder_dropout)
        built = {name: extra.pop(name) for name in ("add_pooling_layer", "attn_implementation")}
        encoder = AutoModel.from_config(AutoConfig.from_pretrained(folder, **extra), dtype=torch.float32, **built)
        return cls(encoder, tasks, dropout)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return self._read(hidden, attention_mask)

    def lower(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, layers: int) -> torch.Tensor:
        """Hidden states (batch, tokens, hidden) after the word embeddings and the first ``layers`` layers of a BERT."""
        hidden = self.encoder.embeddings(input_ids=input_ids)  # type: ignore[operator]
        return self._through(hidden, attention_mask, slice(0, layers))

    def upper(
        self, hidden: torch.Tensor, attention_mask: torch.Tensor, layers: int
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """What ``forward`` returns, from what ``lower`` returned."""
        return self._read(self._through(hidden, attention_mask, slice(layers, None)), attention_mask)

    def _through(self, hidden: torch.Tensor, attention_mask: torch.Tensor, which: slice) -> torch.Tensor:
        blocked = (1.0 - attention_mask[:, None, None, :].to(hidden.dtype)) * torch.finfo(hidden.dtype).min
        for layer in self.encoder.encoder.layer[which]:  # type: ignore[union-attr,index]
            hidden = layer(hidden, blocked)
        return hidden

    def _read(self, hidden: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        # E5's embeddings point into a narrow cone; at unit variance a linear head learns from them at once.
        pooled = nn.functional.layer_norm(pooled.float(), (self.hidden,))
        return pooled, self.classify(pooled)

    def classify(self, pooled: torch.Tensor, detach: bool = True) -> dict[str, torch.Tensor]:
        """{task: logits (batch, labels)} from embeddings (batch, hidden).

        Without ``detach`` gradients pass from a head to the one that it sees.
        """
        logits: dict[str, torch.Tensor] = {}
        for task in self.tasks:
            features = self.dropout(pooled)
            if task.sees:
                seen = logits[task.sees].softmax(-1).to(features.dtype)
                features = torch.cat([features, seen.detach() if detach else seen], dim=-1)
            logits[task.name] = self.heads[task.name](features)
        return logits
