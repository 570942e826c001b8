"""From a publisher's folder to a registered table and back, in the common shape."""

from __future__ import annotations

import numpy as np
import pytest

from medrepro.data import DataError
from medrepro.data.chest_sets import load_chexpert, load_mimic_cxr_jpg
from medrepro.data.cohort_images import load_cohort, table_of
from medrepro.data.cohort_table import check_table, register_table
from tiny_image_sets import write_chexpert, write_mimic


@pytest.fixture
def own(tmp_path):
    """A user's data folder with CheXpert as published, and its table."""
    folder = tmp_path / "own" / "chexpert"
    folder.mkdir(parents=True)
    films = load_chexpert(write_chexpert(folder))
    parts = ["train", "val", "test"]  # CheXpert has no public test part
    table_of(films, folder, split=parts).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "own", tmp_path / "table.csv", films


def test_a_table_made_from_the_publishers_files_passes_the_check_and_comes_back(own):
    folder, table, films = own
    report = check_table("chexpert", table, folder=folder)
    assert report.problems == ()
    assert report.splits == {"train": 1, "val": 1, "test": 1}
    register_table(report, folder=folder)
    back = load_cohort("chexpert", folder=folder)
    assert back.patient_id.tolist() == films.patient_id.tolist()
    assert back.split.tolist() == ["train", "val", "test"]
    assert back.labels["cardiomegaly"].tolist() == [0, 1, 0]  # uncertain counted as absent
    assert back.metadata["age"].tolist() == [68, 68, 68]
    assert back.access == "registration"
    assert all(np.array_equal(a, b) for a, b in zip(back, films, strict=True))
    assert load_cohort("chexpert", size=4, folder=folder).array.shape == (3, 4, 4)


def test_uncertain_and_missing_follow_the_policy(own):
    folder, _, films = own
    table = table_of(films, folder / "chexpert", ["cardiomegaly", "no_finding"], uncertain="positive", missing="keep")
    assert table["cardiomegaly"].tolist() == [1, 1, 0]
    assert table["no_finding"].isna().tolist() == [False, True, False]


def test_a_table_that_was_altered_and_images_that_went_are_errors(own):
    folder, table, films = own
    with pytest.raises(DataError, match="chexpert: no table is registered"):
        load_cohort("chexpert", folder=folder)
    register_table(check_table("chexpert", table, folder=folder), folder=folder)
    (folder / "chexpert" / table_of(films, folder / "chexpert")["path"][0]).unlink()
    with pytest.raises(DataError, match="chexpert: 1 of 3 files are missing, first"):
        load_cohort("chexpert", folder=folder)


def test_labels_that_are_not_there_and_paths_outside_are_named(own, tmp_path):
    folder, _, films = own
    with pytest.raises(ValueError, match=r"names must be of no_finding, .* got 'hernia'"):
        table_of(films, folder, ["hernia"])
    with pytest.raises(ValueError, match="folder must hold every film"):
        table_of(films, tmp_path / "elsewhere")


def test_a_credentialed_set_keeps_its_access(tmp_path):
    folder = tmp_path / "mimic_cxr_jpg"
    folder.mkdir()
    films = load_mimic_cxr_jpg(write_mimic(folder))
    table_of(films, folder).to_csv(tmp_path / "t.csv", index=False)
    register_table(check_table("mimic_cxr_jpg", tmp_path / "t.csv", folder=tmp_path), folder=tmp_path)
    back = load_cohort("mimic_cxr_jpg", folder=tmp_path)
    assert back.access == "credentialed"
    assert set(back.describe("edema")["images"]) == {"< 10"}
