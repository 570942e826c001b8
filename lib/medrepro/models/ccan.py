"""Cascaded cross-attention network (Khader et al. 2023): a bag of patch features is read by ever fewer latent tokens.

Stage i has L_i = n_latents / compression^i learned latents and a CLS token of its own. It reads the previous stage
(stage 0: the patches), adds a mean-pooled skip of it, looks back at the original patches, and gives its own logits
through one head that all stages share. No stage ever forms a patch-by-patch matrix: cost is linear in the bag.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def fourier_position(mask: Tensor, n_bands: int = 6, max_freq: float = 10.0) -> Tensor:
    """Position code of the tokens of each bag: (B, N, 2 * n_bands + 1), float32.

    mask (B, N): True for tokens of the bag. They are numbered in their order and spread over [-1, 1], each bag over
    its own length, so that the code of a bag does not depend on what it is batched with; a bag of one token is at -1.
    Channels: sin and cos of pi * position * f for f evenly spaced in [1, max_freq / 2], then the position.
    """
    rank = mask.long().cumsum(dim=1) - 1
    last = (mask.sum(dim=1, keepdim=True) - 1).clamp(min=1)
    position = (2.0 * rank.float() / last - 1.0).unsqueeze(-1)  # (B, N, 1)
    scales = torch.linspace(1.0, max_freq / 2, n_bands, device=mask.device)
    angle = torch.pi * position * scales  # (B, N, bands)
    return torch.cat([angle.sin(), angle.cos(), position], dim=-1)


class Attention(nn.Module):
    """Pre-norm multi-head attention; with context_dim the keys and values come from a normalised context."""

    def __init__(self, dim: int, heads: int, dim_head: int, context_dim: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.norm_context = nn.LayerNorm(context_dim) if context_dim else None
        self.to_q = nn.Linear(dim, heads * dim_head, bias=False)
        self.to_kv = nn.Linear(context_dim or dim, 2 * heads * dim_head, bias=False)
        self.to_out = nn.Linear(heads * dim_head, dim)

    def forward(
        self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None, *, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """x (B, L, dim) reads context (B, N, context_dim), or itself; mask (B, N) marks what may be read.

        Returns the update (B, L, dim), to be added to x by the caller, and, when asked for, the attention averaged
        over heads (B, L, N); without it the fused kernel is used.
        """
        x = self.norm(x)
        source = x if self.norm_context is None else self.norm_context(context)
        q = self._split(self.to_q(x))  # (B, H, L, d)
        k, v = (self._split(part) for part in self.to_kv(source).chunk(2, dim=-1))  # (B, H, N, d)
        allowed = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, N)
        weights = None
        if need_weights:
            scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5  # (B, H, L, N)
            if allowed is not None:
                scores = scores.masked_fill(~allowed, -torch.inf)
            attention = scores.softmax(dim=-1)
            weights, read = attention.mean(dim=1), attention @ v
        else:
            read = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return self.to_out(read.transpose(1, 2).flatten(2)), weights

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Pre-norm GEGLU feed-forward, inner width mult * dim (Shazeer 2020)."""

    def __init__(self, dim: int, mult: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 2 * mult * dim)
        self.contract = nn.Linear(mult * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.expand(self.norm(x)).chunk(2, dim=-1)
        return self.contract(value * F.gelu(gate))


class Reader(nn.Module):
    """Cross-attention to a context and feed-forward, then `self_per_cross` blocks of latent self-attention."""

    def __init__(
        self,
        dim: int,
        context_dim: int,
        *,
        cross_heads: int,
        cross_dim_head: int,
        latent_heads: int,
        latent_dim_head: int,
        self_per_cross: int,
    ) -> None:
        super().__init__()
        self.cross = Attention(dim, cross_heads, cross_dim_head, context_dim)
        self.cross_ff = FeedForward(dim)
        self.selfs = nn.ModuleList(Attention(dim, latent_heads, latent_dim_head) for _ in range(self_per_cross))
        self.self_ffs = nn.ModuleList(FeedForward(dim) for _ in range(self_per_cross))

    def forward(
        self, x: Tensor, context: Tensor, mask: Tensor | None = None, *, need_weights: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        """x (B, L, dim), context (B, N, context_dim) to x and the recorded attentions: cross, then each self."""
        recorded = []
        update, weights = self.cross(x, context, mask, need_weights=need_weights)
        x = x + update
        x = x + self.cross_ff(x)
        recorded.append(weights)
        for attention, feed_forward in zip(self.selfs, self.self_ffs, strict=True):
            update, weights = attention(x, need_weights=need_weights)
            x = x + update
            x = x + feed_forward(x)
            recorded.append(weights)
        return x, recorded if need_weights else []


@dataclass(frozen=True)
class StageAttention:
    """Recorded attentions of one stage: each list is cross-attention (B, L + 1, context), then self-attentions."""

    read: list[Tensor]
    look_back: list[Tensor]


class Stage(nn.Module):
    """One stage of the cascade: read the context, skip, look back at the patches."""

    def __init__(
        self, n_latents: int, dim: int, context_dim: int, token_dim: int, *, skip: int, look_back: bool, **heads: int
    ) -> None:
        super().__init__()
        self.skip = skip  # length of the mean-pool, 0 for none
        self.latents = nn.Parameter(torch.randn(n_latents, dim))
        self.cls = nn.Parameter(torch.randn(dim))
        self.cls_position = nn.Parameter(torch.randn(dim))
        self.reader = Reader(dim, context_dim, **heads)
        self.look_back = Reader(dim, token_dim, **heads) if look_back else None

    def forward(
        self,
        context: Tensor,
        context_mask: Tensor | None,
        tokens: Tensor,
        mask: Tensor | None,
        *,
        need_weights: bool = False,
    ) -> tuple[Tensor, StageAttention]:
        """context (B, M, context_dim), tokens (B, N, token_dim) to (B, 1 + L, dim), CLS first."""
        x = torch.cat([(self.cls + self.cls_position)[None], self.latents])  # (1 + L, dim)
        x = x.expand(len(tokens), -1, -1)
        x, read = self.reader(x, context, context_mask, need_weights=need_weights)
        if self.skip:
            pooled = context.unflatten(1, (-1, self.skip)).mean(dim=2)  # (B, L, dim)
            x = x + F.pad(pooled, (0, 0, 1, 0))  # the CLS token gets no skip
        looked: list[Tensor] = []
        if self.look_back is not None:
            x, looked = self.look_back(x, tokens, mask, need_weights=need_weights)
        return x, StageAttention(read, looked)


class CCAN(nn.Module):
    """Cascaded cross-attention network for bags of patch features.

    in_features: channels of a patch. n_outputs: logits (1 for two classes, one per class one-vs-all for more).
    n_stages, n_latents, compression: stage i has n_latents / compression^i latents (paper: 6, 128, 2).
    latent_dim, cross_heads x cross_dim_head, latent_heads x latent_dim_head, self_per_cross: widths (paper: 512,
    3 x 64, 4 x 32, 2). n_bands, max_freq: position code (6, 10: 13 channels).
    token_dropout: element-wise dropout of the whole token matrix, features and position code (paper: 0.9).
    deep_supervision: logits of every stage, else of the last one. look_back, skip: the cascade's two shortcuts.
    use_mask: False attends to padding and spreads positions over the padded length, as the authors' code does; a
    prediction then depends on what the bag is batched with.
    Raises ValueError when n_latents cannot be divided by compression at every stage.
    """

    def __init__(
        self,
        in_features: int,
        n_outputs: int = 1,
        *,
        n_stages: int = 6,
        n_latents: int = 128,
        compression: int = 2,
        latent_dim: int = 512,
        cross_heads: int = 3,
        cross_dim_head: int = 64,
        latent_heads: int = 4,
        latent_dim_head: int = 32,
        self_per_cross: int = 2,
        n_bands: int = 6,
        max_freq: float = 10.0,
        token_dropout: float = 0.9,
        deep_supervision: bool = True,
        look_back: bool = True,
        skip: bool = True,
        use_mask: bool = True,
    ) -> None:
        super().__init__()
        if n_stages < 1 or compression < 1 or n_latents % compression ** (n_stages - 1):
            raise ValueError(
                f"n_latents must be divisible by compression^(n_stages - 1) = {compression}^{n_stages - 1}, "
                f"got {n_latents}"
            )
        self.n_bands, self.max_freq = n_bands, max_freq
        self.token_dropout = token_dropout
        self.deep_supervision = deep_supervision
        self.use_mask = use_mask
        token_dim = in_features + 2 * n_bands + 1
        heads = {
            "cross_heads": cross_heads,
            "cross_dim_head": cross_dim_head,
            "latent_heads": latent_heads,
            "latent_dim_head": latent_dim_head,
            "self_per_cross": self_per_cross,
        }
        self.stages = nn.ModuleList(
            Stage(
                n_latents // compression**i,
                latent_dim,
                token_dim if i == 0 else latent_dim,
                token_dim,
                skip=compression if skip and i > 0 else 0,
                look_back=look_back,
                **heads,
            )
            for i in range(n_stages)
        )
        self.head = nn.Sequential(
            nn.LayerNorm(latent_dim), nn.Linear(latent_dim, n_outputs)
        )  # one head, shared by all stages

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """features (B, N, in_features), mask (B, N) True for real patches, to logits (B, S, n_outputs).

        S is the number of stages with deep supervision and 1 without. The prediction is the sigmoid of the mean over
        S of the logits.
        """
        tokens, mask = self._tokens(features, mask)
        logits = [self.head(x[:, 0]) for x, _ in self._cascade(tokens, mask)]
        return torch.stack(logits if self.deep_supervision else logits[-1:], dim=1)

    @torch.no_grad()
    def record_attention(self, features: Tensor, mask: Tensor | None = None) -> list[StageAttention]:
        """Attention weights of every stage, averaged over heads, dropout off; inputs as `forward`."""
        was_training = self.training
        self.eval()
        tokens, mask = self._tokens(features, mask)
        recorded = [attention for _, attention in self._cascade(tokens, mask, need_weights=True)]
        self.train(was_training)
        return recorded

    def _tokens(self, features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Features with their position code (B, N, in_features + 13), and the mask when it is used."""
        mask = mask if self.use_mask else None
        everything = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        code = fourier_position(everything if mask is None else mask, self.n_bands, self.max_freq)
        tokens = torch.cat([features, code.to(features.dtype)], dim=-1)
        return F.dropout(tokens, self.token_dropout, self.training), mask

    def _cascade(
        self, tokens: Tensor, mask: Tensor | None, *, need_weights: bool = False
    ) -> list[tuple[Tensor, StageAttention]]:
        done = []
        context, context_mask = tokens, mask
        for stage in self.stages:
            x, attention = stage(context, context_mask, tokens, mask, need_weights=need_weights)
            done.append((x, attention))
            context, context_mask = x[:, 1:], None  # the next stage reads the latents, not the CLS token
        return done


def look_back_map(recorded: list[StageAttention], mask: Tensor) -> Tensor:
    """Heat map of the authors: each stage's CLS attention to the patches, pooled over stages; (B, N), 0 in padding.

    Within a stage the CLS row is followed back through the self-attentions to the cross-attention that looks back at
    the patches, and scaled to [0, 1] over the bag; the map is the mean over stages. The authors' notebook multiplies
    the self-attentions in reverse order; here the last one is outermost, as the signal flows.
    Raises ValueError for a model without look-back.
    """
    if not all(stage.look_back for stage in recorded):
        raise ValueError("look_back_map needs a model with look_back=True; use rollout_map")
    maps = []
    for stage in recorded:
        cross, *selfs = stage.look_back
        row = cross.new_zeros(len(cross), 1, cross.shape[1])
        row[:, :, 0] = 1.0  # the CLS token
        for attention in reversed(selfs):
            row = row @ attention
        weight = (row @ cross)[:, 0]  # (B, N)
        low = weight.masked_fill(~mask, torch.inf).amin(dim=1, keepdim=True)
        high = weight.masked_fill(~mask, -torch.inf).amax(dim=1, keepdim=True)
        maps.append(((weight - low) / (high - low).clamp(min=1e-12)).masked_fill(~mask, 0.0))
    return torch.stack(maps).mean(dim=0)


def rollout_map(recorded: list[StageAttention], mask: Tensor) -> Tensor:
    """Attention rollout (Abnar & Zuidema 2020) of the last CLS through the whole cascade; (B, N), sums to 1 a bag.

    Every residual update is taken as half old, half new: R <- (R + A S) / 2 with S the relevance of what was read.
    """
    n_patches = mask.shape[1]
    previous = mask.new_zeros((), dtype=torch.float32)
    for index, stage in enumerate(recorded):
        cross, *selfs = stage.read
        relevance = 0.5 * cross if index == 0 else 0.5 * cross @ previous  # learned latents start without relevance
        for attention in selfs:
            relevance = 0.5 * (relevance + attention @ relevance)
        if index:
            factor = previous.shape[1] // (relevance.shape[1] - 1)
            pooled = previous.unflatten(1, (-1, factor)).mean(dim=2)
            relevance = torch.cat([relevance[:, :1], 0.5 * (relevance[:, 1:] + pooled)], dim=1)
        if stage.look_back:
            cross, *selfs = stage.look_back
            relevance = 0.5 * (relevance + cross)
            for attention in selfs:
                relevance = 0.5 * (relevance + attention @ relevance)
        previous = relevance[:, 1:]
    final = relevance[:, 0].reshape(-1, n_patches)
    return final / final.sum(dim=1, keepdim=True)
