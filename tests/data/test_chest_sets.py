"""ChestX-ray14, CheXpert, MIMIC-CXR-JPG, PadChest and VinDr-CXR on tiny files in their exact layout."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from dicom_files import dicom
from medrepro.data import DataError
from medrepro.data.chest_sets import (
    load_chestxray14,
    load_chexpert,
    load_mimic_cxr_jpg,
    load_padchest,
    load_vindr_cxr,
)
from tiny_image_sets import (
    picture,
    write_chestxray14,
    write_chexpert,
    write_mimic,
    write_padchest,
    write_vindr,
)


def test_chestxray14_has_its_official_parts_patients_and_findings(tmp_path):
    films = load_chestxray14(write_chestxray14(tmp_path), size=8)
    assert films.split.tolist() == ["train", "train", "train", "test"]
    assert films.patient_id.tolist() == ["1", "1", "2", "3"]
    assert films.labels[["cardiomegaly", "effusion", "no_finding", "nodule_mass"]].to_numpy().tolist() == [
        [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1],
    ]  # fmt: skip
    assert films.metadata["age"].tolist() == [58, 59, 40, 30]
    assert films.array.shape == (4, 8, 8)
    assert films.access == "open"


def test_a_film_outside_of_the_official_lists_is_an_error(tmp_path):
    write_chestxray14(tmp_path)
    (tmp_path / "test_list.txt").write_text("")
    with pytest.raises(DataError, match=r"1 films are in neither of the official lists, first 00000003_000\.png"):
        load_chestxray14(tmp_path)


def test_missing_images_are_an_error_or_left_out(tmp_path):
    write_chestxray14(tmp_path)
    (tmp_path / "images_001" / "images" / "00000001_000.png").unlink()
    with pytest.raises(DataError, match=r"chestxray14: 1 of 4 files are missing, first .*00000001_000\.png"):
        load_chestxray14(tmp_path)
    assert len(load_chestxray14(tmp_path, missing="skip")) == 3


def test_missing_tables_and_folders_are_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no Data_Entry_2017_v2020\.csv or Data_Entry_2017\.csv"):
        load_chestxray14(tmp_path)
    with pytest.raises(DataError, match=r"chexpert: the folder .*nowhere does not exist"):
        load_chexpert(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"holds no train\.csv"):
        load_chexpert(tmp_path)
    with pytest.raises(DataError, match=r"holds no mimic-cxr-2\.0\.0-metadata\.csv"):
        load_mimic_cxr_jpg(tmp_path)


def test_chexpert_keeps_uncertain_and_missing_apart_and_lateral_films_out(tmp_path):
    films = load_chexpert(write_chexpert(tmp_path))
    assert films.split.tolist() == ["train", "train", "val"]
    assert films.patient_id.tolist() == ["patient00001", "patient00002", "patient64541"]
    assert films.labels["cardiomegaly"].tolist() == [-1, 1, 0]
    assert films.labels["no_finding"].tolist() == pytest.approx([1, np.nan, 0], nan_ok=True)
    assert films.metadata["view"].tolist() == ["AP", "AP", "AP"]
    assert films.metadata["sex"].tolist() == ["F"] * 3
    assert films.images[0].shape == (12, 10)
    assert films.access == "registration"
    everything = load_chexpert(tmp_path, views="all")
    assert everything.metadata["view"].tolist() == ["AP", "Lateral", "AP", "AP"]


def test_chexpert_with_another_layout_of_paths_is_an_error(tmp_path):
    write_chexpert(tmp_path)
    path = tmp_path / "CheXpert-v1.0-small" / "train.csv"
    path.write_text(path.read_text().replace("/patient00002/study3", ""))
    with pytest.raises(DataError, match="chexpert: Path must read CheXpert-v1"):
        load_chexpert(tmp_path)


def test_mimic_takes_labels_by_study_and_parts_by_image(tmp_path):
    films = load_mimic_cxr_jpg(write_mimic(tmp_path))
    assert films.split.tolist() == ["train", "train", "val", "test"]
    assert films.patient_id.tolist() == ["10000032", "10000032", "11000011", "12000012"]
    assert films.labels["atelectasis"].tolist() == pytest.approx([1, -1, np.nan, np.nan], nan_ok=True)
    assert films.labels.loc[2].isna().all()  # a study without labels
    assert films.access == "credentialed"
    assert len(load_mimic_cxr_jpg(tmp_path, views="all")) == 5


def test_mimic_refuses_an_image_without_a_part_and_a_study_twice(tmp_path):
    write_mimic(tmp_path)
    path = tmp_path / "mimic-cxr-2.0.0-split.csv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress("\n".join(lines[:-1]).encode()))
    with pytest.raises(DataError, match="1 images have no part in mimic-cxr-2"):
        load_mimic_cxr_jpg(tmp_path)
    path.write_bytes(gzip.compress("\n".join([*lines, lines[-1]]).encode()))
    with pytest.raises(DataError, match="is there twice, expected once"):
        load_mimic_cxr_jpg(tmp_path)


def test_counts_of_a_credentialed_set_are_hidden_when_small(tmp_path):
    table = load_mimic_cxr_jpg(write_mimic(tmp_path)).describe("atelectasis")
    assert set(table["images"]) == {"< 10"}


def test_padchest_reads_its_lists_sixteen_bits_and_frontal_views(tmp_path):
    films = load_padchest(write_padchest(tmp_path))
    assert films.metadata["view"].tolist() == ["PA", "AP_horizontal", "AP", "PA"]
    assert films.labels["cardiomegaly"].tolist() == pytest.approx([1, 0, np.nan, 0], nan_ok=True)
    assert films.labels["effusion"].tolist() == pytest.approx([1, 0, np.nan, 0], nan_ok=True)  # " pleural effusion"
    assert films.labels["pneumothorax"].iloc[3] == 1  # hydropneumothorax
    assert films.labels["no_finding"].iloc[1] == 1
    assert films.metadata["age"].tolist() == [65, 65, 45, 45]
    assert films.metadata["sex"].iloc[2] is np.nan or pd.isna(films.metadata["sex"].iloc[2])
    assert films.metadata["by_physician"].tolist() == [True, False, False, True]
    assert films.images[0].dtype == np.uint16
    assert films.images[0].max() > 255
    assert (films.split == "").all()
    assert len(load_padchest(tmp_path, views="all")) == 5


@pytest.mark.parametrize("labels", ["cardiomegaly", "__import__('os').getcwd()", "{'a': 1}", "['a', 1]"])
def test_padchest_labels_that_are_no_list_of_names_are_refused(labels, tmp_path):
    write_padchest(tmp_path)
    path = tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
    table = pd.read_csv(path, dtype=str)
    table.loc[0, "Labels"] = labels
    table.to_csv(path, index=False)
    with pytest.raises(DataError, match=r"padchest: Labels must read \['label', 'label'\], got"):
        load_padchest(tmp_path)


def test_vindr_takes_the_majority_of_readers_and_the_image_as_unit(tmp_path):
    films = load_vindr_cxr(write_vindr(tmp_path))
    assert films.split.tolist() == ["train", "train", "test"]
    assert films.labels["cardiomegaly"].tolist() == [1, 0, 0]  # two of three
    assert films.labels["effusion"].tolist() == [0, 0, 0]  # one of three
    assert films.labels["no_finding"].tolist() == [0, 1, 0]
    assert films.labels["nodule_mass"].tolist() == [0, 0, 1]
    assert films.metadata["readers"].tolist() == [3, 3, 1]
    assert films.unit == "image (patients are not published)"


def test_vindr_films_are_read_as_published_in_dicom(tmp_path):
    write_vindr(tmp_path)
    (tmp_path / "train" / "t1.png").unlink()
    pixels = np.array([[0, 100], [200, 400]], dtype=np.uint16)
    dicom(tmp_path / "train" / "t1.dicom", pixels, PhotometricInterpretation="MONOCHROME1")
    films = load_vindr_cxr(tmp_path)
    assert films.images[0].tolist() == [[1, 0.75], [0.5, 0]]
    with pytest.raises(DataError, match="name one size"):
        films.in_memory()
    picture(tmp_path / "train" / "t2.png", seed=1)
    assert load_vindr_cxr(tmp_path, size=4).images[1].shape == (4, 4)


def test_vindr_votes_other_than_yes_and_no_are_refused(tmp_path):
    write_vindr(tmp_path)
    path = tmp_path / "annotations" / "image_labels_test.csv"
    path.write_text(path.read_text().replace(",1,", ",2,"))
    with pytest.raises(DataError, match="vindr_cxr: Nodule/Mass: labels must be 1, 0, -1 or empty, got '2'"):
        load_vindr_cxr(tmp_path)
    path.write_text(path.read_text().replace(",2,", ",-1,"))
    with pytest.raises(DataError, match=r"image_labels_test\.csv: votes must be 0 or 1"):
        load_vindr_cxr(tmp_path)


def test_labels_that_are_no_numbers_are_named(tmp_path):
    write_chexpert(tmp_path)
    path = tmp_path / "CheXpert-v1.0-small" / "train.csv"
    path.write_text(path.read_text().replace(",-1.0,", ",maybe,", 1))
    with pytest.raises(DataError, match="chexpert: Cardiomegaly: labels must be 1, 0, -1 or empty, got 'maybe'"):
        load_chexpert(tmp_path)
