"""A plain transformer over all patches: the quadratic reference for cost."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .ccan import Attention, FeedForward


class FullAttentionMIL(nn.Module):
    """Pre-norm transformer encoder with a CLS token: every patch attends to every patch in each layer.

    in_features: channels of a patch. n_outputs: logits. depth, dim, heads x dim_head: layers and widths.
    Time grows with N^2; with the fused attention kernel memory does not.
    """

    def __init__(
        self,
        in_features: int,
        n_outputs: int = 1,
        *,
        depth: int = 2,
        dim: int = 512,
        heads: int = 8,
        dim_head: int = 64,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(in_features, dim)
        self.cls = nn.Parameter(torch.randn(1, 1, dim))
        self.attentions = nn.ModuleList(Attention(dim, heads, dim_head) for _ in range(depth))
        self.feed_forwards = nn.ModuleList(FeedForward(dim) for _ in range(depth))
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, n_outputs))

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """features (B, N, in_features), mask (B, N) True for real patches, to logits (B, 1, n_outputs)."""
        x = torch.cat([self.cls.expand(len(features), -1, -1), self.embed(features)], dim=1)  # (B, 1 + N, dim)
        if mask is not None:
            mask = torch.cat([mask.new_ones(len(mask), 1), mask], dim=1)
        for attention, feed_forward in zip(self.attentions, self.feed_forwards, strict=True):
            update, _ = attention(x, mask=mask)
            x = x + update
            x = x + feed_forward(x)
        return self.head(x[:, 0]).unsqueeze(1)
