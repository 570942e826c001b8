"""MedMNIST files: every kind of set, copies together, and limits of memory."""

from __future__ import annotations

import numpy as np
import pytest

from medrepro.data import DataError, manifests
from medrepro.data.medmnist import CLASSES, SIZES, load_medmnist, load_pneumoniamnist_rebuilt
from medrepro.data.splitting import published_split
from tiny_image_sets import needs_data, noise, write_medmnist


@pytest.mark.parametrize("flag", CLASSES)
def test_every_set_is_read_with_its_classes(flag, tmp_path):
    images = load_medmnist(flag, path=write_medmnist(tmp_path, flag))
    assert images.images.shape[:3] == (16, 28, 28)
    assert images.split.tolist() == ["train"] * 8 + ["val"] * 4 + ["test"] * 4
    if flag == "chestmnist":
        assert images.labels.shape == (16, 14)
        assert set(images.labels.to_numpy().ravel()) <= {0, 1}
    else:
        grade = images.labels["grade"]
        assert (images.labels["label"] == np.array(CLASSES[flag])[grade]).all()


def test_the_names_of_manifests_are_flags_with_sizes_and_their_counts_are_ours():
    named = [n for n in manifests.names() if n.split("_")[0] in CLASSES and n != "pneumoniamnist_rebuilt"]
    assert len(named) > 5
    for name in named:
        counts = manifests.load(name).counts
        assert tuple(counts[part] for part in ("train", "val", "test")) == SIZES[name.split("_")[0]]
        assert counts.get("classes", len(CLASSES[name.split("_")[0]])) == len(CLASSES[name.split("_")[0]])


def test_copies_share_an_id_and_leave_the_training_part_when_they_are_tested(tmp_path):
    images = load_pneumoniamnist_rebuilt(write_medmnist(tmp_path))
    assert images.patient_id[4] == images.patient_id[5]
    assert images.patient_id[2] == images.patient_id[8]  # the first validation image
    assert images.metadata["repeats_earlier"].tolist() == [i in (5, 8) for i in range(16)]
    assert published_split(images)["train"].tolist() == [0, 1, 3, 4, 5, 6, 7]


def test_parts_are_chosen_and_memory_is_limited(tmp_path):
    path = write_medmnist(tmp_path, "bloodmnist", 64)
    assert set(load_medmnist("bloodmnist", 64, parts=["test"], path=path).split) == {"test"}
    with pytest.raises(DataError, match=r"train, val, test need 0\.0 GiB, allowed are 0\.0001 \(gib_at_most\)"):
        load_medmnist("bloodmnist", 64, path=path, gib_at_most=0.0001)


def test_wrong_names_sizes_labels_and_files_are_named(tmp_path):
    path = write_medmnist(tmp_path, "breastmnist")
    with pytest.raises(ValueError, match=r"flag must be one of pathmnist, .*, got 'BreastMNIST'"):
        load_medmnist("BreastMNIST", path=path)
    with pytest.raises(ValueError, match=r"parts must be of train, val, test, got \['dev'\]"):
        load_medmnist("breastmnist", parts=["dev"], path=path)
    with pytest.raises(DataError, match=r"images are \(28, 28\), expected 224 x 224"):
        load_medmnist("breastmnist", 224, path=path)
    with pytest.raises(DataError, match=r"labels must be \(N, 1\) of 0 to 1"):
        load_medmnist("breastmnist", path=write_medmnist(tmp_path, test_labels=np.full((4, 1), 2, dtype=np.uint8)))
    with pytest.raises(DataError, match="16 images and 15 labels, expected as many"):
        load_medmnist("breastmnist", path=write_medmnist(tmp_path, test_labels=np.zeros((3, 1), dtype=np.uint8)))
    with pytest.raises(DataError, match="images must be uint8 and of one shape"):
        load_medmnist("breastmnist", path=write_medmnist(tmp_path, test_images=noise(4, 8, 8)))
    (tmp_path / "a.npz").write_text("none")
    with pytest.raises(DataError, match=r"a\.npz: is not the expected \.npz archive"):
        load_medmnist("breastmnist", path=tmp_path / "a.npz")


@needs_data("pneumoniamnist")
def test_the_real_rebuild_has_the_official_counts_and_its_copies():
    images = load_pneumoniamnist_rebuilt()  # 18 repeats in training, 8 validation images in training: asserted
    assert images.images.shape == (5856, 28, 28)
    parts = published_split(images)
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 4698, "val": 524, "test": 624}
