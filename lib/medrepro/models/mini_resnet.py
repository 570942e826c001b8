"""Residual networks (He et al., CVPR 2016, arXiv 1512.03385) from a few thousand parameters to ResNet-50 and beyond.

Parameters carry the names of torchvision's ResNet (conv1, bn1, layer1.0.conv1, ..., fc), so that its published weights
load as they are; a change of input channels or outputs is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

_CONV: dict[int, Callable[..., nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
_BATCH_NORM: dict[int, Callable[[int], nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_MAX_POOL: dict[int, Callable[..., nn.Module]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}

RESNET_50: dict[str, Any] = {
    "block": "bottleneck", "layers": (3, 4, 6, 3), "widths": (64, 128, 256, 512),
    "stem_kernel": 7, "stem_stride": 2, "stem_pool": True,
}  # fmt: skip


class Block(nn.Module):
    """x + F(x), then the activation: two 3 x 3 convolutions, or 1 x 1, 3 x 3 and 1 x 1 with `bottleneck`.

    The stride sits in the 3 x 3 convolution, as in torchvision (the paper's own bottleneck has it in the first 1 x 1).
    Where shape changes, the identity becomes a 1 x 1 convolution (the paper's option B).
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        *,
        bottleneck: bool,
        conv: Callable[..., nn.Module],
        norm: Callable[[int], nn.Module],
        activation: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        self.out_channels = 4 * width if bottleneck else width
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        strides = (1, stride, 1) if bottleneck else (stride, 1)
        channels = (in_channels, width, width, self.out_channels) if bottleneck else (in_channels, width, width)
        self.depth = len(kernels)
        for i, (kernel, step) in enumerate(zip(kernels, strides, strict=True)):
            layer = conv(channels[i], channels[i + 1], kernel, stride=step, padding=kernel // 2, bias=False)
            self.add_module(f"conv{i + 1}", layer)
            self.add_module(f"bn{i + 1}", norm(channels[i + 1]))
        self.relu = activation()
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != self.out_channels:
            shortcut = conv(in_channels, self.out_channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, norm(self.out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, ...) to (B, out_channels, ... / stride)."""
        out = x
        for i in range(1, self.depth + 1):
            out = self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(out))
            if i < self.depth:
                out = self.relu(out)
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class MiniResNet(nn.Module):
    """Stem, stages of residual blocks, mean over space, one linear head.

    in_channels, n_outputs: of the image and of the head, which is raw (no softmax).
    block, layers, widths: kind of block, blocks in each stage, and 3 x 3 channels of each stage; every stage after the
    first halves the side. The defaults make 0.08 million parameters for images of about 32 pixels; with one stem
    convolution at full size and layers (n, n, n) this is the paper's CIFAR network of 6 n + 2 layers. `RESNET_50` holds
    the arguments of ResNet-50.
    stem_kernel, stem_stride, stem_pool: first convolution, and whether a 3 x 3 max pooling of stride 2 follows it.
    norm: makes a layer for so many channels (batch normalisation by default; group normalisation for private or
    federated training). activation: nn.ReLU or another. spatial_dims: 2 for images, 3 for volumes.
    Raises ValueError when layers and widths differ in length, or a name is unknown.
    """

    def __init__(
        self,
        in_channels: int = 1,
        n_outputs: int = 1,
        *,
        block: Literal["basic", "bottleneck"] = "basic",
        layers: Sequence[int] = (1, 1, 1),
        widths: Sequence[int] = (16, 32, 64),
        stem_kernel: int = 3,
        stem_stride: int = 1,
        stem_pool: bool = False,
        norm: Callable[[int], nn.Module] | None = None,
        activation: Callable[[], nn.Module] = nn.ReLU,
        spatial_dims: int = 2,
    ) -> None:
        super().__init__()
        if len(layers) != len(widths) or not layers:
            raise ValueError(f"widths must hold one number a stage ({len(layers)}), got {len(widths)}")
        if block not in ("basic", "bottleneck"):
            raise ValueError(f"block must be 'basic' or 'bottleneck', got {block!r}")
        if spatial_dims not in _CONV:
            raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}")
        conv, norm = _CONV[spatial_dims], norm or _BATCH_NORM[spatial_dims]
        channels = widths[0]
        self.conv1 = conv(in_channels, channels, stem_kernel, stride=stem_stride, padding=stem_kernel // 2, bias=False)
        self.bn1 = norm(channels)
        self.relu = activation()
        self.maxpool = _MAX_POOL[spatial_dims](3, stride=2, padding=1) if stem_pool else nn.Identity()
        self.n_stages = len(layers)
        for stage, (count, width) in enumerate(zip(layers, widths, strict=True)):
            blocks: list[nn.Module] = []
            for i in range(count):
                made = Block(
                    channels,
                    width,
                    2 if stage and i == 0 else 1,
                    bottleneck=block == "bottleneck",
                    conv=conv,
                    norm=norm,
                    activation=activation,
                )
                blocks.append(made)
                channels = made.out_channels
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, n_outputs)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Convolutions by He et al. (ICCV 2015), the head by Glorot & Bengio (2010)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.xavier_uniform_(self.fc.weight)

    def features(self, x: Tensor) -> Tensor:
        """Maps of the last stage: (B, in_channels, H, W[, D]) to (B, channels, h, w[, d])."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(1, self.n_stages + 1):
            x = self.get_submodule(f"layer{stage}")(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, H, W[, D]) to raw outputs (B, n_outputs)."""
        pooled: Tensor = torch.flatten(self.features(x), 2).mean(dim=2)  # (B, channels)
        return self.fc(pooled)
