"""Bags: sorted, padded, masked; parts of the training bags that all arms share."""

from __future__ import annotations

import numpy as np
import pytest

from medrepro.training.bags import Bags, batches, collect_bags, pad_bags, permuted_labels, stratified_fraction


def _bags(n: int = 6) -> Bags:
    rng = np.random.default_rng(0)
    return collect_bags([rng.random((k + 1, 3)) for k in range(n)], np.arange(n) % 2)


def test_patches_are_sorted_by_row_then_column():
    coords = np.array([[1, 0], [0, 2], [0, 1], [1, 5]])
    bags = collect_bags([np.arange(4.0)[:, None]], [1], coords=[coords])
    np.testing.assert_array_equal(bags.features[0][:, 0], [2, 1, 0, 3])


def test_padding_is_zero_behind_the_patches_and_masked():
    features, mask = pad_bags([np.ones((2, 3)), np.ones((4, 3))])
    assert features.shape == (2, 4, 3)
    np.testing.assert_array_equal(mask, [[True, True, False, False], [True] * 4])
    assert (features[0, 2:] == 0).all()


def test_each_batch_is_padded_to_its_own_longest_bag_and_follows_the_order():
    seen = list(batches(_bags(), 2, order=[5, 0, 1, 2]))
    assert [features.shape[1] for features, _, _ in seen] == [6, 3]
    np.testing.assert_array_equal([labels[:, 0].tolist() for _, _, labels in seen], [[1, 0], [1, 0]])


class _Counted:
    """Bags that count how often they are read."""

    reads = 0

    def __len__(self):
        return 5

    def __getitem__(self, index):
        type(self).reads += 1
        return np.full((2, 3), index, dtype=np.float32)


def test_a_subset_reads_nothing_before_it_is_asked_for():
    part = Bags(_Counted(), np.zeros((5, 1), np.float32), np.arange(5)).subset([4, 2])
    assert _Counted.reads == 0
    assert [float(bag[0, 0]) for bag in part.features] == [4, 2]
    np.testing.assert_array_equal(part.units, [4, 2])


def test_a_reduced_part_keeps_the_class_shares_and_lies_inside_the_larger_one():
    labels = np.eye(3)[np.repeat([0, 1, 2], [60, 30, 10])]
    small, large = (stratified_fraction(labels, fraction, seed=1) for fraction in (0.1, 0.5))
    np.testing.assert_array_equal(labels[small].sum(axis=0), [6, 3, 1])
    assert set(small) < set(large)
    np.testing.assert_array_equal(small, stratified_fraction(labels, 0.1, seed=1))
    assert set(small) != set(stratified_fraction(labels, 0.1, seed=2))


def test_a_tiny_part_still_holds_every_class():
    labels = np.repeat([0, 1], [50, 2])[:, None]
    assert sorted(labels[stratified_fraction(labels, 0.01, seed=0), 0]) == [0, 1]


@pytest.mark.parametrize("classes", [[80, 80], [54, 53, 53], [100, 20]])
def test_permuted_labels_keep_the_counts_and_carry_nothing(classes):
    labels = np.repeat(np.arange(len(classes)), classes)[:, None]
    moved = permuted_labels(labels, seed=3)
    table = np.array([[((labels == a) & (moved == b)).sum() for b in range(len(classes))] for a in range(len(classes))])
    np.testing.assert_array_equal(table.sum(axis=0), classes)
    expected = np.outer(classes, classes) / sum(classes)
    assert np.abs(table - expected).max() <= 2
    assert (moved != permuted_labels(labels, seed=4)).any()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([np.ones((0, 3))], "bag 0 must be .* at least one patch"),
        ([np.ones((2, 3)), np.ones((2, 4))], "bag 1 has 4 channels, the first one 3"),
    ],
)
def test_empty_and_uneven_bags_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        collect_bags(features, np.zeros(len(features)))


def test_labels_units_and_coords_of_another_length_are_refused():
    with pytest.raises(ValueError, match="units"):
        collect_bags([np.ones((2, 3))], [1], units=[1, 2])
    with pytest.raises(ValueError, match="coords of bag 0"):
        collect_bags([np.ones((2, 3))], [1], coords=[np.zeros((3, 2))])
    with pytest.raises(ValueError, match="fraction must be in"):
        stratified_fraction(np.zeros((4, 1)), 0.0, seed=0)
