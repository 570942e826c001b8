"""The networks that sites train, by name: what a recipe's `model` points to."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from ..models.mini_resnet import MiniResNet
from ..models.mini_vit import MiniViT


def linear(in_features: int, n_outputs: int) -> nn.Module:
    """Logistic regression: one linear layer to logits (B, n_outputs)."""
    return nn.Linear(in_features, n_outputs)


def perceptron(in_features: int, n_outputs: int, width: int = 16, depth: int = 1, dropout: float = 0.0) -> nn.Module:
    """A multilayer perceptron with `depth` hidden layers of `width` units, ReLU, logits (B, n_outputs)."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(in_features, width), nn.ReLU(), nn.Dropout(dropout)]
        in_features = width
    return nn.Sequential(*layers, nn.Linear(in_features, n_outputs))


def resnet(
    n_outputs: int, *, norm: Literal["group", "batch"] = "group", groups: int = 8, in_channels: int = 1, **sizes: Any
) -> nn.Module:
    """A residual network on images; sizes: arguments of `MiniResNet`.

    Group normalisation keeps no running statistics, so that averaging weights averages all there is; with batch
    normalisation, as published, the buffers are averaged too. Raises ValueError for another norm.
    """
    if norm not in ("group", "batch"):
        raise ValueError(f"norm must be group or batch, got {norm!r}")
    make = (lambda channels: nn.GroupNorm(groups, channels)) if norm == "group" else None
    return MiniResNet(in_channels, n_outputs, norm=make, **sizes)


def vit(n_outputs: int, *, in_channels: int = 1, **sizes: Any) -> nn.Module:
    """A vision transformer on images; sizes: arguments of `MiniViT`."""
    return MiniViT(in_channels=in_channels, n_outputs=n_outputs, **sizes)
