"""LIDC masks: bits to voxels, ratings beside them, and the published consensus rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medrepro.data import DataError
from medrepro.data.lidc_masks import consensus_nodules, load_masks
from tiny_image_sets import needs_data, noise, write_lidc


def test_masks_are_unpacked_in_the_order_of_the_table(tmp_path):
    nodules = load_masks(write_lidc(tmp_path))
    assert np.array_equal(nodules.array, noise(4, 32, 32, 32) > 200)
    assert nodules.lazy
    assert nodules.patient_id.tolist() == ["A", "A", "A", "B"]
    assert nodules.labels["malignancy"].tolist() == [4, 3, 3, 2]


def test_the_consensus_rounds_to_even_drops_three_and_takes_the_median_mask(tmp_path):
    files = write_lidc(tmp_path)
    table = pd.read_csv(files["lidc_annotations.csv"])
    table["volume_mm3"] = [300.0, 100.0, 50.0, 70.0]
    table.to_csv(files["lidc_annotations.csv"], index=False)
    nodules = consensus_nodules(load_masks(files))
    # Nodule 0: mean 3.5, rounded to 4: malignant. Nodule 1: 3, dropped. Nodule 2: 2, benign.
    assert nodules.metadata["nodule"].tolist() == [0, 2]
    assert nodules.labels["malignant"].tolist() == [1, 0]
    assert nodules.labels["malignancy"].tolist() == [3.5, 2]
    assert nodules.metadata["readers"].tolist() == [2, 1]
    assert nodules.metadata["diameter_mm"].tolist() == [8.5, 12]
    assert np.array_equal(nodules.images[0], (noise(4, 32, 32, 32) > 200)[1])  # the smaller of two


def test_a_mean_of_two_and_a_half_is_benign(tmp_path):
    files = write_lidc(tmp_path)
    table = pd.read_csv(files["lidc_annotations.csv"]).assign(malignancy=[2, 3, 3, 2])
    table.to_csv(files["lidc_annotations.csv"], index=False)
    assert consensus_nodules(load_masks(files)).labels["malignant"].tolist() == [0, 0]


def test_files_that_do_not_fit_each_other_are_errors(tmp_path):
    files = write_lidc(tmp_path)
    table = pd.read_csv(files["lidc_annotations.csv"])
    table.iloc[::-1].to_csv(files["lidc_annotations.csv"], index=False)
    with pytest.raises(DataError, match="do not hold the same annotations in the same order"):
        load_masks(files)
    table.assign(nodule=0).to_csv(files["lidc_annotations.csv"], index=False)
    with pytest.raises(DataError, match="a nodule belongs to two patients"):
        load_masks(files)


@needs_data("lidc_nodules")
def test_the_real_nodules_have_the_published_counts():
    nodules = consensus_nodules(load_masks())
    assert (len(nodules), nodules.n_patients, nodules.labels["malignant"].sum()) == (1628, 723, 503)
    assert nodules.array.any(axis=(1, 2, 3)).all()
