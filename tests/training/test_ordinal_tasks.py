"""LIDC nodules as a task of grading: whose grades, which voxels, which patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medrepro.data.lidc_masks import RATINGS, load_masks
from medrepro.training.ordinal_scores import kappa_values
from medrepro.training.ordinal_tasks import LIDC_FINDINGS, grade_by_size, lidc_task, thickness
from tiny_image_sets import needs_data, noise


@pytest.fixture
def files(tmp_path):
    """Sixty annotations of 30 nodules in 20 patients, two readers each."""
    rng, n = np.random.default_rng(0), 60
    nodule = np.repeat(np.arange(30), 2)
    packed = np.packbits(noise(n, 32, 32, 32) > 200, axis=-1)
    np.savez(tmp_path / "lidc_masks_32.npz", masks_packed=packed, annotation_id=np.arange(n))
    table = pd.DataFrame({"annotation_id": np.arange(n), "nodule": nodule, "volume_mm3": 90.0, "voxel_mm": 1.25})
    table["patient_id"] = [f"P{k % 20:02d}" for k in nodule]
    table["diameter_mm"] = rng.uniform(4, 30, n)
    for name in RATINGS:
        table[name] = rng.integers(1, 6, n)
    table.to_csv(tmp_path / "lidc_annotations.csv", index=False)
    return {name: tmp_path / name for name in ("lidc_masks_32.npz", "lidc_annotations.csv")}


def test_no_patient_is_in_two_parts_and_grades_begin_at_zero(files):
    task = lidc_task(files=files, seed=1)
    parts = [set(part.units) for part in (task.train, task.val, task.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 20
    everything = np.concatenate([part.grades for part in (task.train, task.val, task.test)])
    assert (everything.min(), everything.max()) == (0, 4)
    assert everything.shape == (60, len(LIDC_FINDINGS))
    assert task.test_units.name == "patient_id"


def test_an_image_and_its_grades_are_of_one_reader(files):
    nodules, task = (
        load_masks(files),
        lidc_task(files=files, seed=1, fractions={"train": 0.5, "val": 0.25, "test": 0.25}),
    )
    rows = np.flatnonzero(np.isin(nodules.patient_id, list(set(task.test.units))))
    np.testing.assert_array_equal(task.test.grades[:, 0], nodules.labels["malignancy"].to_numpy()[rows] - 1)
    raw = thickness(nodules)[rows]
    slope = np.polyfit(raw.ravel(), task.test.images.ravel(), 1)
    np.testing.assert_allclose(np.polyval(slope, raw), task.test.images, atol=1e-4)


def test_three_projections_are_shares_of_the_nodule_along_z_y_and_x(files):
    nodules = load_masks(files)
    found, mask = thickness(nodules)[7], nodules.images[7]
    np.testing.assert_allclose(found[0, 3, 4], mask[:, 3, 4].mean(), rtol=1e-6)
    np.testing.assert_allclose(found[1, 3, 4], mask[3, :, 4].mean(), rtol=1e-6)
    np.testing.assert_allclose(found[2, 3, 4], mask[3, 4, :].mean(), rtol=1e-6)


@pytest.mark.parametrize(("view", "shape"), [("projections", (3, 32, 32)), ("volume", (1, 32, 32, 32))])
def test_the_training_part_has_mean_zero_and_deviation_one(files, view, shape):
    task = lidc_task(view=view, files=files, seed=0)
    images = task.train.batch(np.arange(len(task.train)))
    assert images.shape[1:] == shape
    assert images.dtype == np.float32
    assert (images.mean(), images.std()) == pytest.approx((0, 1), abs=1e-3)


def test_all_readings_of_a_test_nodule_are_compared_with_each_other(files):
    task = lidc_task(files=files, seed=0)
    ratings = task.ratings["lobulation"]
    assert ratings.shape == (len(task.test) // 2, 2)
    np.testing.assert_array_equal(np.sort(ratings, axis=None), np.sort(task.test.grades[:, 2]))
    assert task.second_reader("lobulation", None, n_boot=20, seed=0).unit == "patient"


def test_a_baseline_reads_the_size_only(files):
    task = lidc_task(files=files, seed=0)
    assert grade_by_size(task).shape == task.test.grades.shape


def test_wrong_arguments_are_named(files):
    with pytest.raises(ValueError, match="findings must be among"):
        lidc_task(findings=["calcification"], files=files, seed=0)
    with pytest.raises(ValueError, match="view must be"):
        lidc_task(view="slice", files=files, seed=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="finding must be one of"):
        lidc_task(files=files, seed=0).second_reader("texture", None, seed=0)


@needs_data("lidc_nodules")
def test_real_nodules_have_the_counted_parts_and_size_tells_malignancy_but_not_margin():
    task = lidc_task(seed=0)
    assert sum(len(part) for part in (task.train, task.val, task.test)) == 6859
    assert sum(len(set(part.units)) for part in (task.train, task.val, task.test)) == 875
    quadratic = kappa_values(task.test.grades, grade_by_size(task), n_grades=5)[:, 2]
    assert quadratic[0] > 0.25
    assert quadratic[4] < 0.15
