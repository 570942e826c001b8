"""Gated attention pooling for bags (Ilse, Tomczak & Welling 2018, equation 9)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ABMIL(nn.Module):
    """z = sum_k a_k h_k with a = softmax(w^T (tanh(V h_k) * sigmoid(U h_k))), then a linear classifier.

    in_features: channels of a patch. n_outputs: logits. dim: width of the patch embedding h. attention_dim: width of
    the gate (original: 500 and 128). dropout: on the embedding.
    """

    def __init__(
        self, in_features: int, n_outputs: int = 1, *, dim: int = 500, attention_dim: int = 128, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(in_features, dim), nn.ReLU(), nn.Dropout(dropout))
        self.tanh_gate = nn.Linear(dim, attention_dim)
        self.sigmoid_gate = nn.Linear(dim, attention_dim)
        # Without a bias: the softmax does not see a constant that all patches share.
        self.score = nn.Linear(attention_dim, 1, bias=False)
        self.head = nn.Linear(dim, n_outputs)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """features (B, N, in_features), mask (B, N) True for real patches, to logits (B, 1, n_outputs)."""
        h = self.embed(features)  # (B, N, dim)
        weights = self._weights(h, mask)
        return self.head((weights.unsqueeze(-1) * h).sum(dim=1)).unsqueeze(1)

    @torch.no_grad()
    def attention(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention weights (B, N), which sum to 1 over the real patches of a bag."""
        return self._weights(self.embed(features), mask)

    def _weights(self, h: Tensor, mask: Tensor | None) -> Tensor:
        gate = torch.tanh(self.tanh_gate(h)) * torch.sigmoid(self.sigmoid_gate(h))
        scores = self.score(gate).squeeze(-1)  # (B, N)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return scores.softmax(dim=1)
