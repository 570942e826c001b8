"""The loop, its losses and the choice of the learning rate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medrepro.models.mini_resnet import MiniResNet
from medrepro.training.ordinal import ENCODINGS, encode, usable_functions
from medrepro.training.ordinal_networks import load_pretrained, make_network
from medrepro.training.ordinal_training import GradedImages, choose_rate, ordinal_loss, raw_outputs, train_ordinal


def _bars(n: int, seed: int = 0) -> GradedImages:
    """Images 16 x 16 in which finding 1 is how far the upper half is filled, finding 2 the lower half."""
    rng = np.random.default_rng(seed)
    grades = rng.integers(0, 5, (n, 2))
    images = rng.normal(0, 0.05, (n, 1, 16, 16)).astype(np.float32)
    for image, (upper, lower) in zip(images, grades, strict=True):
        image[0, :8, : 4 * upper] += 1
        image[0, 8:, : 4 * lower] += 1
    return GradedImages(images, grades, np.arange(n))


def _resnet(n_outputs: int) -> torch.nn.Module:
    return MiniResNet(1, n_outputs, widths=(8, 16), layers=(1, 1))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_small_resnet_overfits_eight_images_and_all_usable_functions_read_it(encoding):
    data = _bars(8)
    build = make_network("resnet_s", image_size=16)
    fit = train_ordinal(build, data, encoding, lr=3e-3, epochs=80, batch_size=8, seed=0)
    assert fit.losses[-1] < 0.05 * fit.losses[0]
    for function in usable_functions(encoding):
        np.testing.assert_array_equal(fit.grade(data, function), data.grades)


def test_a_small_vit_learns_in_a_hundred_steps_where_a_finding_is():
    """It tells the upper from the lower half: from the sum of both alone it would be wrong by 0.7 to 0.8 grades."""
    build = make_network("vit_s", image_size=16, patch_size=4)
    fit = train_ordinal(build, _bars(300), "soft_progress_bar", lr=3e-3, epochs=10, batch_size=32, seed=0)
    unseen = _bars(60, seed=1)
    assert np.abs(fit.grade(unseen) - unseen.grades).mean() < 0.4


def test_equal_seeds_give_equal_trainings_and_leave_the_random_state_alone():
    data = _bars(40)
    before = torch.get_rng_state()
    runs = [train_ordinal(_resnet, data, "gaussian", lr=0.01, epochs=2, batch_size=16, seed=s) for s in (1, 1, 2)]
    assert runs[0].losses == runs[1].losses != runs[2].losses
    assert np.array_equal(raw_outputs(runs[0].model, data), raw_outputs(runs[1].model, data))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_default_loss_is_the_squared_error_of_outputs_without_any_activation():
    outputs, targets = torch.tensor([[[3.0, -2.0]]]), torch.tensor([[[1.0, 0.0]]])
    assert ordinal_loss(outputs, targets).item() == pytest.approx((2**2 + 2**2) / 2)


def test_the_other_losses_are_those_of_torch_over_findings():
    outputs, grades = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(0)), np.arange(12).reshape(6, 2) % 5
    targets = torch.from_numpy(encode(grades, "one_hot")).float()
    expected = torch.nn.functional.cross_entropy(outputs.reshape(12, 5), torch.from_numpy(grades).reshape(12))
    torch.testing.assert_close(ordinal_loss(outputs, targets, "cross_entropy"), expected)
    bce = torch.nn.functional.binary_cross_entropy(outputs.sigmoid(), targets)
    torch.testing.assert_close(ordinal_loss(outputs, targets, "binary_cross_entropy"), bce)


def test_outputs_of_a_loss_with_an_activation_are_activated_before_they_are_graded():
    data = _bars(20)
    common = {"lr": 0.01, "epochs": 1, "seed": 0}
    softmax = train_ordinal(_resnet, data, "one_hot", loss="cross_entropy", **common).outputs(data)
    np.testing.assert_allclose(softmax.sum(axis=-1), 1)
    sigmoid = train_ordinal(_resnet, data, "progress_bar", loss="binary_cross_entropy", **common).outputs(data)
    assert sigmoid.min() > 0
    assert sigmoid.max() < 1


def test_mixed_precision_trains_nearly_as_well():
    data = _bars(200)
    full, mixed = (
        train_ordinal(_resnet, data, "soft_progress_bar", lr=0.01, epochs=4, batch_size=32, precision=p, seed=0)
        for p in ("float32", "bfloat16")
    )
    assert mixed.losses[-1] == pytest.approx(full.losses[-1], rel=0.2)
    assert {weight.dtype for weight in mixed.model.parameters()} == {torch.float32}


def test_the_rate_is_chosen_on_validation_data_and_a_hopeless_one_is_not():
    choice = choose_rate(_resnet, _bars(120), _bars(60, seed=2), "progress_bar",
                         rates=[1e-9, 0.01], epochs=4, batch_size=32, seed=0)  # fmt: skip
    assert choice.lr == 0.01
    assert choice.scores[0.01] > choice.scores[1e-9]
    assert choice.fit is choice.fits[0.01]


def test_images_may_be_read_one_by_one_and_a_single_leftover_is_no_batch_of_its_own():
    data = _bars(33)
    lazy = GradedImages(list(data.images), data.grades, data.units)
    one, two = (train_ordinal(_resnet, d, "one_hot", lr=0.01, epochs=1, batch_size=16, seed=0) for d in (data, lazy))
    assert one.losses == two.losses
    assert len(lazy.subset([3, 1])) == 2
    assert lazy.subset([3, 1]).grades.tolist() == data.grades[[3, 1]].tolist()


def test_images_are_changed_by_augmentation_in_training_only():
    data, seen = _bars(20), []

    def spy(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(len(images))
        return images + 0.01 * torch.randn(images.shape, generator=generator)

    fit = train_ordinal(_resnet, data, "one_hot", lr=0.01, epochs=2, batch_size=10, augment=spy, seed=0)
    fit.grade(data)
    assert seen == [10, 10, 10, 10]


def test_published_weights_of_three_channels_give_a_grey_image_the_same_features():
    colour = make_network("resnet_s", in_channels=3)(7)
    grey = load_pretrained(make_network("resnet_s", in_channels=1)(5), colour.state_dict())
    x = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        # A mean over three channels of one image is a third of their sum.
        colour.conv1.weight /= 3
        expected = colour.eval().features(x.expand(-1, 3, -1, -1))
    torch.testing.assert_close(grey.eval().features(x), expected, rtol=1e-4, atol=1e-4)


def test_weights_that_do_not_fit_are_refused_by_name():
    model = make_network("vit_s")(5)
    state = dict(model.state_dict())
    with pytest.raises(ValueError, match="weights lack parameter 'cls_token'"):
        load_pretrained(model, {k: v for k, v in state.items() if k != "cls_token"})
    with pytest.raises(ValueError, match="weights hold an unknown parameter 'dist_token'"):
        load_pretrained(model, {**state, "dist_token": state["cls_token"]})
    with pytest.raises(ValueError, match="'pos_embed'"):
        load_pretrained(model, {**state, "pos_embed": state["pos_embed"][:, 1:]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"precision": "half"}, "precision must be one of float32, bfloat16, got 'half'"),
        ({"loss": "hinge"}, "loss must be one of mse"),
        ({"loss": "cross_entropy", "encoding": "gaussian"}, "targets must sum to 1"),
        ({"n_grades": 3}, "grades must lie in 0 to 2"),
        ({"encoding": "words"}, "encoding must be one of"),
    ],
)
def test_wrong_arguments_are_named(changes, message):
    options = {"encoding": "one_hot", "lr": 0.01, "epochs": 1, "seed": 0, **changes}
    with pytest.raises(ValueError, match=message):
        train_ordinal(_resnet, _bars(10), **options)


def test_data_that_do_not_fit_each_other_are_refused():
    with pytest.raises(ValueError, match="grades must be"):
        GradedImages(np.zeros((3, 1, 4, 4)), np.zeros((2, 1), dtype=int), np.arange(3))
    with pytest.raises(ValueError, match="rates must be distinct"):
        choose_rate(_resnet, _bars(5), _bars(5), "one_hot", rates=[], epochs=1, seed=0)
    with pytest.raises(ValueError, match="network must be one of resnet_s"):
        make_network("vgg")
