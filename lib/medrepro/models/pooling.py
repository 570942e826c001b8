"""Mean and max pooling of embedded patches: the aggregators without attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


class PooledMIL(nn.Module):
    """Each patch is embedded by a linear layer and ReLU, the bag is their mean or maximum, a linear layer classifies.

    in_features: channels of a patch. n_outputs: logits. dim: width of the embedding. pool: "mean" or "max".
    Raises ValueError for another pool.
    """

    def __init__(
        self, in_features: int, n_outputs: int = 1, *, dim: int = 512, pool: Literal["mean", "max"] = "mean"
    ) -> None:
        super().__init__()
        if pool not in ("mean", "max"):
            raise ValueError(f"pool must be 'mean' or 'max', got {pool!r}")
        self.pool = pool
        self.embed = nn.Sequential(nn.Linear(in_features, dim), nn.ReLU())
        self.head = nn.Linear(dim, n_outputs)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """features (B, N, in_features), mask (B, N) True for real patches, to logits (B, 1, n_outputs)."""
        if mask is None:
            mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        real = mask.unsqueeze(-1)
        h = self.embed(features)  # (B, N, dim)
        if self.pool == "mean":
            bag = h.masked_fill(~real, 0.0).sum(dim=1) / real.sum(dim=1)
        else:
            bag = h.masked_fill(~real, -torch.inf).amax(dim=1)
        return self.head(bag).unsqueeze(1)
