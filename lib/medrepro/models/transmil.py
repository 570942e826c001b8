"""TransMIL (Shao et al. 2021): Nystrom self-attention over all patches with a convolutional position encoding.

The published code runs one bag at a time. Here bags of different length share a batch: each bag is squared, segmented
and convolved over its own length, so that padding changes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def iterative_pinv(a: Tensor, n_iter: int = 6) -> Tensor:
    """Moore-Penrose inverse of (..., m, m) matrices by the cubic iteration of Razavi et al. (2014).

    Started from A^T / (max row sum * max column sum), here of each matrix on its own.
    """
    magnitude = a.abs()
    scale = magnitude.sum(dim=-1).amax(dim=-1) * magnitude.sum(dim=-2).amax(dim=-1)
    z = a.transpose(-1, -2) / scale[..., None, None]
    eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    for _ in range(n_iter):
        az = a @ z
        z = 0.25 * z @ (13 * eye - az @ (15 * eye - az @ (7 * eye - az)))
    return z


class NystromAttention(nn.Module):
    """Self-attention through m landmarks, softmax(Q K~^T) pinv(softmax(Q~ K~^T)) softmax(Q~ K^T) V (Xiong 2021).

    Landmarks are means over m equal segments of the bag. A convolution of V along the sequence, one kernel a head, is
    added.
    """

    def __init__(self, dim: int, heads: int, n_landmarks: int, *, pinv_iterations: int = 6, kernel: int = 33) -> None:
        super().__init__()
        self.heads, self.n_landmarks, self.pinv_iterations = heads, n_landmarks, pinv_iterations
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.residual = nn.Conv1d(heads, heads, kernel, padding=kernel // 2, groups=heads, bias=False)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, dim), mask (B, T) with real tokens first, to the update (B, T, dim)."""
        q, k, v = (part.masked_fill(~mask.unsqueeze(-1), 0.0) for part in self.to_qkv(self.norm(x)).chunk(3, dim=-1))
        pool = self._segments(mask).to(x.dtype)  # (B, m, T)
        q_land, k_land = self._split(pool @ q), self._split(pool @ k)  # (B, H, m, d)
        residual = self._convolve(v)
        q, k, v = self._split(q), self._split(k), self._split(v)  # (B, H, T, d)
        scale = q.shape[-1] ** -0.5
        to_landmarks = (scale * q @ k_land.transpose(-1, -2)).softmax(dim=-1)  # (B, H, T, m)
        between = (scale * q_land @ k_land.transpose(-1, -2)).softmax(dim=-1)  # (B, H, m, m)
        # Landmarks read all tokens: an m x T attention, which the fused kernel does without storing it.
        read = F.scaled_dot_product_attention(q_land, k, v, attn_mask=mask[:, None, None, :])  # (B, H, m, d)
        out = to_landmarks @ (
            iterative_pinv(between.to(torch.promote_types(x.dtype, torch.float32)), self.pinv_iterations).to(x.dtype)
            @ read
        )
        return self.to_out(out.transpose(1, 2).flatten(2) + residual)

    def _convolve(self, v: Tensor) -> Tensor:
        """Each head's kernel along the sequence, the same for all of its channels: v (B, T, dim) to (B, T, dim)."""
        # As one depth-wise convolution, channels last, it is ten times as fast on a CPU as head by head.
        kernel = self.residual.weight.repeat_interleave(v.shape[2] // self.heads, dim=0).unsqueeze(-1)
        column = v.transpose(1, 2).unsqueeze(-1)  # (B, dim, T, 1)
        return F.conv2d(column, kernel, padding=(kernel.shape[2] // 2, 0), groups=v.shape[2])[..., 0].transpose(1, 2)

    def _segments(self, mask: Tensor) -> Tensor:
        """Averaging weights (B, m, T) of m equal segments of each bag; an empty segment has weight 0 everywhere."""
        length = mask.sum(dim=1, keepdim=True)
        segment = torch.arange(mask.shape[1], device=mask.device) * self.n_landmarks // length  # (B, T)
        member = F.one_hot(segment.masked_fill(~mask, self.n_landmarks), self.n_landmarks + 1)[..., : self.n_landmarks]
        member = member.transpose(1, 2).float()
        return member / member.sum(dim=2, keepdim=True).clamp(min=1.0)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class PPEG(nn.Module):
    """Pyramid position encoding: depth-wise 7, 5 and 3 convolutions of the tokens laid out as a square."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(dim, dim, k, padding=k // 2, groups=dim) for k in (7, 5, 3))

    def forward(self, x: Tensor, side: Tensor) -> Tensor:
        """x (B, T, dim) with zeros outside the squares, side (B,): tokens of bag b fill side[b] x side[b] cells."""
        index = torch.arange(x.shape[1], device=x.device)
        row, column = index // side[:, None], index % side[:, None]  # (B, T)
        inside = row < side[:, None]
        # Cells of a common grid: a bag's own square in its corner, zeros around it, which is what padding would be.
        width = int(side.max())
        cell = torch.where(inside, row * width + column, width * width)
        grid = x.new_zeros(len(x), width * width + 1, x.shape[2])
        grid = grid.scatter(1, cell.unsqueeze(-1).expand_as(x), x)[:, :-1]
        image = grid.transpose(1, 2).unflatten(2, (width, width))  # (B, dim, width, width)
        image = image.contiguous(memory_format=torch.channels_last)
        kernel, bias = self.merged_kernel()
        image = image + F.conv2d(image, kernel, bias, padding=kernel.shape[-1] // 2, groups=image.shape[1])
        flat = F.pad(image.flatten(2).transpose(1, 2), (0, 0, 0, 1))
        return flat.gather(1, cell.unsqueeze(-1).expand_as(x))

    def merged_kernel(self) -> tuple[Tensor, Tensor]:
        """The sum of the three convolutions as one: they are linear, the smaller kernels sit in the middle."""
        weights: list[Tensor] = [convolution.get_parameter("weight") for convolution in self.convolutions]
        biases: list[Tensor] = [convolution.get_parameter("bias") for convolution in self.convolutions]
        widest = max(weight.shape[-1] for weight in weights)
        kernels = [F.pad(weight, [(widest - weight.shape[-1]) // 2] * 4) for weight in weights]
        return torch.stack(kernels).sum(dim=0), torch.stack(biases).sum(dim=0)


class TransMIL(nn.Module):
    """Two Nystrom attention layers with PPEG between them; the CLS token is classified.

    in_features: channels of a patch. n_outputs: logits. dim, heads, n_landmarks, dropout: widths (paper: 512, 8, 256,
    0.1). A bag is lengthened to a square by repeating its first patches.
    """

    def __init__(
        self,
        in_features: int,
        n_outputs: int = 1,
        *,
        dim: int = 512,
        heads: int = 8,
        n_landmarks: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(in_features, dim), nn.ReLU())
        self.cls = nn.Parameter(torch.randn(dim))
        self.first = NystromAttention(dim, heads, n_landmarks)
        self.ppeg = PPEG(dim)
        self.second = NystromAttention(dim, heads, n_landmarks)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, n_outputs))

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """features (B, N, in_features), mask (B, N) True for real patches, which come first, to logits (B, 1, K)."""
        if mask is None:
            mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        x, mask, side = self._squared(self.embed(features), mask)
        cls = self.cls.expand(len(x), 1, -1)
        mask_cls = F.pad(mask, (1, 0), value=True)
        x = torch.cat([cls, x], dim=1)  # (B, 1 + T, dim)
        x = x + self.dropout(self.first(x, mask_cls))
        placed = self.ppeg(x[:, 1:].masked_fill(~mask.unsqueeze(-1), 0.0), side)
        x = torch.cat([x[:, :1], placed], dim=1)
        x = x + self.dropout(self.second(x, mask_cls))
        return self.head(x[:, 0]).unsqueeze(1)

    @staticmethod
    def _squared(h: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each bag lengthened to ceil(sqrt(n))^2 tokens by repeating its first ones: h (B, T, dim), mask, side (B,)."""
        length = mask.sum(dim=1)
        root = length.double().sqrt().ceil().long()
        index = torch.arange(int(root.max()) ** 2, device=h.device).expand(len(h), -1)  # (B, T)
        squared = index < (root**2)[:, None]
        source = torch.where(squared, index % length[:, None], 0)
        return h.gather(1, source.unsqueeze(-1).expand(-1, -1, h.shape[2])), squared, root
