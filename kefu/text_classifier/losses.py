"""The losses of a batch, apart from the loop that adds them up."""

from __future__ import annotations

import torch
from torch import nn

IGNORE = -100  # the label of an example that a task does not label
_TEMPERATURE = 0.1  # of the contrastive loss


def divergence(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Mean symmetric Kullback-Leibler divergence of two sets of logits (batch, labels): R-Drop, Liang et al. 2021."""
    p, q = first.log_softmax(-1), second.log_softmax(-1)
    there = nn.functional.kl_div(p, q, log_target=True, reduction="batchmean")
    back = nn.functional.kl_div(q, p, log_target=True, reduction="batchmean")
    return (there + back) / 2


def supervised_contrastive(embeddings: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Draws embeddings (batch, hidden) of one label together and others apart: Khosla et al. 2020, L_out.

    Examples without a label, or without another of theirs in the batch, are passed over; 0 where none is left.
    """
    known = targets != IGNORE
    embeddings, targets = nn.functional.normalize(embeddings[known].float(), dim=-1), targets[known]
    itself = torch.eye(len(targets), dtype=torch.bool, device=targets.device)
    alike = (targets.unsqueeze(0) == targets.unsqueeze(1)) & ~itself
    anchors = alike.any(-1)
    if not bool(anchors.any()):
        return embeddings.sum() * 0
    similarity = (embeddings @ embeddings.T / _TEMPERATURE).masked_fill(itself, float("-inf"))
    chances = similarity.log_softmax(-1).masked_fill(~alike, 0.0)
    return -(chances.sum(-1)[anchors] / alike.sum(-1)[anchors]).mean()


def class_weights(targets: torch.Tensor, labels: int, balance: float) -> torch.Tensor:
    """Weights (labels,) of mean 1 over the examples: a label counts as its frequency to the power -balance."""
    counts = torch.bincount(targets[targets != IGNORE], minlength=labels).clamp(min=1).float()
    weights = counts**-balance
    return weights * counts.sum() / (weights * counts).sum()
