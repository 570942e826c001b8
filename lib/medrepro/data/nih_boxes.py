"""Boxes that radiologists drew around findings on films of ChestX-ray14; the films themselves are `chest_sets`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from .errors import DataError
from .fetch import locate
from .image_sets import assert_counts
from .readers import read_table

NAME = "nih_chestxray14_boxes"
SIDE = 1024  # pixels of the published films
_COUNTS = {"boxes": 984, "films": 880}


def load_boxes(path: Path | None = None) -> pd.DataFrame:
    """One row a box: image ("00013118_008.png"), patient_id, finding (common name), x, y, width, height in pixels.

    path: BBox_List_2017.csv.gz; found, verified and counted when left out. x, y: left upper corner, of 1024 x 1024.
    Raises DataError when the table is another one or a box lies outside of its film.
    """
    source = locate(NAME) if path is None else Path(path)
    raw = read_table(source, ("Image Index", "Finding Label"))
    numbers = raw.iloc[:, 2:6]  # the header "Bbox [x,y,w,h]" names four columns at once
    try:
        boxes = numbers.astype(float).set_axis(["x", "y", "width", "height"], axis=1)
    except ValueError as error:
        raise DataError(f"{source}: boxes must be four numbers: {error}") from None
    inside = (boxes["x"] >= 0) & (boxes["y"] >= 0) & (boxes["x"] + boxes["width"] <= SIDE) & (
        boxes["y"] + boxes["height"] <= SIDE) & (boxes["width"] > 0) & (boxes["height"] > 0)  # fmt: skip
    if not inside.all():
        raise DataError(
            f"{source}: {(~inside).sum()} boxes do not lie inside 1024 x 1024, first in row {inside.idxmin()}"
        )
    # One finding is spelt otherwise in this table.
    finding = raw["Finding Label"].str.lower().replace({"infiltrate": "infiltration"})
    # Patients are numbered as in the table of films, without leading zeros.
    patient = raw["Image Index"].str.split("_").str[0].astype(int).astype(str)
    table = pd.concat(
        [raw["Image Index"].rename("image"), patient.rename("patient_id"), finding.rename("finding")], axis=1
    )
    table = pd.concat([table, boxes], axis=1)
    if path is None:
        assert_counts(NAME, {"boxes": len(table), "films": table["image"].nunique()}, _COUNTS)
    return table
