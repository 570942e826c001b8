"""K-space: the centred transform, and the real slice."""

from __future__ import annotations

import numpy as np
import pytest

from medrepro.data import DataError
from medrepro.data.kspace import coil_images, combine_coils, load_kspace
from tiny_image_sets import needs_data


def test_a_point_in_the_middle_of_kspace_is_a_flat_image_and_the_other_way_round():
    k = np.zeros((1, 8, 6), dtype=np.complex64)
    k[0, 4, 3] = 1
    assert np.allclose(coil_images(k), 1 / np.sqrt(48))
    flat = np.ones((1, 8, 6), dtype=np.complex64)
    point = coil_images(flat)
    assert abs(point[0, 4, 3]) == pytest.approx(np.sqrt(48), rel=1e-6)


def test_energy_is_kept_and_coils_are_combined_by_their_squares():
    rng = np.random.default_rng(0)
    k = (rng.normal(size=(3, 9, 7)) + 1j * rng.normal(size=(3, 9, 7))).astype(np.complex64)
    images = coil_images(k)
    assert (np.abs(images) ** 2).sum() == pytest.approx((np.abs(k) ** 2).sum(), rel=1e-5)
    assert (combine_coils(images) ** 2).sum() == pytest.approx((np.abs(k) ** 2).sum(), rel=1e-5)
    assert combine_coils(np.array([[3 + 0j], [4j]])).tolist() == [5]


@pytest.mark.parametrize("array", [np.zeros((2, 2), dtype=np.complex64), np.zeros((1, 2, 2)),
                                   np.full((1, 2, 2), np.nan, dtype=np.complex64)])  # fmt: skip
def test_another_array_is_refused(array, tmp_path):
    np.save(tmp_path / "k.npy", array)
    with pytest.raises(DataError, match=r"expected finite complex64 \(coils, rows, columns\)"):
        load_kspace(tmp_path / "k.npy")


def test_pickled_objects_are_refused(tmp_path):
    np.save(tmp_path / "k.npy", np.array([{}], dtype=object))
    with pytest.raises(DataError, match=r"k\.npy: is not a plain \.npy array"):
        load_kspace(tmp_path / "k.npy")


@needs_data("mri_kspace_brain")
def test_the_real_slice_has_its_signal_in_the_middle():
    k = load_kspace()
    assert k.shape == (8, 230, 180)
    assert np.unravel_index(np.abs(k).sum(axis=0).argmax(), (230, 180)) == pytest.approx((115, 90), abs=2)
    image = combine_coils(coil_images(k))
    assert image[90:140, 70:110].mean() > 5 * image[:15, :15].mean()
