"""ResNet9 with group norm: the published network, and no layer that mixes examples."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from opacus.validators import ModuleValidator
from torch import nn

from medrepro.models.resnet9 import ResNet9

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "resnet9.json").read_text())


def small(dims: int = 2, **changes) -> ResNet9:
    torch.manual_seed(0)
    return ResNet9(2, **{"in_channels": 1, "width": 8, "groups": 4, "spatial_dims": dims, **changes})


def images(n: int, dims: int = 2) -> torch.Tensor:
    return torch.randn(n, 1, *[24 if dims == 2 else 12] * dims, generator=torch.Generator().manual_seed(1))


def test_the_published_size_has_torchvisions_weights_by_name_and_shape():
    with torch.device("meta"):
        model = ResNet9(8)
    shapes = {name: list(weight.shape) for name, weight in model.named_parameters()}
    assert shapes == REFERENCE["shapes"]
    assert sum(math.prod(shape) for shape in shapes.values()) == REFERENCE["n_weights"] == 4_909_896


def test_with_equal_weights_the_logits_are_torchvisions():
    model = ResNet9(8)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            place = torch.arange(weight.numel(), dtype=torch.float64)
            wave = torch.sin(0.37 * place + len(name)) / math.sqrt(weight[0].numel() if weight.ndim > 1 else 1)
            weight.copy_(wave.reshape(weight.shape))
        place = torch.arange(2 * 3 * 64 * 64, dtype=torch.float64)
        made = torch.sin(0.011 * place + 0.5).reshape(2, 3, 64, 64).float()
        logits = model.double()(made.double())
    torch.testing.assert_close(logits, torch.tensor(REFERENCE["logits"], dtype=torch.float64), rtol=1e-8, atol=1e-8)


def test_three_dimensions_only_add_depth_to_the_kernels():
    with torch.device("meta"):
        flat, deep = ResNet9(8), ResNet9(8, spatial_dims=3)
    for (name, two), (_, three) in zip(flat.named_parameters(), deep.named_parameters(), strict=True):
        assert three.numel() == two.numel() * (two.shape[-1] if two.ndim == 4 else 1), name


@pytest.mark.parametrize("dims", [2, 3])
def test_no_layer_mixes_examples(dims):
    """The output of an example, and its gradient, do not depend on who else is in the batch."""
    model, batch = small(dims).double(), images(4, dims).double()
    together = model(batch)
    for i in range(4):
        alone = model(batch[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)
    weights = list(model.parameters())
    of_first = torch.autograd.grad(together[0].sum(), weights)
    torch.testing.assert_close(of_first, torch.autograd.grad(model(batch[:1]).sum(), weights))


def test_batch_norm_in_its_place_would_mix_them():
    """The test above can fail."""
    model, batch = small().double(), images(4).double()
    model.bn1 = nn.BatchNorm2d(8).double()
    assert not torch.allclose(model(batch)[:1], model(batch[:1]))


@pytest.mark.parametrize("dims", [2, 3])
def test_opacus_finds_nothing_to_object_to(dims):
    assert ModuleValidator.validate(small(dims).train(), strict=False) == []


@pytest.mark.parametrize(("stride", "side"), [(1, 24), (2, 12), (4, 6)])
def test_the_stem_shrinks_the_image_by_its_stride(stride, side):
    model, seen = small(stem_stride=stride), []
    model.layer1.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape))
    assert model(images(2)).shape == (2, 2)
    assert seen[0] == (2, 8, side, side)
    assert model.features(images(2)).shape == (2, 64)


def test_every_weight_gets_a_gradient_and_the_activation_is_mish():
    model = small()
    model(images(2)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.parameters())
    assert not any(isinstance(layer, nn.ReLU) for layer in model.modules())
    assert not any(isinstance(layer, nn.Mish) for layer in small(activation="relu").modules())


def test_half_precision_runs():
    logits = small().bfloat16()(images(2).bfloat16())
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float(), small()(images(2)), atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": 3}, "width must be a multiple of groups, got width 8 and groups 3"),
        ({"stem_stride": 3}, "stem_stride must be 1, 2 or 4, got 3"),
        ({"spatial_dims": 1}, "spatial_dims must be 2 or 3, got 1"),
        ({"activation": "gelu"}, "activation must be one of mish, relu, got 'gelu'"),
        ({"kernel": 4}, "kernel must be odd, got 4"),
    ],
)
def test_sizes_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        ResNet9(1, **{"width": 8, "groups": 4, **changes})
