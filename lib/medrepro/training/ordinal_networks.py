"""The two kinds of network of the severity chapter by name, at the sizes of its presets, and published weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..models.mini_resnet import RESNET_50, MiniResNet
from ..models.mini_vit import VIT_B_16, MiniViT

NETWORKS = {"resnet_s": "small ResNet", "vit_s": "small ViT", "resnet50": "ResNet50", "vit_b16": "ViT-B/16"}
_HEADS = ("fc.", "head.")
_FIRST = ("conv1.weight", "patch_embed.proj.weight")


def make_network(
    name: str,
    *,
    in_channels: int = 1,
    image_size: int = 32,
    patch_size: int = 8,
    spatial_dims: int = 2,
    weights: Mapping[str, Tensor] | None = None,
) -> Callable[[int], nn.Module]:
    """A function that builds network `name` with so many outputs.

    resnet_s: three stages of one block, 16 to 64 channels, the stem of stride 2 (77 thousand parameters).
    vit_s: three layers of width 64 on patches of `patch_size` (0.15 to 0.2 million), with positions as large as the
    patches from the start: at 0.02 it has not learnt after 100 steps which side a finding is on. resnet50, vit_b16:
    published sizes; the authors' ViT pads the image by 3 pixels, which leaves 14 x 14 patches, and so does this one.
    weights: published parameters for a fresh model, see `load_pretrained`.
    Raises ValueError for an unknown name.
    """
    shape: dict[str, Any] = {"spatial_dims": spatial_dims}
    builders: dict[str, Callable[[int], nn.Module]] = {
        "resnet_s": lambda n: MiniResNet(in_channels, n, stem_stride=2, **shape),
        "vit_s": lambda n: MiniViT(
            in_channels, n, image_size=image_size, patch_size=patch_size, position_std=0.5, **shape
        ),
        "resnet50": lambda n: MiniResNet(in_channels, n, **RESNET_50, **shape),
        "vit_b16": lambda n: MiniViT(in_channels, n, **{**VIT_B_16, "image_size": image_size}, padding=3, **shape),
    }
    if name not in builders:
        raise ValueError(f"network must be one of {', '.join(NETWORKS)}, got {name!r}")
    build = builders[name]
    return build if weights is None else lambda n: load_pretrained(build(n), weights)


def load_pretrained(model: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """The model with published weights in all but its head, which stays new.

    weights: tensors by the names of torchvision's ResNet or timm's ViT. Where they are for other input channels, the
    first layer becomes the mean over its channels, repeated and divided by their number: an image whose channels are
    all the same gives what its grey image gave. (The authors take the mean without dividing, for one channel, where it
    is the same, and leave the patch embedding's bias at random; here the bias is loaded.)
    Raises ValueError naming the first parameter that is missing, superfluous or of another shape.
    """
    state = model.state_dict()
    given = {key: value for key, value in weights.items() if not key.startswith(_HEADS)}
    for key in _FIRST:
        if key in given and key in state and given[key].shape[1] != state[key].shape[1]:
            channels = state[key].shape[1]
            mean = given[key].mean(dim=1, keepdim=True)
            given[key] = torch.cat([mean / channels] * channels, dim=1)
    wanted = {key for key in state if not key.startswith(_HEADS)}
    for what, keys in (("lack", wanted - set(given)), ("hold an unknown", set(given) - wanted)):
        if keys:
            raise ValueError(f"weights {what} parameter {min(keys)!r} ({len(keys)} such)")
    for key, value in given.items():
        if value.shape != state[key].shape:
            raise ValueError(f"weights[{key!r}] must have shape {tuple(state[key].shape)}, got {tuple(value.shape)}")
    model.load_state_dict({**state, **given})
    return model
