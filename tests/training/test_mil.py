"""The training loop and its scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from medrepro.models.ccan import CCAN
from medrepro.stats import bootstrap_auroc
from medrepro.training.arms import ABLATIONS, ARMS, Size, make_arm, rates_of
from medrepro.training.bags import Bags, collect_bags
from medrepro.training.cost import count_operations, departure_from_line, local_slopes, measure_seconds
from medrepro.training.evaluation import bag_aucs, mean_over_units, mix_up, score_arms
from medrepro.training.mil import deep_supervision_loss, macro_auc, predict, stage_logits, train_mil

TINY = Size(16, n_stages=2, n_latents=4, cross_heads=2, cross_dim_head=8, latent_heads=2, latent_dim_head=8,
            self_per_cross=1, token_dropout=0.0)  # fmt: skip


def _needles(n: int, seed: int = 0) -> Bags:
    """Bags of noise; one patch of a positive bag is shifted."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    features = [rng.standard_normal((int(rng.integers(6, 12)), 5)) for _ in range(n)]
    for bag, label in zip(features, labels, strict=True):
        bag[int(rng.integers(len(bag)))] += 4.0 * label
    return collect_bags(features, labels)


@pytest.mark.parametrize("arm", ARMS)
def test_a_tiny_arm_overfits_eight_bags(arm):
    bags = _needles(8)
    fit = train_mil(make_arm(arm, 5, 1, TINY), bags, bags, lr=0.01, epochs=60, batch_size=8, seed=0)
    assert fit.losses[-1] < 0.5 * fit.losses[0]
    assert macro_auc(bags.labels, predict(fit.model, bags)) == 1.0


@pytest.mark.parametrize("arm", ["ccan", "transmil"])
def test_equal_seeds_give_equal_losses_and_other_seeds_others(arm):
    dropped = Size(**{**vars(TINY), "token_dropout": 0.5})
    bags = _needles(16)
    runs = [
        train_mil(make_arm(arm, 5, 1, dropped), bags, bags, lr=0.01, epochs=2, batch_size=4, seed=s) for s in (1, 1, 2)
    ]
    assert runs[0].losses == runs[1].losses != runs[2].losses


def test_training_leaves_the_global_random_state_alone():
    bags = _needles(8)
    before = torch.get_rng_state()
    train_mil(make_arm("ccan", 5, 1, TINY), bags, bags, lr=0.01, epochs=1, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_model_of_the_best_validation_epoch_is_kept():
    train, val = _needles(16), _needles(16, seed=1)
    fit = train_mil(make_arm("abmil", 5, 1, TINY), train, val, lr=0.05, epochs=12, batch_size=4, seed=0)
    assert macro_auc(val.labels, predict(fit.model, val)) == pytest.approx(fit.val_auc)
    shorter = train_mil(make_arm("abmil", 5, 1, TINY), train, val, lr=0.05, epochs=12, batch_size=4, seed=0)
    assert (shorter.epoch, shorter.val_auc) == (fit.epoch, fit.val_auc)
    assert not fit.model.training


def test_an_arm_with_less_data_gets_as_many_updates():
    counted = []

    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(5, 1))

        def forward(self, features, mask):
            if self.training:
                counted.append(len(features))
            return (features.sum(dim=1) @ self.weight).unsqueeze(1)

    for part in (_needles(16), _needles(16).subset(range(6))):
        counted.clear()
        train_mil(Counting, part, _needles(8), lr=0.1, epochs=2, steps_per_epoch=4, batch_size=4, seed=0)
        assert len(counted) in (8, 10)  # whole passes: 16 visits become 18 with six bags


def test_deep_supervision_sums_the_loss_of_all_stages():
    logits, labels = torch.randn(4, 3, 2), torch.randint(0, 2, (4, 2)).float()
    stages = [F.binary_cross_entropy_with_logits(logits[:, s], labels) for s in range(3)]
    torch.testing.assert_close(deep_supervision_loss(logits, labels), sum(stages))


def test_three_classes_are_one_against_the_rest_and_not_a_softmax():
    """The loss of one class does not depend on the logits of another."""
    logits = torch.randn(4, 1, 3, requires_grad=True)
    deep_supervision_loss(logits, torch.eye(3)[[0, 1, 2, 0]]).backward()
    expected = (torch.sigmoid(logits.detach()) - torch.eye(3)[[0, 1, 2, 0]][:, None]) / 12
    torch.testing.assert_close(logits.grad, expected)


def test_the_prediction_is_the_sigmoid_of_the_mean_logit_not_the_mean_probability():
    model = make_arm("ccan", 5, 1, TINY)()
    bags = _needles(6)
    logits = 30 * stage_logits(model, bags)
    model.head[1].weight.data *= 30
    model.head[1].bias.data *= 30
    np.testing.assert_allclose(predict(model, bags), 1 / (1 + np.exp(-logits.mean(axis=1))), rtol=1e-4)
    assert np.abs(predict(model, bags) - (1 / (1 + np.exp(-logits))).mean(axis=1)).max() > 1e-3


def test_a_validation_part_of_one_class_is_refused():
    bags = _needles(8)
    with pytest.raises(ValueError, match="val must hold both classes"):
        train_mil(make_arm("mean", 5, 1, TINY), bags, bags.subset([0, 2]), lr=0.01, epochs=1, seed=0)


