"""Reader studies: the highest mark of a case, no mark, not read; and the real studies against each other."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from medrepro.data import DataError, locate_all
from medrepro.data.reader_studies import load_raters, load_study, study_names
from tiny_image_sets import needs_data


@pytest.fixture
def files(tmp_path):
    """One free-response study of two readers (1 and 10) and three cases, and Kundel with two modalities."""
    marks = pd.DataFrame(
        [
            ("dataset01", "A", "1", 1, 0, "NL", 1, 2), ("dataset01", "A", "1", 3, 1, "NL", 1, 5),
            ("dataset01", "A", "1", 3, 1, "LL", 1, 4), ("dataset01", "A", "10", 3, 1, "LL", 1, 3),
            ("dataset02", "X", "1", 1, 0, "NL", 1, 1),
        ],
        columns=["dataset", "modality", "reader", "case", "truth", "mark", "slot", "rating"],
    )  # fmt: skip
    (tmp_path / "rjafroc_marks.csv.gz").write_bytes(gzip.compress(marks.to_csv(index=False).encode()))
    (tmp_path / "rjafroc_datasets.csv").write_text(
        "dataset,name,type,n_modalities,n_readers,n_nondiseased,n_diseased,design\n"
        "dataset01,TINY,FROC,1,2,2,1,FCTRL\ndataset02,WRONG,ROC,2,1,1,0,FCTRL\n"
    )
    (tmp_path / "rjafroc_lesions.csv").write_text("dataset,case,n_lesions\ndataset01,3,2\n")
    (tmp_path / "mrmcaov_Kundel.csv").write_text(
        "reader,treatment,treatment_name,case,truth,rating\n1,1,film,1,0,2\n1,1,film,2,1,4\n1,2,screen,2,1,5\n"
    )
    (tmp_path / "irr_video.csv").write_text("rater1,rater2\n4,3\n")
    return {path.name: path for path in tmp_path.iterdir()}


def test_a_case_has_its_highest_mark_and_minus_infinity_without_one(files):
    study = load_study("TINY", files)
    assert study.readers == ("1", "10")
    assert study.cases.tolist() == [1, 2, 3]
    assert study.truth.tolist() == [0, 0, 1]
    assert study.lesions.tolist() == [0, 0, 2]
    assert study.ratings[0].tolist() == [[2, -np.inf, 5], [-np.inf, -np.inf, 3]]


def test_a_case_that_was_not_read_is_not_a_case_without_a_mark(files):
    study = load_study("KUNDEL", files)
    assert study.modalities == ("film", "screen")
    assert study.ratings[:, 0] == pytest.approx(np.array([[2, 4], [np.nan, 5]]), nan_ok=True)


def test_studies_that_contradict_their_table_and_unknown_names_are_errors(files):
    assert study_names(files) == ["TINY", "WRONG", "KUNDEL"]
    with pytest.raises(ValueError, match="name must be one of TINY, WRONG, KUNDEL, got 'VAN-DYKE'"):
        load_study("VAN-DYKE", files)
    with pytest.raises(DataError, match=r"WRONG has \(1, 1, 0\) modalities, readers and diseased cases"):
        load_study("WRONG", files)
    text = files["rjafroc_datasets.csv"].read_text()
    files["rjafroc_datasets.csv"].write_text(text.replace("1,2,2,1", "1,2,1,1"))
    with pytest.raises(DataError, match="marks on case 3, which the study does not have"):
        load_study("TINY", files)
    files["rjafroc_datasets.csv"].write_text(text.replace("1,2,2,1", "1,2,0,3"))
    with pytest.raises(DataError, match="truth of a mark is not that of its case"):
        load_study("TINY", files)


def test_raters_are_a_matrix_of_subjects_and_raters(files):
    assert load_raters("video", files).to_numpy().tolist() == [[4, 3]]
    with pytest.raises(ValueError, match="name must be one of anxiety, diagnoses, video, got 'other'"):
        load_raters("other", files)


@needs_data("reader_studies")
def test_the_real_studies_are_complete_and_van_dyke_is_the_same_in_both_packages():
    studies = [load_study(name) for name in study_names()]
    assert len(studies) == 15
    assert sum(len(study.marks) for study in studies) == 26642 + 1140
    for study in studies:
        if study.kind == "ROC" and study.name not in ("KUNDEL", "DOBBINS-2"):  # Dobbins: no mark where nothing was seen
            assert np.isfinite(study.ratings).all(), study.name
    files = locate_all("reader_studies")
    for name, file in (("VAN-DYKE", "mrmcaov_VanDyke.csv"), ("FRANKEN", "mrmcaov_Franken.csv")):
        study, other = load_study(name), pd.read_csv(files[file])
        table = other.pivot_table(index=["truth", "case"], columns=["treatment", "reader"], values="rating")
        rows = [
            (t, *r)
            for t, r in zip(study.truth, study.ratings.transpose(2, 0, 1).reshape(len(study.cases), -1), strict=True)
        ]
        assert sorted(map(tuple, rows)) == sorted(
            (t, *r) for (t, _), r in zip(table.index, table.to_numpy(), strict=True)
        )


@needs_data("reader_studies")
def test_half_of_kundels_cases_were_read_with_each_modality():
    study = load_study("KUNDEL")
    assert np.isfinite(study.ratings).all(axis=1).sum(axis=1).tolist() == [95, 95, 95]
    assert (len(study.cases), study.truth.sum()) == (190, 56)
    assert [load_raters(name).shape for name in ("anxiety", "diagnoses", "video")] == [(20, 3), (30, 6), (20, 4)]
