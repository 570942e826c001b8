"""BUSI: groups of near copies in the place of patients."""

from __future__ import annotations

import numpy as np
import pytest

from medrepro.data import DataError
from medrepro.data.busi import load_busi
from medrepro.data.splitting import folds_by_patient
from tiny_image_sets import needs_data, write_busi


def test_near_copies_are_one_group_through_others_and_exact_ones_are_marked(tmp_path):
    images = load_busi(write_busi(tmp_path))
    group = images.patient_id
    assert group[0] == group[1] == group[2]
    assert group[3] == group[4]
    assert images.n_patients == 6
    assert images.metadata["repeats_earlier"].tolist() == [False] * 4 + [True] + [False] * 4
    assert images.metadata["mixed_group"].tolist() == [True] * 3 + [False] * 6
    assert images.labels["finding"].tolist()[:3] == ["normal", "normal", "benign"]


def test_other_classes_than_the_published_ones_are_refused(tmp_path):
    path = write_busi(tmp_path)
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "labels": arrays["labels"] + 1})
    with pytest.raises(DataError, match="classes must be normal, benign, malignant as 0, 1, 2"):
        load_busi(path)


@needs_data("busi")
def test_the_real_images_have_the_stated_groups_and_no_near_copy_crosses_a_fold():
    images = load_busi()  # 211 pairs of near copies, 311 images, 10 pairs of two classes: asserted while loading
    assert images.n_patients == 607
    assert images.labels["finding"].value_counts().to_dict() == {"benign": 437, "malignant": 210, "normal": 133}
    lesions = images.subset(images.labels["finding"] != "normal")
    assert len(lesions) == 647
    folds = folds_by_patient(lesions, 5, seed=0, stratify="finding")
    assert all(len(set(folds[lesions.patient_id == group])) == 1 for group in set(lesions.patient_id))
    assert np.bincount(folds).min() > 110