def test_wrong_arms_rates_and_epochs_are_named():
    bags = _needles(4)
    with pytest.raises(ValueError, match=r"arm must be one of .* got 'lstm'"):
        make_arm("lstm", 5, 1, TINY)
    with pytest.raises(ValueError, match="lr must hold one rate, or one for each"):
        rates_of(("ccan", "mean"), (0.1, 0.2, 0.3))
    with pytest.raises(ValueError, match="epochs must be >= 1, got 0"):
        train_mil(make_arm("mean", 5, 1, TINY), bags, bags, lr=0.1, epochs=0, seed=0)
    assert rates_of(("ccan", "mean"), (0.1,)) == {"ccan": 0.1, "mean": 0.1}


def test_each_ablation_takes_something_away():
    full = make_arm("ccan", 5, 1, TINY)()
    for title, change in ABLATIONS.items():
        model = make_arm("ccan", 5, 1, Size(**{**vars(TINY), "token_dropout": 0.5}), **change)()
        fewer = sum(w.numel() for w in model.parameters()) < sum(w.numel() for w in full.parameters())
        removed = {
            "no deep supervision": not model.deep_supervision,
            "no look-back": fewer,
            "no token dropout": model.token_dropout == 0,
            "single stage": fewer and len(model.stages) == 1,
        }
        assert removed[title], title


@pytest.mark.parametrize("arm", ["ccan", "perceiver", "abmil", "mean"])
def test_counted_operations_are_an_exact_straight_line_in_the_number_of_patches(arm):
    n = [256, 1024, 4096, 65536]
    assert departure_from_line(n, [count_operations(make_arm(arm, 5, 1, TINY), k, 5) for k in n]) < 1e-9


def test_full_self_attention_is_counted_as_quadratic():
    n = [65536, 262144]
    counted = [count_operations(make_arm("full", 5, 1, TINY), k, 5) for k in n]
    assert local_slopes(n, counted)[0] > 1.9
    assert departure_from_line([1024, *n], [count_operations(make_arm("full", 5, 1, TINY), 1024, 5), *counted]) > 1


def test_the_counter_agrees_with_a_hand_count():
    """A linear layer on n tokens: 2 n C D forward, as much for its weights, nothing for the data."""
    linear = torch.nn.Linear(5, 7, bias=False)
    assert count_operations(lambda: torch.nn.Linear(5, 7, bias=False), 11, 5) == 2 * 2 * 11 * 5 * 7
    assert linear.weight.device.type == "cpu"


def test_local_slopes_of_powers():
    np.testing.assert_allclose(local_slopes([1, 10, 1000], [2, 20, 20000]), [1, 1.5])


def test_measured_seconds_are_one_number_a_length():
    seconds = measure_seconds(make_arm("ccan", 5, 1, TINY), [32, 64], 5, repeats=1, seed=0)
    assert seconds.shape == (2,)
    assert (seconds > 0).all()


def test_arms_are_scored_as_the_bootstrap_of_each_and_differences_are_paired():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80)
    scores = rng.standard_normal((2, 80)) + y
    units = np.repeat(np.arange(40), 2)
    found = score_arms(y[:, None], {"a": scores[0], "b": scores[1]}, units=units, unit="block", n_boot=200, seed=1)
    expected = bootstrap_auroc(y, scores, units=units, n_boot=200, seed=1)
    for ours, theirs in ((found.auc("a"), expected.estimate(0)), (found.difference("a", "b"), expected.compare(0, 1))):
        reference = getattr(theirs, "difference", theirs)
        assert (ours.value, ours.low, ours.high) == pytest.approx((reference.value, reference.low, reference.high))
    assert (found.auc("a").n, found.auc("a").unit) == (40, "block")
    with pytest.raises(ValueError, match="arm must be one of a, b, got 'c'"):
        found.auc("c")


def test_several_labels_are_averaged():
    rng = np.random.default_rng(0)
    y = np.eye(3)[rng.integers(0, 3, 90)]
    scores = rng.standard_normal((90, 3)) + y
    found = score_arms(y, {"a": scores}, units=np.arange(90), unit="slide", n_boot=50, seed=0)
    assert found.auc("a").value == pytest.approx(macro_auc(y, scores))


def test_a_mixed_up_arm_loses_as_much_as_its_formula_says():
    """A mixed-up score comes from either class: such a pair is worth (A + 1/2) / 2, and 1/2 when both are mixed up."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 40_000)
    scores = rng.standard_normal(40_000) + 1.5 * y
    before, after = (macro_auc(y[:, None], s[:, None]) for s in (scores, mix_up(scores, 0.25, seed=1)))
    assert after == pytest.approx(0.75 * before + 0.25 / 2, abs=0.01)
    assert (mix_up(scores, 0.25, seed=1) != scores).mean() == pytest.approx(0.25, abs=1e-3)


def test_heat_maps_are_scored_bag_by_bag_and_bags_without_evidence_are_left_out():
    evidence = [np.array([True, False, False]), np.array([False, False]), np.array([True, True, False])]
    found = bag_aucs([[0.9, 0.1, 0.2], [0.5, 0.5], [0.1, 0.3, 0.2]], evidence)
    np.testing.assert_allclose(found, [1.0, np.nan, 0.5])
    estimate = mean_over_units(found, units=np.arange(3), unit="slide", n_boot=100, seed=0)
    assert (estimate.value, estimate.n, estimate.unit) == (0.75, 2, "slide")


def test_the_paper_size_is_ccans_default():
    default = Size(latent_dim=512, n_stages=6, n_latents=128, self_per_cross=2)
    with torch.device("meta"):
        ours, paper = make_arm("ccan", 2048, 1, default)(), CCAN(2048, 1)
    assert [(k, w.shape) for k, w in ours.named_parameters()] == [(k, w.shape) for k, w in paper.named_parameters()]
    assert ours.token_dropout == paper.token_dropout == 0.9
