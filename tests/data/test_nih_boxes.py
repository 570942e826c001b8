"""Boxes of ChestX-ray14: common names, patients as in the films, inside the film."""

from __future__ import annotations

import gzip

import pytest

from medrepro.data import DataError
from medrepro.data.labels import FINDINGS
from medrepro.data.nih_boxes import load_boxes
from tiny_image_sets import needs_data


def write(path, *rows):
    text = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n" + "".join(f"{row}\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()))
    return path


def test_a_box_has_a_common_name_a_patient_and_four_numbers(tmp_path):
    boxes = load_boxes(write(tmp_path / "b.csv.gz", "00013118_008.png,Infiltrate,225.08,547.02,86.78,79.19"))
    assert boxes.iloc[0].to_dict() == {
        "image": "00013118_008.png", "patient_id": "13118", "finding": "infiltration", "x": 225.08, "y": 547.02,
        "width": 86.78, "height": 79.19,
    }  # fmt: skip


@pytest.mark.parametrize("box", ["1000,0,30,30", "0,0,0,5", "-1,0,5,5"])
def test_a_box_outside_of_the_film_is_an_error(box, tmp_path):
    with pytest.raises(DataError, match="1 boxes do not lie inside 1024 x 1024, first in row 0"):
        load_boxes(write(tmp_path / "b.csv.gz", f"00000001_000.png,Mass,{box}"))


@needs_data("nih_cxr14_metadata")
def test_the_real_boxes_are_of_eight_findings():
    boxes = load_boxes()
    assert (len(boxes), boxes["image"].nunique(), boxes["finding"].nunique()) == (984, 880, 8)
    assert set(boxes["finding"]) <= set(FINDINGS)
