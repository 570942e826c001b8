"""Adjudicated labels of NIH films: yes and no, and beside them what was mined from the report."""

from __future__ import annotations

import gzip

import pytest

from medrepro.data import DataError
from medrepro.data.nih_experts import load_expert_labels
from medrepro.data.splitting import assert_disjoint
from tiny_image_sets import needs_data

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],Fracture,Pneumothorax,Airspace opacity,Nodule or mass,"
    "Set Id\n"
)


def write(path, *rows):
    path.write_bytes(gzip.compress((HEADER + "\n".join(rows)).encode()))
    return path


def test_adjudicated_and_mined_labels_stand_side_by_side(tmp_path):
    rows = ["1_0.png,Mass|Effusion,8,13,60,M,AP,3056,2544,0.139,0.139,NO,YES,NO,YES,test",
            "1_1.png,No Finding,9,13,61,M,PA,3056,2544,0.139,0.139,YES,NO,NO,NO,val"]  # fmt: skip
    table = load_expert_labels(write(tmp_path / "a.csv.gz", *rows))
    assert table["pneumothorax"].tolist() == [1, 0]
    assert table["mined_pneumothorax"].tolist() == [0, 0]
    assert table["mined_nodule_mass"].tolist() == [1, 0]
    assert table["fracture"].tolist() == [0, 1]
    assert table["split"].tolist() == ["test", "val"]


def test_an_entry_that_is_neither_yes_nor_no_is_an_error(tmp_path):
    row = "1_0.png,Mass,8,13,60,M,AP,3056,2544,0.139,0.139,NO,maybe,NO,YES,test"
    with pytest.raises(DataError, match="Pneumothorax: expected YES, NO and val, test only"):
        load_expert_labels(write(tmp_path / "a.csv.gz", row))


@needs_data("nih_four_findings")
def test_the_real_labels_have_their_published_films_and_parts_without_a_common_patient():
    table = load_expert_labels()
    assert (len(table), table["patient_id"].nunique()) == (4376, 1695)
    assert_disjoint(
        {part: (table["split"] == part).to_numpy().nonzero()[0] for part in ("val", "test")}, table["patient_id"]
    )
