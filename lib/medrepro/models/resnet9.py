"""ResNet9 with group norm and Mish, in two and three dimensions: the private classifier of Tayebi Arasteh et al. 2023.

A residual network (He et al. 2016) of one basic block a stage: stem, four stages of doubling width, average pooling, a
linear layer. Batch norm is replaced by group norm (Wu & He 2018), so that no layer mixes the examples of a batch, which
is what makes the gradient of one example exist; ReLU is replaced by Mish (Misra 2019). Every layer is one whose
gradient per example Opacus knows. The names of the weights are torchvision's, so that checkpoints of the same shape
load; norms are therefore called `bn1` and `bn2`.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

Activation = Literal["mish", "relu"]
_ACTIVATIONS: dict[str, type[nn.Module]] = {"mish": nn.Mish, "relu": nn.ReLU}


class ResNet9(nn.Module):
    """Images (B, in_channels, H, W) or volumes (B, in_channels, D, H, W) to logits (B, n_outputs).

    width: channels of the first stage; the others have 2, 4 and 8 times as many. groups: of every group norm.
    Published: 3 channels, width 64, groups 32, stem_stride 4 at 512 x 512; a network at an eighth of the width has
    groups 4. stem_stride: 4 is the published stem (convolution of stride 2, then max pooling), 2 leaves the pooling
    out, 1 also the stride: for small images. kernel: size of the stem's convolution, odd.
    Raises ValueError for sizes that do not fit each other.
    """

    def __init__(
        self,
        n_outputs: int = 1,
        *,
        in_channels: int = 3,
        spatial_dims: Literal[2, 3] = 2,
        width: int = 64,
        groups: int = 32,
        stem_stride: Literal[1, 2, 4] = 4,
        kernel: int = 7,
        activation: Activation = "mish",
    ) -> None:
        super().__init__()
        if spatial_dims not in (2, 3):
            raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims!r}")
        if stem_stride not in (1, 2, 4):
            raise ValueError(f"stem_stride must be 1, 2 or 4, got {stem_stride!r}")
        if groups < 1 or width < groups or width % groups:
            raise ValueError(f"width must be a multiple of groups, got width {width} and groups {groups}")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(_ACTIVATIONS)}, got {activation!r}")
        conv, pool, average = _layers(spatial_dims)
        self.conv1 = conv(in_channels, width, kernel, 2 if stem_stride > 1 else 1, kernel // 2, bias=False)
        self.bn1 = nn.GroupNorm(groups, width)
        self.act = _ACTIVATIONS[activation]()
        self.maxpool = pool(3, 2, 1) if stem_stride == 4 else nn.Identity()
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            nn.Sequential(_BasicBlock(max(width, width * scale // 2), width * scale, groups, spatial_dims, activation))
            for scale in (1, 2, 4, 8)
        )
        self.avgpool = average(1)
        self.fc = nn.Linear(8 * width, n_outputs)
        for layer in self.modules():
            if isinstance(layer, conv):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def features(self, images: Tensor) -> Tensor:
        """Pooled output of the last stage, before the linear layer: (B, 8 * width)."""
        x = self.maxpool(self.act(self.bn1(self.conv1(images))))  # (B, width, H / stem_stride, W / stem_stride)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)  # the last three halve every side
        return self.avgpool(x).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, n_outputs)."""
        return self.fc(self.features(images))


class _BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut, which is a strided 1 x 1 convolution where the width changes."""

    def __init__(self, c_in: int, c_out: int, groups: int, spatial_dims: int, activation: str) -> None:
        super().__init__()
        conv, stride = _layers(spatial_dims)[0], 1 if c_in == c_out else 2
        self.conv1 = conv(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.GroupNorm(groups, c_out)
        self.conv2 = conv(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.GroupNorm(groups, c_out)
        self.act = _ACTIVATIONS[activation]()
        shortcut = nn.Sequential(conv(c_in, c_out, 1, stride, bias=False), nn.GroupNorm(groups, c_out))
        self.downsample = shortcut if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.act(self.bn1(self.conv1(x)))
        return self.act(self.bn2(self.conv2(out)) + self.downsample(x))


def _layers(spatial_dims: int) -> tuple[Any, Any, Any]:
    """Convolution, max pooling and adaptive average pooling of so many dimensions."""
    if spatial_dims == 2:
        return nn.Conv2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d
    return nn.Conv3d, nn.MaxPool3d, nn.AdaptiveAvgPool3d
