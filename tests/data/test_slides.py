"""Slide features and histology tiles, on tiny files in their exact layout."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest

from medrepro.data import DataError
from medrepro.data.pathmnist_bags import MUCOSA, STROMA, TUMOUR, make_bags, read_tiles
from medrepro.data.slide_features import read_fold, read_slide, slide_shape

SUBTYPES = ("LUAD", "LUSC")


def slide(folder, name, tiles=6, channels=4, **changes):
    rng = np.random.default_rng(len(name))
    coords = rng.permutation(np.array([(x, y) for y in range(3) for x in range(2)][:tiles])) * 224
    arrays = {"feats": rng.normal(size=(tiles, channels)).astype(np.float16), "coords": coords, **changes}
    path = folder / "features" / f"{name}.h5"
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as out:
        for key, value in arrays.items():
            if value is not None:
                out[key] = value
    return path


@pytest.fixture
def cohort(tmp_path):
    """Six slides of five patients and a fold; returns the folder and a writer of fold tables."""
    names = [f"TCGA-05-424{i}-01Z-00-DX1.ABC" for i in range(5)] + ["TCGA-05-4240-01Z-00-DX2.ABC"]
    for name in names:
        slide(tmp_path, name)
    rows = {"FileName": names, "subtype": ["LUAD", "LUSC", "LUAD", "LUSC", "LUAD", "LUAD"]}
    table = pd.DataFrame({**rows, "split": ["train", "train", "val", "test", "test", "train"]})

    def write(**changes):
        changed = table.assign(**changes)
        changed.to_csv(tmp_path / "fold_0.csv", index=False)
        return tmp_path

    return write


def test_a_fold_gives_slides_patients_and_labels(cohort):
    fold = read_fold(cohort(), 0, SUBTYPES, n_features=4)
    assert fold["label"].tolist() == [0, 1, 0, 1, 0, 0]
    assert fold["patient_id"].nunique() == 5
    assert fold["patient_id"][0] == "TCGA-05-4240"
    assert all(path.is_file() for path in fold["path"])


def test_a_patient_in_two_splits_is_refused(cohort):
    folder = cohort(split=["train", "train", "val", "test", "test", "test"])
    with pytest.raises(DataError, match="1 patients are in more than one split"):
        read_fold(folder, 0, SUBTYPES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subtype": "KIRC"}, "subtype must be one of LUAD, LUSC, got KIRC"),
        ({"split": "dev"}, "split must be one of train, val, test, got dev"),
        ({"FileName": "slide"}, "FileName must start with a TCGA barcode"),
        ({"FileName": "TCGA-05-4240-01Z-00-DX1.ABC"}, "is listed twice"),
        (
            {"FileName": [f"TCGA-99-000{i}" for i in range(6)]},
            "6 of 6 feature files are missing, first TCGA-99-0000.h5",
        ),
    ],
)
def test_a_wrong_fold_is_named(cohort, changes, message):
    with pytest.raises(DataError, match=message):
        read_fold(cohort(**changes), 0, SUBTYPES)


def test_a_missing_fold_a_missing_column_and_another_width_are_named(cohort):
    folder = cohort()
    with pytest.raises(DataError, match=r"fold_3.csv: cannot be read"):
        read_fold(folder, 3, SUBTYPES)
    with pytest.raises(DataError, match="feats have 4 channels, expected 2048"):
        read_fold(folder, 0, SUBTYPES, n_features=2048)
    pd.read_csv(folder / "fold_0.csv").drop(columns="split").to_csv(folder / "fold_0.csv", index=False)
    with pytest.raises(DataError, match="has no column split"):
        read_fold(folder, 0, SUBTYPES)


def test_tiles_come_in_order_of_row_then_column_with_their_features(tmp_path):
    path = slide(tmp_path, "TCGA-05-4240")
    feats, coords = read_slide(path)
    assert coords.tolist() == [[x * 224, y * 224] for y in range(3) for x in range(2)]
    with h5py.File(path) as raw:
        where = {tuple(c): f for c, f in zip(raw["coords"][:].tolist(), raw["feats"][:], strict=True)}
    assert all(
        np.array_equal(f, where[tuple(c)].astype(np.float32)) for f, c in zip(feats, coords.tolist(), strict=True)
    )
    assert feats.dtype == np.float32
    assert slide_shape(path) == (6, 4)


def test_augmented_copies_are_left_out_unless_asked_for(tmp_path):
    path = slide(tmp_path, "TCGA-05-4240", augmented=np.array([True, False] * 3))
    assert len(read_slide(path)[0]) == 3
    assert len(read_slide(path, augmented=True)[0]) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feats": None}, "has no data set feats"),
        ({"coords": np.zeros((5, 2))}, "do not fit"),
        ({"feats": np.full((6, 4), np.nan)}, "feats are not all finite"),
        ({"augmented": np.ones(6, dtype=bool)}, "holds no tile"),
    ],
)
def test_a_wrong_slide_is_named(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        read_slide(slide(tmp_path, "TCGA-05-4240", **changes))


def test_a_file_that_is_no_h5_is_a_data_error(tmp_path):
    (tmp_path / "x.h5").write_bytes(b"nothing")
    with pytest.raises(DataError, match="is not a readable h5 file"):
        read_slide(tmp_path / "x.h5")


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """600 tiles of 8 pixels in the layout of the official archive; a tile's first pixel is its row number."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (600, 8, 8, 3), dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(600) % 256, np.arange(600) // 256
    path = tmp_path_factory.mktemp("tiles") / "t.npz"
    np.savez_compressed(path, train_images=images, train_labels=rng.integers(0, 9, (600, 1)).astype(np.uint8))
    return path


