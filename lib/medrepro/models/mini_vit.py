"""Vision transformers (Dosovitskiy et al., ICLR 2021, arXiv 2010.11929) from mini size to ViT-B/16 and beyond.

Parameters carry the names that timm and the DeiT checkpoints use (patch_embed.proj, cls_token, pos_embed,
blocks.0.attn.qkv, ..., norm, head), so that published weights load as they are; a change of input channels or outputs
is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_CONV: dict[int, Callable[..., nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}

VIT_B_16: dict[str, Any] = {"image_size": 224, "patch_size": 16, "dim": 768, "depth": 12, "heads": 12}


class PatchEmbed(nn.Module):
    """Non-overlapping patches, each a linear map to one token: a convolution whose stride is its kernel."""

    def __init__(self, in_channels: int, dim: int, patch_size: Sequence[int], padding: int) -> None:
        super().__init__()
        conv = _CONV[len(patch_size)]
        self.proj = conv(in_channels, dim, tuple(patch_size), stride=tuple(patch_size), padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W[, D]) to tokens (B, N, dim), the last axis of the image running fastest."""
        return self.proj(x).flatten(2).transpose(1, 2)


class SelfAttention(nn.Module):
    """softmax(q k^T / sqrt(dim / heads)) v over all tokens (equations 5 to 8 of the paper's appendix A)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, dim) to (B, N, dim)."""
        # (B, N, 3 dim) to (3, B, heads, N, dim / heads)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) to (..., dim)."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """z + attention(norm(z)), then z + MLP(norm(z)) (equations 2 and 3)."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = SelfAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = MLP(dim, round(mlp_ratio * dim))

    def forward(self, z: Tensor) -> Tensor:
        """(B, N, dim) to (B, N, dim)."""
        z = z + self.attn(self.norm1(z))
        return z + self.mlp(self.norm2(z))


class MiniViT(nn.Module):
    """Patches to tokens, a class token, learned positions, pre-norm blocks, one linear head on the class token.

    in_channels, n_outputs: of the image and of the head, which is raw (no softmax).
    image_size, patch_size: pixels a side, one number or one an axis; spatial_dims: 2 for images, 3 for volumes.
    dim, depth, heads, mlp_ratio: the paper's D, L, k and MLP size / D. The defaults make 0.16 million parameters and 64
    tokens; `VIT_B_16` holds the arguments of ViT-B/16.
    position_std: SD of the positions at the start. 0.02 is what timm uses; beside patches that are thirty times as
    large, a network that is trained for few steps then hardly learns where a patch lies (left or right lung).
    padding: pixels of zeros around the image before it is cut into patches (0 in the paper).
    Raises ValueError when dim is no multiple of heads, or a patch does not fit into the image.
    """

    def __init__(
        self,
        in_channels: int = 1,
        n_outputs: int = 1,
        *,
        image_size: int | Sequence[int] = 32,
        patch_size: int | Sequence[int] = 4,
        dim: int = 64,
        depth: int = 3,
        heads: int = 4,
        mlp_ratio: float = 4.0,
        position_std: float = 0.02,
        padding: int = 0,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        if spatial_dims not in _CONV:
            raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}")
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads ({heads}), got {dim}")
        sides = _per_axis("image_size", image_size, spatial_dims)
        patch = _per_axis("patch_size", patch_size, spatial_dims)
        self.grid = tuple((side + 2 * padding) // step for side, step in zip(sides, patch, strict=True))
        if not all(self.grid):
            raise ValueError(f"patch_size must fit into image_size {sides}, got {patch}")
        self.image_size, self.position_std = sides, position_std
        self.patch_embed = PatchEmbed(in_channels, dim, patch, padding)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + prod(self.grid), dim))
        self.blocks = nn.Sequential(*(Block(dim, heads, mlp_ratio) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, n_outputs)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Truncated normal of SD 0.02 for class token and linear layers, as timm and DeiT do; Glorot's head."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        nn.init.normal_(self.pos_embed, std=self.position_std)
        nn.init.xavier_uniform_(self.head.weight)

    def tokens(self, x: Tensor) -> Tensor:
        """Normalised tokens of the last block, the class token first: (B, C, H, W[, D]) to (B, 1 + N, dim).

        Raises ValueError when the image has another size than the positions were made for.
        """
        if tuple(x.shape[2:]) != self.image_size:
            raise ValueError(f"x must be (B, C, {', '.join(map(str, self.image_size))}), got {tuple(x.shape)}")
        z = self.patch_embed(x)
        z = torch.cat([self.cls_token.expand(len(z), -1, -1), z], dim=1) + self.pos_embed  # (B, 1 + N, dim)
        return self.norm(self.blocks(z))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W[, D]) to raw outputs (B, n_outputs)."""
        return self.head(self.tokens(x)[:, 0])


def _per_axis(name: str, value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    found = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(found) != axes or min(found) < 1:
        raise ValueError(f"{name} must be one number >= 1, or {axes} of them, got {value!r}")
    return found
