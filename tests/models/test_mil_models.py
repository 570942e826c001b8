"""Aggregators of bags: what each must do whatever it learned, and its agreement with other implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from medrepro.models.abmil import ABMIL
from medrepro.models.ccan import CCAN, Attention
from medrepro.models.full_attention import FullAttentionMIL
from medrepro.models.perceiver import Perceiver
from medrepro.models.pooling import PooledMIL
from medrepro.models.transmil import PPEG, NystromAttention, TransMIL, iterative_pinv

HEADS = {"cross_heads": 2, "cross_dim_head": 8, "latent_heads": 2, "latent_dim_head": 8}
BUILD = {
    "ccan": lambda k=2: CCAN(6, k, n_stages=3, n_latents=8, latent_dim=16, **HEADS),
    "perceiver": lambda k=2: Perceiver(6, k, depth=2, n_latents=4, latent_dim=16, **HEADS),
    "abmil": lambda k=2: ABMIL(6, k, dim=16, attention_dim=8),
    "transmil": lambda k=2: TransMIL(6, k, dim=16, heads=2, n_landmarks=5),
    "mean": lambda k=2: PooledMIL(6, k, dim=16, pool="mean"),
    "max": lambda k=2: PooledMIL(6, k, dim=16, pool="max"),
    "full": lambda k=2: FullAttentionMIL(6, k, depth=2, dim=16, heads=2, dim_head=8),
}


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _padded(lengths: list[int], fill: float) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    bags = [torch.randn(n, 6) for n in lengths]
    features = torch.full((len(lengths), max(lengths), 6), fill)
    for row, bag in zip(features, bags, strict=True):
        row[: len(bag)] = bag
    return features, torch.arange(max(lengths)) < torch.tensor(lengths)[:, None], bags


@pytest.mark.parametrize("name", BUILD)
def test_masked_padding_and_batch_neighbours_do_not_change_a_prediction(name):
    model = BUILD[name]().eval()
    features, mask, bags = _padded([37, 5, 20, 1], fill=1e3)
    together = model(features, mask)
    for row, bag in zip(together, bags, strict=True):
        torch.testing.assert_close(row, model(bag[None])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", BUILD)
def test_every_trainable_parameter_gets_a_gradient(name):
    model = BUILD[name]().train()
    if name in ("ccan", "perceiver"):
        model.token_dropout = 0.0
    features, mask, _ = _padded([30, 12, 25], fill=0.0)
    model(features, mask).pow(2).sum().backward()
    silent = [key for key, weight in model.named_parameters() if weight.grad is None or not weight.grad.abs().max() > 0]
    assert silent == []


@pytest.mark.parametrize("name", BUILD)
def test_logits_have_one_row_per_stage_and_run_in_bfloat16(name):
    model = BUILD[name](3).eval().bfloat16()
    logits = model(torch.randn(2, 30, 6, dtype=torch.bfloat16), torch.ones(2, 30, dtype=torch.bool))
    assert logits.shape == (2, 3 if name == "ccan" else 1, 3)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", ["abmil", "mean", "max", "full"])
def test_aggregators_without_position_ignore_the_order_of_patches(name):
    model = BUILD[name]().eval()
    bag = torch.randn(1, 20, 6)
    torch.testing.assert_close(model(bag), model(bag[:, torch.randperm(20)]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["ccan", "perceiver", "transmil"])
def test_aggregators_with_position_see_the_order_of_patches(name):
    model = BUILD[name]().eval()
    bag = torch.randn(1, 20, 6)
    assert (model(bag) - model(bag.flip(1))).abs().max() > 1e-4


class _LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return made


def _largest(model: nn.Module, n: int, **options: bool) -> int:
    with _LargestTensor() as recorder:
        result = model(torch.randn(1, n, 6), **options)
        (result[0] if isinstance(result, tuple) else result).sum().backward()
    return recorder.elements


@pytest.mark.parametrize("name", ["ccan", "perceiver", "abmil", "transmil", "mean"])
def test_no_step_makes_a_tensor_of_patches_times_patches(name):
    model = BUILD[name]().train()
    small, large = _largest(model, 400), _largest(model, 1600)
    assert large < 1600 * 1600 / 8
    assert large <= 4.5 * small  # a square bag may be a little longer


def test_the_recorder_sees_the_matrix_of_full_self_attention():
    """Without this the test above could not fail."""
    attention = Attention(6, heads=2, dim_head=4)
    assert _largest(attention, 400, need_weights=True) == 2 * 400 * 400


def test_attention_agrees_with_torch_multihead_attention():
    """Our block against nn.MultiheadAttention with the same weights, masked, over another context."""
    dim, context_dim, heads, d = 12, 12, 3, 4
    ours = Attention(dim, heads, d, context_dim)
    theirs = nn.MultiheadAttention(dim, heads, bias=False, batch_first=True)
    theirs.in_proj_weight.data = torch.cat([ours.to_q.weight, ours.to_kv.weight])
    theirs.out_proj.weight.data = ours.to_out.weight
    ours.to_out.bias.data.zero_()
    x, context = torch.randn(2, 5, dim), torch.randn(2, 9, context_dim)
    mask = torch.arange(9) < torch.tensor([[9], [4]])
    read = ours.norm_context(context)
    expected, weights = theirs(ours.norm(x), read, read, key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, context, mask)[0], expected)
    explicit, recorded = ours(x, context, mask, need_weights=True)
    torch.testing.assert_close(explicit, expected)
    torch.testing.assert_close(recorded, weights)


def test_iterative_pinv_approaches_the_pseudo_inverse():
    a = torch.randn(3, 6, 6, dtype=torch.float64).softmax(dim=-1)
    torch.testing.assert_close(iterative_pinv(a, 40), torch.linalg.pinv(a), rtol=1e-6, atol=1e-6)


def test_pinv_of_one_matrix_does_not_depend_on_the_others():
    a = torch.rand(2, 5, 5)
    a[1] *= 1000
    torch.testing.assert_close(iterative_pinv(a)[0], iterative_pinv(a[:1])[0])


def test_nystrom_attention_with_a_landmark_for_every_token_is_full_attention():
    attention = NystromAttention(8, heads=2, n_landmarks=7, pinv_iterations=60).double()
    attention.residual.weight.data.zero_()
    attention.to_out = nn.Identity()
    x = torch.randn(1, 7, 8, dtype=torch.float64)
    q, k, v = (
        part.unflatten(-1, (2, -1)).transpose(1, 2) for part in attention.to_qkv(attention.norm(x)).chunk(3, dim=-1)
    )
    expected = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention(x, torch.ones(1, 7, dtype=torch.bool)), expected, rtol=1e-5, atol=1e-6)


def test_ppeg_of_a_full_square_is_the_sum_of_its_convolutions():
    ppeg = PPEG(4)
    x = torch.randn(1, 9, 4)
    image = x.transpose(1, 2).unflatten(2, (3, 3))
    expected = image + sum(convolution(image) for convolution in ppeg.convolutions)
    torch.testing.assert_close(ppeg(x, torch.tensor([3])), expected.flatten(2).transpose(1, 2), rtol=1e-5, atol=1e-5)


def test_gated_attention_is_equation_nine_of_ilse():
    model = BUILD["abmil"]().eval()
    bag = torch.randn(11, 6)
    w = {key: value.detach().numpy() for key, value in model.named_parameters()}
    h = np.maximum(bag.numpy() @ w["embed.0.weight"].T + w["embed.0.bias"], 0)
    tanh = np.tanh(h @ w["tanh_gate.weight"].T + w["tanh_gate.bias"])
    gate = 1 / (1 + np.exp(-(h @ w["sigmoid_gate.weight"].T + w["sigmoid_gate.bias"])))
    score = ((tanh * gate) @ w["score.weight"].T)[:, 0]
    a = np.exp(score) / np.exp(score).sum()
    expected = (a @ h) @ w["head.weight"].T + w["head.bias"]
    np.testing.assert_allclose(model(bag[None])[0, 0].detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.attention(bag[None])[0].numpy(), a, rtol=1e-4, atol=1e-6)


def test_attention_weights_of_padding_are_zero():
    model = BUILD["abmil"]()
    features, mask, _ = _padded([7, 3], fill=5.0)
    weights = model.attention(features, mask)
    assert (weights[~mask] == 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))


def test_an_unknown_pool_is_refused():
    with pytest.raises(ValueError, match="pool must be 'mean' or 'max', got 'sum'"):
        PooledMIL(6, pool="sum")