def test_chosen_tiles_are_the_rows_of_the_archive(tiles):
    images, tissues = read_tiles("train", 20, seed=0, path=tiles)
    with np.load(tiles) as whole:
        rows = images[:, 0, 0, 0].astype(int) + 256 * images[:, 0, 0, 1].astype(int)
        assert np.array_equal(images, whole["train_images"][rows])
        assert np.array_equal(tissues, whole["train_labels"][rows, 0])
    assert (np.bincount(tissues, minlength=9) == 20).all()


def test_an_archive_of_another_layout_is_a_data_error(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, train_images=np.zeros((3, 8, 8)), train_labels=np.zeros((3, 1), np.uint8))
    with pytest.raises(DataError, match="expected uint8"):
        read_tiles("train", 2, seed=0, path=path)
    np.savez(path, train_labels=np.zeros((3, 1), np.uint8))
    with pytest.raises(DataError, match="is not the expected archive"):
        read_tiles("train", 2, seed=0, path=path)
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="is not the expected archive"):
        read_tiles("train", 2, seed=0, path=path)


def test_an_array_that_needs_pickle_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, train_labels=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="another layout"):
        read_tiles("train", 2, seed=0, path=path)


@pytest.mark.parametrize(("task", "key"), [("tumour", TUMOUR), ("stroma", STROMA)])
def test_virtual_slides_hold_what_their_label_says(task, key):
    tissues = np.tile(np.arange(9), 200)
    bags = make_bags(np.eye(1800, 6), tissues, 40, task=task, tiles_per_bag=(50, 80), seed=0)
    assert bags.labels.sum() == 20
    owner = {}
    for label, tile, evidence, block in zip(bags.labels, bags.tile, bags.evidence, bags.block, strict=True):
        share = evidence.mean()
        assert (evidence == (tissues[tile] == key)).all()
        assert (tissues[tile] == MUCOSA).any(), "the distractor is missing"
        assert (share > 0) == bool(label) if task == "tumour" else (share > 0.05) == bool(label)
        assert 50 <= len(tile) <= 80
        assert all(owner.setdefault(t, block) == block for t in tile)


def test_a_wrong_request_for_virtual_slides_is_named():
    tissues = np.tile(np.arange(9), 200)
    with pytest.raises(ValueError, match="task must be tumour or stroma"):
        make_bags(np.eye(1800, 6), tissues, 4, task="x", seed=0)
    with pytest.raises(ValueError, match="n_bags must be an even number"):
        make_bags(np.eye(1800, 6), tissues, 3, seed=0)
    with pytest.raises(ValueError, match="tissues must hold at least 20 tiles"):
        make_bags(np.eye(90, 6), tissues[:90], 4, seed=0)
