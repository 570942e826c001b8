"""CCAN: cascade, look-back, shared head, token dropout and mask are really there, and can be removed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medrepro.models.ccan import CCAN, Stage, StageAttention, fourier_position, look_back_map, rollout_map

HEADS = {"cross_heads": 2, "cross_dim_head": 8, "latent_heads": 2, "latent_dim_head": 8}


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def _ccan(**changes) -> CCAN:
    return CCAN(**{"in_features": 6, "n_stages": 3, "n_latents": 8, "latent_dim": 16, **HEADS, **changes})


def test_each_stage_has_its_own_halved_latents_and_cls_token_and_all_share_one_head():
    model = CCAN(32, n_stages=6, n_latents=128, latent_dim=16, **HEADS)
    assert [len(stage.latents) for stage in model.stages] == [128, 64, 32, 16, 8, 4]
    own = [(stage.cls.data_ptr(), stage.cls_position.data_ptr()) for stage in model.stages]
    assert len({pointer for pair in own for pointer in pair}) == 12
    heads = [key for key, _ in model.named_parameters() if key.startswith("head.")]
    assert heads == ["head.0.weight", "head.0.bias", "head.1.weight", "head.1.bias"]


def _attention(dim: int, inner: int, context: int | None = None) -> int:
    norms = 2 * dim + (2 * context if context else 0)
    return norms + dim * inner + (context or dim) * 2 * inner + inner * dim + dim


def _feed_forward(dim: int) -> int:
    return 2 * dim + (dim + 1) * 8 * dim + (4 * dim + 1) * dim


def test_the_papers_size_has_as_many_parameters_as_its_formula():
    """Counted by hand from the settings of the authors' commands, on the meta device."""
    with torch.device("meta"):
        model = CCAN(2048, 1)
    d, token = 512, 2048 + 13
    blocks = 2 * (_attention(d, 4 * 32) + _feed_forward(d))
    expected = 2 * d + (d + 1)  # the head
    for i in range(6):
        expected += (128 // 2**i + 2) * d
        for context in (token if i == 0 else d, token):  # reading, looking back
            expected += _attention(d, 3 * 64, context) + _feed_forward(d) + blocks
    assert sum(weight.numel() for weight in model.parameters()) == expected == 128_848_695


def test_three_classes_get_three_logits_of_every_stage():
    assert _ccan(n_outputs=3).eval()(torch.randn(2, 20, 6)).shape == (2, 3, 3)


def test_position_code_has_thirteen_channels_from_minus_one_to_one():
    code = fourier_position(torch.ones(1, 5, dtype=torch.bool))
    assert code.shape == (1, 5, 13)
    np.testing.assert_allclose(code[0, :, -1], [-1, -0.5, 0, 0.5, 1])
    scales = np.linspace(1, 5, 6)
    np.testing.assert_allclose(code[0, 1, :6], np.sin(np.pi * -0.5 * scales), atol=1e-6)
    np.testing.assert_allclose(code[0, 1, 6:12], np.cos(np.pi * -0.5 * scales), atol=1e-6)


def test_position_code_of_a_bag_does_not_depend_on_what_it_is_padded_to():
    alone = fourier_position(torch.ones(1, 7, dtype=torch.bool))
    padded = fourier_position(torch.arange(40)[None] < 7)
    torch.testing.assert_close(padded[:, :7], alone)


def test_position_code_of_a_single_patch_is_finite():
    assert torch.isfinite(fourier_position(torch.ones(1, 1, dtype=torch.bool))).all()


def test_without_the_mask_a_prediction_depends_on_its_batch_neighbours():
    """What the authors' code does; the switch must really switch."""
    bag = torch.randn(1, 10, 6)
    padded = torch.cat([bag, torch.zeros(1, 30, 6)], dim=1)
    mask = torch.arange(40)[None] < 10
    unmasked, masked = _ccan(use_mask=False).eval(), _ccan(use_mask=True).eval()
    assert (unmasked(padded, mask) - unmasked(bag)).abs().max() > 1e-3
    torch.testing.assert_close(masked(padded, mask), masked(bag), rtol=1e-4, atol=1e-5)


def test_token_dropout_hits_features_and_position_code_element_by_element_and_rescales():
    model = _ccan(token_dropout=0.9).train()
    features = torch.ones(4, 500, 6)
    dropped, _ = model._tokens(features, None)
    kept = dropped != 0
    for part in (kept[..., :6], kept[..., 6:-1]):  # the last channel, the position, is 0 in the middle anyway
        assert part.float().mean().item() == pytest.approx(0.1, abs=0.02)
        assert part.float().mean(dim=-1).std() > 0  # not whole tokens at once
    np.testing.assert_allclose(dropped[..., :6][kept[..., :6]].numpy(), 10.0, rtol=1e-5)


def test_token_dropout_is_off_at_test():
    model = _ccan(token_dropout=0.9).eval()
    features = torch.randn(2, 20, 6)
    torch.testing.assert_close(model._tokens(features, None)[0][..., :6], features)


def test_no_token_dropout_makes_training_and_test_equal():
    model = _ccan(token_dropout=0.0)
    features = torch.randn(2, 20, 6)
    torch.testing.assert_close(model.train()(features), model.eval()(features))


def test_without_deep_supervision_only_the_last_stage_speaks():
    deep = _ccan().eval()
    last = _ccan(deep_supervision=False).eval()
    last.load_state_dict(deep.state_dict())
    features = torch.randn(2, 20, 6)
    torch.testing.assert_close(last(features), deep(features)[:, -1:])


def test_without_look_back_later_stages_never_see_the_patches():
    """Gradient of the last stage with respect to the patches, the way through earlier latents cut."""
    features = torch.randn(1, 20, 6)
    for look_back, reaches in ((True, True), (False, False)):
        model = _ccan(look_back=look_back).eval()
        tokens, mask = model._tokens(features, None)
        tokens.requires_grad_()
        context = torch.randn(1, 4, 16)  # stands for the latents of the stage before
        x, _ = model.stages[2](context, None, tokens, mask)
        grad = torch.autograd.grad(x.sum(), tokens, allow_unused=True)[0]
        assert (grad is not None and grad.abs().max().item() > 0) == reaches
        assert any("look_back" in key for key, _ in model.named_parameters()) == look_back


def test_every_stage_looks_back_at_the_patches():
    model = _ccan().eval()
    features = torch.randn(1, 20, 6)
    recorded = model.record_attention(features)
    assert [stage.look_back[0].shape[-1] for stage in recorded] == [20, 20, 20]
    assert [stage.read[0].shape[-1] for stage in recorded] == [20, 8, 4]  # patches, then ever fewer latents


def test_the_skip_adds_the_mean_pooled_context_to_the_latents_and_nothing_to_cls():
    stage = Stage(4, 16, 16, 19, skip=2, look_back=False, self_per_cross=1, **HEADS)
    context, tokens = torch.randn(2, 8, 16), torch.randn(2, 5, 19)
    with_skip, _ = stage(context, None, tokens, None)
    stage.skip = 0
    without, _ = stage(context, None, tokens, None)
    added = with_skip - without
    torch.testing.assert_close(added[:, 0], torch.zeros(2, 16))
    torch.testing.assert_close(added[:, 1:], (context[:, 0::2] + context[:, 1::2]) / 2, rtol=1e-4, atol=1e-5)


def test_latents_that_cannot_be_halved_often_enough_are_refused():
    with pytest.raises(ValueError, match=r"n_latents must be divisible by .* = 2\^5, got 48"):
        CCAN(6, n_latents=48)


def test_recording_attention_changes_neither_prediction_nor_mode():
    model = _ccan().train()
    features = torch.randn(1, 20, 6)
    model.record_attention(features)
    assert model.training
    fused = model.eval()(features)
    tokens, mask = model._tokens(features, None)
    explicit = torch.stack([model.head(x[:, 0]) for x, _ in model._cascade(tokens, mask, need_weights=True)], dim=1)
    torch.testing.assert_close(explicit, fused, rtol=1e-4, atol=1e-5)


def _rows(*shape: int) -> torch.Tensor:
    return torch.rand(shape).softmax(dim=-1)


def test_look_back_map_follows_cls_from_the_last_layer_to_the_patches():
    """By hand for one stage: row CLS of (second self-attention) (first self-attention) (cross-attention)."""
    cross, first, second = _rows(1, 3, 6), _rows(1, 3, 3), _rows(1, 3, 3)
    found = look_back_map([StageAttention([], [cross, first, second])], torch.ones(1, 6, dtype=torch.bool))
    row = (second[0].numpy() @ first[0].numpy() @ cross[0].numpy())[0]
    np.testing.assert_allclose(found[0], (row - row.min()) / (row.max() - row.min()), rtol=1e-4, atol=1e-5)


def test_rollout_map_by_hand_for_two_stages():
    a0, s0, b0 = _rows(1, 3, 5), _rows(1, 3, 3), _rows(1, 3, 5)  # two latents and CLS, five patches
    a1, s1, b1 = _rows(1, 2, 2), _rows(1, 2, 2), _rows(1, 2, 5)  # one latent and CLS
    recorded = [StageAttention([a0, s0], [b0]), StageAttention([a1, s1], [b1])]
    found = rollout_map(recorded, torch.ones(1, 5, dtype=torch.bool))[0].numpy()
    a0, s0, b0, a1, s1, b1 = (x[0].numpy() for x in (a0, s0, b0, a1, s1, b1))
    r = a0 / 2
    r = (r + s0 @ r) / 2
    r = (r + b0) / 2
    before = r[1:]
    r = a1 @ before / 2
    r = (r + s1 @ r) / 2
    r[1:] = (r[1:] + before.mean(axis=0)) / 2
    r = (r + b1) / 2
    np.testing.assert_allclose(found, r[0] / r[0].sum(), rtol=1e-4, atol=1e-6)


def test_heat_maps_leave_padding_at_zero_and_do_not_depend_on_it():
    model = _ccan().eval()
    bag = torch.randn(1, 9, 6)
    padded = torch.cat([bag, torch.full((1, 11, 6), 7.0)], dim=1)
    mask = torch.arange(20)[None] < 9
    whole = torch.ones(1, 9, dtype=torch.bool)
    for draw in (look_back_map, rollout_map):
        found = draw(model.record_attention(padded, mask), mask)
        assert (found[:, 9:] == 0).all()
        torch.testing.assert_close(found[:, :9], draw(model.record_attention(bag, whole), whole), rtol=1e-3, atol=1e-5)


def test_look_back_map_needs_a_look_back():
    recorded = _ccan(look_back=False).record_attention(torch.randn(1, 9, 6))
    with pytest.raises(ValueError, match="needs a model with look_back=True"):
        look_back_map(recorded, torch.ones(1, 9, dtype=torch.bool))
    assert torch.isfinite(rollout_map(recorded, torch.ones(1, 9, dtype=torch.bool))).all()
