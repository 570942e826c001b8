"""DP-SGD: clipping, noise, sampling, budget, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from medrepro.models.resnet9 import ResNet9
from medrepro.stats import privacy
from medrepro.training import dp_sgd
from medrepro.training.dp_sgd import train_private
from medrepro.training.examples import Examples
from medrepro.training.multilabel import class_weights, example_loss, predict_logits, seeded_model, train_ordinary
from medrepro.training.privacy_budget import find_noise, group_privacy
from medrepro.training.secure_noise import SystemPoissonSampler, gaussian, uniform

N = 40
SETTINGS = {"epsilon": math.inf, "delta": 1e-3, "clip": 0.5, "sample_rate": 0.25, "steps": 3, "lr": 0.1, "seed": 0}


def table(n: int = N, k: int = 2, d: int = 3, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    return Examples(
        torch.from_numpy(rng.standard_normal((n, d)).astype(np.float32)), rng.integers(0, 2, (n, k)), np.arange(n)
    )


def linear(d: int = 3, k: int = 2) -> nn.Module:
    return seeded_model(lambda: nn.Linear(d, k), 0)


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([w.detach().flatten() for w in model.parameters()])


def sgd(*args, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(*args, lr=lr, weight_decay=weight_decay)


def by_hand(
    model: nn.Module, data: Examples, rows: list[list[int]], clip: float, expected: float, lr: float
) -> torch.Tensor:
    """Weights after clipped updates on given batches, example by example."""
    theta = list(model.parameters())
    for batch in rows:
        total = [torch.zeros_like(w) for w in theta]
        for i in batch:
            x, y = data.__getitems__([i])
            grads = torch.autograd.grad(example_loss(model(x), y).sum(), theta)
            norm = torch.sqrt(sum(g.square().sum() for g in grads))
            total = [t + g * min(1.0, clip / (float(norm) + 1e-6)) for t, g in zip(total, grads, strict=True)]
        with torch.no_grad():
            for w, t in zip(theta, total, strict=True):
                w -= lr * t / expected
    return weights(model)


def batches_of(monkeypatch) -> list[list[int]]:
    """Row numbers of the batches that the next training draws."""
    seen: list[list[int]] = []
    original = dp_sgd.UniformWithReplacementSampler.__iter__

    def spy(self):
        for rows in original(self):
            seen.append(rows)
            yield rows

    monkeypatch.setattr(dp_sgd.UniformWithReplacementSampler, "__iter__", spy)
    return seen


@pytest.mark.parametrize("physical", [256, 3])
def test_without_noise_it_is_hand_written_clipping_also_in_pieces(monkeypatch, physical):
    rows = batches_of(monkeypatch)
    fit = train_private(linear(), table(), **SETTINGS, optimiser=sgd, physical_batch=physical)
    expected = by_hand(linear(), table(), rows, clip=0.5, expected=0.25 * N, lr=0.1)
    torch.testing.assert_close(weights(fit.model), expected, rtol=1e-5, atol=1e-6)
    assert 0 < fit.trace["clipped"].mean() < 1  # both kinds of gradient were there
    assert list(fit.trace["batch"]) == [len(batch) for batch in rows]


def test_a_large_clip_and_every_example_give_an_ordinary_step():
    settings = {**SETTINGS, "clip": 1e6, "sample_rate": 1.0, "steps": 1}
    fit = train_private(linear(), table(), **settings, optimiser=sgd)
    ordinary = train_ordinary(linear(), table(), epochs=1, batch_size=N, lr=0.1, optimiser=sgd, seed=0)
    torch.testing.assert_close(weights(fit.model), weights(ordinary.model), rtol=1e-5, atol=1e-6)


def test_no_example_moves_the_sum_by_more_than_the_clip():
    """Neighbouring data: with one example more the clipped sum moves by at most C, and by C where it is clipped."""
    data, clip = table(), 0.1
    moved = []
    for i in range(6):
        one = train_private(linear(), data, **{**SETTINGS, "clip": clip, "sample_rate": 1.0, "steps": 1}, optimiser=sgd)
        less = data.subset(np.arange(N) != i)
        # The expected batch is public and shrinks with n: take it out.
        two = train_private(linear(), less, **{**SETTINGS, "clip": clip, "sample_rate": 1.0, "steps": 1}, optimiser=sgd)
        start = weights(linear())
        moved.append(
            float(((start - weights(one.model)) * N / 0.1 - (start - weights(two.model)) * (N - 1) / 0.1).norm())
        )
    assert max(moved) <= clip * (1 + 1e-3)
    assert max(moved) > 0.99 * clip


@pytest.mark.parametrize("rate", [0.25, 1e-9])
def test_noise_has_standard_deviation_sigma_c_also_on_empty_batches(rate):
    """Two runs of one step that share their batch differ by the noise alone; its spread within 4 standard errors."""
    wide = nn.Linear(100, 50)
    data = table(k=50, d=100)
    settings = {**SETTINGS, "sample_rate": rate, "steps": 1, "epsilon": 2.0}
    noisy = train_private(wide, data, **settings, optimiser=sgd)
    plain = train_private(wide, data, **{**settings, "epsilon": math.inf}, optimiser=sgd)
    noise = (weights(plain.model) - weights(noisy.model)).double() * rate * N / 0.1
    wanted = noisy.noise_multiplier * 0.5
    assert abs(float(noise.std()) - wanted) < 4 * wanted / math.sqrt(2 * noise.numel())
    assert abs(float(noise.mean())) < 4 * wanted / math.sqrt(noise.numel())
    assert noisy.trace["batch"].tolist() == plain.trace["batch"].tolist()
    assert (rate > 0.01) == (noisy.trace["batch"][0] > 0)


def test_batches_are_poisson_samples(monkeypatch):
    """Sizes have the mean and the variance of a binomial, and every example its share; within 4 standard errors."""
    rows, steps, q = batches_of(monkeypatch), 600, 0.2
    train_private(linear(), table(), **{**SETTINGS, "sample_rate": q, "steps": steps})
    sizes = np.array([len(batch) for batch in rows])
    variance = N * q * (1 - q)
    assert abs(sizes.mean() - N * q) < 4 * math.sqrt(variance / steps)
    assert abs(sizes.var(ddof=1) - variance) < 4 * variance * math.sqrt(2 / steps)
    share = np.bincount(np.concatenate(rows).astype(int), minlength=N) / steps
    assert np.abs(share - q).max() < 4 * math.sqrt(q * (1 - q) / steps)


def test_equal_seeds_give_equal_weights_and_other_seeds_others():
    runs = [train_private(linear(), table(), **{**SETTINGS, "epsilon": 3.0, "seed": s}) for s in (1, 1, 2)]
    assert torch.equal(weights(runs[0].model), weights(runs[1].model))
    assert not torch.equal(weights(runs[0].model), weights(runs[2].model))


def test_the_model_given_and_the_global_random_state_are_left_alone():
    model, state = linear(), torch.get_rng_state()
    before = weights(model).clone()
    fit = train_private(model, table(), **{**SETTINGS, "epsilon": 3.0})
    assert torch.equal(weights(model), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert not fit.model.training
    assert not any(hasattr(w, "grad_sample") for w in fit.model.parameters())


def test_the_budget_is_kept_by_both_accountants_and_nearly_used_up():
    for accountant in ("rdp", "prv"):
        sigma = find_noise(2.0, 1e-5, 0.01, 300, accountant)
        spent = privacy.epsilon(sigma, 0.01, 300, 1e-5)
        assert 1.97 <= getattr(spent, accountant) <= 2.0
    assert find_noise(2.0, 1e-5, 0.01, 300, "prv") < find_noise(2.0, 1e-5, 0.01, 300, "rdp")
    assert find_noise(math.inf, 1e-5, 0.01, 300) == 0


def test_the_result_says_what_was_spent_and_that_a_seed_breaks_the_guarantee():
    fit = train_private(linear(), table(), **{**SETTINGS, "epsilon": 3.0}, keep_at=(1, 3))
    assert fit.spent.rdp <= 3.0
    assert (fit.steps, fit.expected_batch, fit.n_weights, fit.most_per_unit) == (3, 10.0, 8, 1)
    assert "no guarantee" in fit.note
    assert not fit.guarantee
    assert set(fit.checkpoints) == {1, 3}
    assert torch.equal(fit.checkpoints[3]["weight"], fit.model.weight)
    plain = train_private(linear(), table(), **SETTINGS)
    assert math.isinf(plain.spent.rdp)
    assert plain.note == "no noise: no guarantee"


def test_secure_training_takes_no_seed_records_nothing_and_never_repeats():
    settings = {**SETTINGS, "epsilon": 3.0, "seed": None}
    one, two = (train_private(linear(), table(), **settings, secure=True) for _ in range(2))
    assert one.guarantee
    assert one.trace.empty
    assert not torch.equal(weights(one.model), weights(two.model))
    with pytest.raises(ValueError, match="secure=True must not have a seed, got 0"):
        train_private(linear(), table(), **SETTINGS, secure=True)
    with pytest.raises(ValueError, match="seed must be given, or secure=True"):
        train_private(linear(), table(), **settings)


def test_system_noise_is_standard_normal_and_system_batches_are_poisson():
    n = 200_000
    noise = gaussian(n)
    assert abs(noise.mean()) < 4.5 / math.sqrt(n)
    assert abs(noise.std() - 1) < 4.5 / math.sqrt(2 * n)
    assert abs((noise**4).mean() - 3) < 4.5 * math.sqrt(96 / n)
    assert abs((np.abs(noise) > 1.959964).mean() - 0.05) < 4.5 * math.sqrt(0.05 * 0.95 / n)
    drawn = uniform(n)
    assert drawn.min() > 0
    assert drawn.max() <= 1
    sizes = np.array([len(batch) for batch in SystemPoissonSampler(50, 0.3, 2000)])
    assert abs(sizes.mean() - 15) < 4.5 * math.sqrt(10.5 / 2000)


def attack(sigma_for: float, repeats: int = 120) -> float:
    """Lower bound of epsilon (99 %) that a membership test proves: is the first example in the data or not?"""
    clip, delta = 1.0, 0.01
    rest = Examples(torch.zeros(20, 1), np.zeros((20, 1)), np.arange(20))
    both = Examples(torch.cat([torch.full((1, 1), 50.0), torch.zeros(20, 1)]), np.zeros((21, 1)), np.arange(21))
    settings = {"epsilon": sigma_for, "delta": delta, "clip": clip, "sample_rate": 1.0, "steps": 1, "lr": 1.0}
    moved = np.array([
        [(len(d) * weights(train_private(linear(1, 1), d, **settings, optimiser=sgd, seed=seed + 1000 * j).model)
          - len(d) * weights(linear(1, 1)))[0].item() for j, d in enumerate((rest, both))]
        for seed in range(repeats)
    ])  # fmt: skip
    half = repeats // 2  # the threshold is chosen on one half and judged on the other
    cuts = np.quantile(moved[:half], np.linspace(0.02, 0.98, 49))
    gain = [(moved[:half, 1] < c).mean() - (moved[:half, 0] < c).mean() for c in cuts]
    cut = cuts[int(np.argmax(gain))]
    hits, alarms = (moved[half:, 1] < cut).mean(), (moved[half:, 0] < cut).mean()
    error = 2.576 * 0.5 / math.sqrt(half)
    return math.log(max((hits - error - delta) / min(alarms + error, 1.0), 1e-9))


def test_a_membership_test_proves_no_more_than_epsilon_and_far_more_without_enough_noise():
    assert attack(0.5) <= 0.5
    assert attack(50.0) > 0.5  # a hundredth of the noise would be found out


def test_a_patient_with_two_images_spends_twice_epsilon():
    epsilon, delta = group_privacy(1.0, 1e-5, 2)
    assert (epsilon, delta) == pytest.approx((2.0, 1e-5 * (1 + math.e)))
    assert group_privacy(1.0, 1e-5, 1) == pytest.approx((1.0, 1e-5))
    assert group_privacy(8.0, 1e-5, 20)[1] == 1.0


def test_unknown_labels_do_not_count_and_weights_of_positives_do():
    logits, labels = torch.randn(5, 3), torch.tensor([[1.0, 0.0, math.nan]] * 5)
    bce = nn.functional.binary_cross_entropy_with_logits
    weight = torch.tensor([4.0, 1.0, 1.0])
    expected = bce(logits[:, :2], labels[:, :2], pos_weight=weight[:2], reduction="none").sum(dim=1) / 3
    torch.testing.assert_close(example_loss(logits, labels, weight), expected)
    torch.testing.assert_close(class_weights([[1, 0], [0, 0], [0, 1], [math.nan, 0]]), torch.tensor([2.0, 3.0]))
    with pytest.raises(ValueError, match="both classes in every column"):
        class_weights([[1, 0], [1, 1]])


@pytest.mark.parametrize("dims", [2, 3])
def test_a_tiny_network_learns_privately_and_ordinarily(dims):
    rng = np.random.default_rng(0)
    y = np.arange(32) % 2
    x = torch.from_numpy(
        (rng.standard_normal((32, 1, *[8] * dims)) + 2 * y.reshape(-1, *[1] * (dims + 1))).astype(np.float32)
    )
    data = Examples(x, y[:, None], np.arange(32))
    model = seeded_model(
        lambda: ResNet9(1, in_channels=1, width=4, groups=2, stem_stride=1, kernel=3, spatial_dims=dims), 0
    )
    private = train_private(model, data, **{**SETTINGS, "sample_rate": 0.5, "steps": 20, "lr": 0.01, "clip": 1.0})
    ordinary = train_ordinary(model, data, epochs=8, batch_size=16, lr=0.01, seed=0)
    for fit in (private, ordinary):
        logits = predict_logits(fit.model, data)[:, 0]
        assert logits[y == 1].min() > logits[y == 0].max()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be > 0, or inf for no noise, got 0.0"),
        ({"epsilon": math.nan}, "epsilon must be > 0"),
        ({"delta": 1 / N}, "delta must be above 0 and below 1 / n = 0.025, got 0.025"),
        ({"clip": 0.0}, "clip must be a finite number > 0, got 0.0"),
        ({"sample_rate": 1.5}, r"sample_rate must be in \(0, 1\], got 1.5"),
        ({"steps": 0}, "at least one update, got 0"),
        ({"epochs": 2}, "exactly one of epochs and steps must be given"),
        ({"sampling": "shuffled"}, "sampling must be 'poisson', got 'shuffled'"),
        ({"accountant": "gdp"}, "accountant must be 'rdp' or 'prv', got 'gdp'"),
        ({"physical_batch": 0}, "physical_batch must be >= 1, got 0"),
    ],
)
def test_settings_under_which_epsilon_would_be_wrong_are_refused(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        train_private(linear(), table(), **{**SETTINGS, **changes})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", [True, False])
def test_a_model_with_batch_norm_is_refused_also_in_evaluation_mode(mode):
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).train(mode)
    with pytest.raises(ValueError, match=r"model has .* layers that cannot be trained privately.*BatchNorm") as caught:
        train_private(model, table(), **SETTINGS)
    assert "\n" not in str(caught.value)
