"""CHASE_DB1: both eyes of a child together, masks of two observers."""

from __future__ import annotations

import numpy as np
import pytest

from medrepro.data import DataError
from medrepro.data.chase import load_chase
from tiny_image_sets import needs_data, write_chase


def test_eyes_of_a_child_belong_together_and_masks_lose_their_padding(tmp_path):
    vessels = load_chase(write_chase(tmp_path))
    assert vessels.photographs.patient_id.tolist() == ["child-01", "child-01", "child-02", "child-02"]
    assert vessels.photographs.metadata["eye"].tolist() == ["L", "R", "L", "R"]
    assert vessels.masks.shape == (2, 4, 12, 12)
    expected = np.random.default_rng(1).integers(0, 256, (4, 12, 12), dtype=np.uint8) > 127
    assert np.array_equal(vessels.masks[0], expected)


def test_masks_of_another_size_and_other_names_are_refused(tmp_path):
    path = write_chase(tmp_path)
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "vessels_observer2": arrays["vessels_observer2"][:, :6]})
    with pytest.raises(DataError, match=r"masks \[\(4, 12, 2\), \(4, 6, 2\)\]"):
        load_chase(path)
    np.savez(path, **{**arrays, "names": np.array(["a", "b", "c", "d"])})
    with pytest.raises(DataError, match=r"names \['a', 'b'\]; expected"):
        load_chase(path)


@needs_data("chase_db1")
def test_two_observers_agree_on_the_real_vessels_as_published():
    vessels = load_chase()
    one, two = vessels.masks
    dice = 2 * (one & two).sum(axis=(1, 2)) / (one.sum(axis=(1, 2)) + two.sum(axis=(1, 2)))
    assert vessels.photographs.n_patients == 14
    assert dice.mean() == pytest.approx(0.78, abs=0.01)
