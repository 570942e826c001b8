"""Mini ResNet and mini ViT: the published networks at full size, the same classes at laptop size."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification, ViTConfig, ViTForImageClassification

from medrepro.models.mini_resnet import RESNET_50, MiniResNet
from medrepro.models.mini_vit import VIT_B_16, MiniViT

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "ordinal.json").read_text())["networks"]
SMALL = {"resnet": lambda: MiniResNet(1, 10), "vit": lambda: MiniViT(1, 10, image_size=32, patch_size=8)}
PUBLISHED = {
    "torchvision resnet18": lambda: MiniResNet(3, 1000, **{**RESNET_50, "block": "basic", "layers": (2, 2, 2, 2)}),
    "torchvision resnet50": lambda: MiniResNet(3, 1000, **RESNET_50),
    "timm vit_base_patch16_224": lambda: MiniViT(3, 1000, **VIT_B_16),
    "timm deit_tiny_patch16_224": lambda: MiniViT(3, 1000, **{**VIT_B_16, "dim": 192, "heads": 3}),
}


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _count(model: nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_has_the_names_and_shapes_of_its_published_weights(name):
    with torch.device("meta"):
        model = PUBLISHED[name]()
    lines = sorted(f"{key} {tuple(value.shape)}" for key, value in model.state_dict().items())
    assert _count(model) == REFERENCE[name]["parameters"]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == REFERENCE[name]["digest"]


@pytest.mark.parametrize(("n", "millions"), [(3, 0.27), (5, 0.46), (7, 0.66), (9, 0.85), (18, 1.7)])
def test_the_cifar_networks_have_the_size_of_the_papers_table_6(n, millions):
    with torch.device("meta"):
        model = MiniResNet(3, 10, layers=(n, n, n))
    # The paper's shortcuts have no parameters on CIFAR (option A); the two projections here are left out of the count.
    projections = sum(weight.numel() for name, weight in model.named_parameters() if "downsample" in name)
    digits = 1 if millions > 1 else 2
    assert round((_count(model) - projections) / 1e6, digits) == millions


def test_vit_huge_has_the_632_million_parameters_of_the_papers_table_1():
    with torch.device("meta"):
        model = MiniViT(3, 1000, image_size=224, patch_size=14, dim=1280, depth=32, heads=16)
    assert round(_count(model) / 1e6) == 632


def test_a_residual_network_computes_what_transformers_computes_with_the_same_weights():
    config = ResNetConfig(
        num_channels=2, embedding_size=4, hidden_sizes=[16, 32], depths=[2, 1], layer_type="bottleneck", num_labels=3
    )
    theirs = ResNetForImageClassification(config).eval()
    ours = MiniResNet(
        2, 3, block="bottleneck", layers=(2, 1), widths=(4, 8), stem_kernel=7, stem_stride=2, stem_pool=True
    ).eval()
    _shuffle(theirs)
    _copy_in_order(theirs, ours)
    x = torch.randn(3, 2, 40, 40)
    torch.testing.assert_close(ours(x), theirs(x).logits, rtol=1e-4, atol=1e-5)


def test_a_vision_transformer_computes_what_transformers_computes_with_the_same_weights():
    config = ViTConfig(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48, image_size=16, patch_size=4,
        num_channels=2, num_labels=5, layer_norm_eps=1e-6,
    )  # fmt: skip
    theirs = ViTForImageClassification(config).eval()
    ours = MiniViT(2, 5, image_size=16, patch_size=4, dim=12, depth=2, heads=3).eval()
    _shuffle(theirs)
    state = theirs.state_dict()
    loaded = {
        "cls_token": state["vit.embeddings.cls_token"],
        "pos_embed": state["vit.embeddings.position_embeddings"],
    }
    for kind in ("weight", "bias"):
        loaded |= {f"{ours}.{kind}": state[f"{theirs}.{kind}"] for ours, theirs in _OUTER.items()}
        for i in range(2):
            theirs_layer, block = f"vit.layers.{i}", f"blocks.{i}"
            qkv = [state[f"{theirs_layer}.attention.{part}_proj.{kind}"] for part in "qkv"]
            loaded[f"{block}.attn.qkv.{kind}"] = torch.cat(qkv)
            loaded |= {f"{block}.{a}.{kind}": state[f"{theirs_layer}.{b}.{kind}"] for a, b in _LAYER.items()}
    ours.load_state_dict(loaded)
    x = torch.randn(3, 2, 16, 16)
    torch.testing.assert_close(ours(x), theirs(x).logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_gets_a_gradient(name):
    model = SMALL[name]()
    model(torch.randn(4, 1, 32, 32)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in model.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_a_prediction_does_not_depend_on_batch_neighbours(name):
    model = SMALL[name]().eval()
    x = torch.randn(5, 1, 32, 32)
    torch.testing.assert_close(model(x)[:1], model(x[:1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_half_precision_gives_nearly_the_same_outputs(name):
    model, x = SMALL[name]().eval(), torch.randn(4, 1, 32, 32)
    full = model(x)
    half = model.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert half.dtype == torch.bfloat16
    # bfloat16 keeps 8 bits: some 20 rounded layers stay within a few per cent of the outputs' own spread.
    assert (half.float() - full).abs().max() < 0.1 * full.std().clamp(min=0.1)


@pytest.mark.parametrize("name", SMALL)
def test_a_forward_pass_makes_no_tensor_on_another_device(name):
    """On the meta device a tensor made on the processor would be refused, as it would be on a GPU."""
    with torch.device("meta"):
        model, x = SMALL[name](), torch.empty(2, 1, 32, 32)
    assert model(x).shape == (2, 10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="not on this machine: no GPU")
@pytest.mark.parametrize("name", SMALL)
def test_a_gpu_gives_the_outputs_of_the_processor(name):
    model, x = SMALL[name]().eval(), torch.randn(4, 1, 32, 32)
    expected = model(x)
    torch.testing.assert_close(model.cuda()(x.cuda()).cpu(), expected, rtol=1e-2, atol=1e-2)


def test_both_take_volumes():
    x = torch.randn(2, 1, 16, 16, 16)
    assert MiniResNet(1, 5, spatial_dims=3)(x).shape == (2, 5)
    assert MiniViT(1, 5, image_size=16, patch_size=8, spatial_dims=3)(x).shape == (2, 5)


def test_a_residual_block_whose_last_norm_is_zero_is_the_identity():
    model = MiniResNet(1, 3, layers=(2,), widths=(8,)).eval()
    block = model.get_submodule("layer1.1")
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(2, 8, 5, 5)
    torch.testing.assert_close(block(x), x)


def test_group_normalisation_and_another_activation_replace_the_usual_ones():
    model = MiniResNet(1, 2, norm=lambda channels: nn.GroupNorm(4, channels), activation=nn.Mish)
    kinds = {type(module) for module in model.modules()}
    assert nn.GroupNorm in kinds
    assert nn.Mish in kinds
    assert not {nn.BatchNorm2d, nn.ReLU} & kinds


def test_without_positions_the_order_of_the_patches_does_not_matter():
    model = MiniViT(1, 4, image_size=8, patch_size=4).eval()
    nn.init.normal_(model.pos_embed, std=1.0)
    x = torch.randn(2, 1, 8, 8)
    turned = torch.cat([x[..., 4:], x[..., :4]], dim=-1)
    assert not torch.allclose(model(x), model(turned), atol=1e-3)
    nn.init.zeros_(model.pos_embed)
    torch.testing.assert_close(model(x), model(turned), rtol=1e-4, atol=1e-5)


def test_padding_by_three_leaves_fourteen_patches_a_side():
    with torch.device("meta"):
        model = MiniViT(1, 35, **VIT_B_16, padding=3)
        assert model.grid == (14, 14)
        assert model(torch.empty(1, 1, 224, 224)).shape == (1, 35)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MiniResNet(layers=(1, 1), widths=(8,)), "widths must hold one number a stage"),
        (lambda: MiniResNet(block="wide"), "block must be"),
        (lambda: MiniResNet(spatial_dims=1), "spatial_dims must be 2 or 3, got 1"),
        (lambda: MiniViT(spatial_dims=4), "spatial_dims must be 2 or 3, got 4"),
        (lambda: MiniViT(dim=10, heads=4), "dim must be a multiple of heads"),
        (lambda: MiniViT(image_size=8, patch_size=16), "patch_size must fit into image_size"),
        (lambda: MiniViT(image_size=(8, 8, 8)), "image_size must be one number"),
        (lambda: MiniViT(image_size=16)(torch.zeros(1, 1, 24, 24)), "x must be"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Our names, which are timm's, and those of transformers 5.
_OUTER = {
    "patch_embed.proj": "vit.embeddings.patch_embeddings.projection",
    "norm": "vit.layernorm",
    "head": "classifier",
}
_LAYER = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.o_proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


def _shuffle(model: nn.Module) -> None:
    """Random weights and statistics, so that nothing agrees because it is 0 or 1."""
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value) * 0.2)


def _copy_in_order(source: nn.Module, target: nn.Module) -> None:
    """Copy tensors between two models whose layers come in the same order, the shortcut's before or after its block."""

    def in_order(model: nn.Module) -> list[tuple[str, torch.Tensor]]:
        named = [(n, v) for n, v in model.state_dict().items() if "num_batches" not in n]
        shortcut = [(n, v) for n, v in named if "shortcut" in n or "downsample" in n]
        return [(n, v) for n, v in named if "shortcut" not in n and "downsample" not in n] + shortcut

    pairs = list(zip(in_order(source), in_order(target), strict=True))
    assert all(a.shape == b.shape for (_, a), (_, b) in pairs)
    for (_, value), (_, place) in pairs:
        place.copy_(value)
