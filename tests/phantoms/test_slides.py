"""Stand-in slides: what is planted is there, what must not help does not, and the oracle is the best there is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import StandardScaler

from medrepro.phantoms.slides import TASKS, TUMOUR, make_slides
from medrepro.stats import auroc, multilabel_auroc


def _read(features: np.ndarray, labels: np.ndarray) -> float:
    """Cross-validated AUC of a linear reader of slide-level features."""
    scaled = StandardScaler().fit_transform(features)
    scores = cross_val_predict(LogisticRegression(C=0.1), scaled, labels, cv=5, method="decision_function")
    return auroc(labels, scores).value


def _mean_tile(slides) -> np.ndarray:
    return slides.features.sum(axis=1) / slides.mask.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def two_class():
    return make_slides(600, "two_class", seed=3)


@pytest.fixture(scope="module")
def neighbour():
    return make_slides(600, "neighbour", seed=4)


def test_tumours_are_one_piece_of_five_to_fifteen_per_cent(two_class):
    share = two_class.tumour.sum(axis=1) / two_class.mask.sum(axis=1)
    assert 0.045 < share.min() < 0.07
    assert 0.13 < share.max() < 0.155
    for coords, tumour in zip(two_class.coords[:200], two_class.tumour, strict=False):
        grid = np.zeros((40, 40), dtype=int)
        grid[tuple(coords[tumour].T)] = 1
        assert ndimage.label(grid, structure=np.ones((3, 3)))[1] == 1


def test_tiles_run_row_by_row_without_repeats_and_padding_is_empty(two_class):
    for coords, mask in zip(two_class.coords, two_class.mask, strict=True):
        place = coords[mask].astype(int) @ [1000, 1]
        assert (np.diff(place) > 0).all()
    assert (two_class.features[~two_class.mask] == 0).all()
    assert not two_class.tumour[~two_class.mask].any()
    counts = two_class.mask.sum(axis=1)
    assert counts.min() >= 100
    assert counts.max() <= 300
    assert (np.diff(two_class.mask.astype(int), axis=1) <= 0).all()  # padding is behind the tiles


def test_the_class_decides_which_prototype_the_tumour_has(two_class):
    kinds = np.where(two_class.tumour, two_class.tissue, -1).max(axis=1) - TUMOUR
    np.testing.assert_array_equal(kinds, two_class.labels[:, 0])


def test_three_classes_are_balanced_and_one_hot():
    slides = make_slides(300, "three_class", n_tiles=(100, 120), seed=0)
    np.testing.assert_array_equal(slides.labels.sum(axis=1), 1)
    np.testing.assert_array_equal(slides.labels.sum(axis=0), 100)


def test_the_oracle_reaches_the_closed_form_of_two_gaussians(two_class):
    """Two classes sqrt(2) apart, variance grade^2 + noise^2 / (subtype^2 n) along each axis."""
    n = two_class.tumour.sum(axis=1)
    spread = np.sqrt(0.5**2 + 1 / (2.5**2 * n))
    expected = norm.cdf(np.sqrt(2) / spread / np.sqrt(2)).mean()
    found = auroc(two_class.labels[:, 0], two_class.oracle[:, 0])
    assert found.low < expected < found.high


@pytest.mark.parametrize("task", ["two_class", "three_class"])
def test_a_reader_of_the_slides_mean_stays_clearly_below_the_oracle(task):
    slides = make_slides(900, task, seed=5)
    mean = _mean_tile(slides)
    label = slides.labels[:, -1]
    oracle = auroc(label, slides.oracle[:, -1])
    assert _read(mean, label) < oracle.low - 0.05


def test_size_stain_and_background_alone_say_nothing_of_the_class(two_class):
    tissue = np.stack([(two_class.tissue == kind).sum(axis=1) for kind in range(TUMOUR)], axis=1)
    benign = two_class.mask & ~two_class.tumour & (two_class.tissue != 3)
    stain = (two_class.features * benign[..., None]).sum(axis=1) / benign.sum(axis=1, keepdims=True)
    other = np.column_stack([tissue, two_class.tumour.sum(axis=1), two_class.mask.sum(axis=1), stain])
    assert abs(_read(other, two_class.labels[:, 0]) - 0.5) < 0.08


def test_presence_alone_says_nothing_in_the_neighbour_task(neighbour):
    """Even a reader who is told how many tiles of each tissue there are stays at chance."""
    counts = np.stack([(neighbour.tissue == kind).sum(axis=1) for kind in range(TUMOUR + 2)], axis=1)
    label = neighbour.labels[:, 0]
    assert abs(_read(counts, label) - 0.5) < 0.08
    assert abs(_read(_mean_tile(neighbour), label) - 0.5) < 0.08
    assert (counts[:, TUMOUR:] > 0).all()


def test_distance_alone_solves_the_neighbour_task(neighbour):
    assert auroc(neighbour.labels[:, 0], neighbour.oracle[:, 0]).value == 1.0
    touching = -neighbour.oracle[neighbour.labels[:, 0] == 1, 0]
    assert touching.max() <= np.sqrt(2)


def test_the_planted_wrong_mask_is_as_large_lies_beside_the_tumour_and_changes_nothing_else():
    right = make_slides(60, seed=2)
    wrong = make_slides(60, signal_outside_mask=True, seed=2)
    np.testing.assert_array_equal(wrong.features, right.features)
    np.testing.assert_array_equal(wrong.oracle, right.oracle)
    np.testing.assert_array_equal(wrong.tumour.sum(axis=1), right.tumour.sum(axis=1))
    assert not (wrong.tumour & right.tumour).any()


def test_a_larger_grade_spread_lowers_what_can_be_reached():
    reached = [
        multilabel_auroc(s.labels, s.oracle).macro[0]
        for s in (make_slides(600, n_tiles=(100, 120), grade_sd=sd, seed=1) for sd in (0.1, 0.5, 1.0))
    ]
    assert reached[0] > 0.99 > reached[1] > reached[2] + 0.05


@pytest.mark.parametrize("task", TASKS)
def test_equal_seeds_give_equal_slides_and_other_seeds_others(task):
    first, again, other = (make_slides(10, task, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.features, again.features)
    assert (first.labels != other.labels).any() or (first.mask != other.mask).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "four_class"}, "task must be one of two_class, three_class, neighbour, got 'four_class'"),
        ({"n_slides": 0}, "n_slides must be >= 1, got 0"),
        ({"n_tiles": (300, 100)}, r"n_tiles must be \(fewest, most\) .* got \(300, 100\)"),
        ({"tumour_fraction": 0.0}, r"tumour_fraction must be in \(0, 0.5\], got 0.0"),
        ({"look_alikes": 0.8}, r"look_alikes must be in \[0, 0.5\], got 0.8"),
        ({"n_features": 3}, "n_features must be >= 8"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        make_slides(**{"n_slides": 4, "seed": 0, **change})
