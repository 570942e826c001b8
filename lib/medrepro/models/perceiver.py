"""Perceiver (Jaegle et al. 2021) as a reader of bags: one set of latents, read again and again, no cascade."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .ccan import Reader, fourier_position


class Perceiver(nn.Module):
    """Latents of constant number read the patches `depth` times; their mean is classified.

    Built from the blocks of `CCAN`, so that what differs is the cascade: no halving, no stage-wise logits, no CLS.
    in_features, n_outputs and the widths as in `CCAN`. token_dropout: as there (0 in the original).
    """

    def __init__(
        self,
        in_features: int,
        n_outputs: int = 1,
        *,
        depth: int = 6,
        n_latents: int = 128,
        latent_dim: int = 512,
        cross_heads: int = 1,
        cross_dim_head: int = 64,
        latent_heads: int = 8,
        latent_dim_head: int = 64,
        self_per_cross: int = 2,
        n_bands: int = 6,
        max_freq: float = 10.0,
        token_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.n_bands, self.max_freq, self.token_dropout = n_bands, max_freq, token_dropout
        self.latents = nn.Parameter(torch.randn(n_latents, latent_dim))
        self.readers = nn.ModuleList(
            Reader(
                latent_dim,
                in_features + 2 * n_bands + 1,
                cross_heads=cross_heads,
                cross_dim_head=cross_dim_head,
                latent_heads=latent_heads,
                latent_dim_head=latent_dim_head,
                self_per_cross=self_per_cross,
            )
            for _ in range(depth)
        )
        self.head = nn.Sequential(nn.LayerNorm(latent_dim), nn.Linear(latent_dim, n_outputs))

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """features (B, N, in_features), mask (B, N) True for real patches, to logits (B, 1, n_outputs)."""
        known = mask
        if known is None:
            known = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        code = fourier_position(known, self.n_bands, self.max_freq)
        tokens = torch.cat([features, code.to(features.dtype)], dim=-1)
        tokens = F.dropout(tokens, self.token_dropout, self.training)
        x = self.latents.expand(len(features), -1, -1)  # (B, L, dim)
        for reader in self.readers:
            x, _ = reader(x, tokens, mask)
        return self.head(x.mean(dim=1)).unsqueeze(1)
