"""Four findings on 4,376 films of ChestX-ray14 as radiologists adjudicated them, beside the text-mined labels.

Publisher: Majkowska et al., Radiology 2020. The licence of the table is not stated where it is carried.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from .errors import DataError
from .fetch import locate
from .image_sets import assert_counts
from .readers import read_table

NAME = "nih_four_findings"
# Column of the table, and the findings of ChestX-ray14 that mean the same; None: it has none.
_FINDINGS = {
    "Fracture": ("fracture", None),
    "Pneumothorax": ("pneumothorax", ("Pneumothorax",)),
    "Airspace opacity": ("lung_opacity", None),
    "Nodule or mass": ("nodule_mass", ("Nodule", "Mass")),
}
_PARTS = ("val", "test")


def load_expert_labels(path: Path | None = None) -> pd.DataFrame:
    """One row a film: image, patient_id, age (years), sex, view, split (val, test), and 0 and 1 for each finding.

    Columns of findings: fracture, pneumothorax, lung_opacity ("airspace opacity"), nodule_mass as adjudicated, and
    mined_pneumothorax, mined_nodule_mass as ChestX-ray14 read them from the report.
    path: google2019_nih-chest-xray-labels.csv.gz; found, verified and counted when left out.
    Raises DataError when an entry is neither YES nor NO, or the counts do not hold.
    """
    source = locate(NAME) if path is None else Path(path)
    raw = read_table(source, ("Image Index", "Finding Labels", "Patient ID", "Set Id", *_FINDINGS))
    wrong = [name for name in _FINDINGS if not raw[name].isin(["YES", "NO"]).all()]
    if wrong or not raw["Set Id"].isin(_PARTS).all():
        raise DataError(f"{source}: {wrong[0] if wrong else 'Set Id'}: expected YES, NO and val, test only")
    named = raw["Finding Labels"].str.split("|")
    table = pd.DataFrame(
        {
            "image": raw["Image Index"],
            "patient_id": raw["Patient ID"],
            "age": pd.to_numeric(raw["Patient Age"]),
            "sex": raw["Patient Gender"],
            "view": raw["View Position"],
            "split": raw["Set Id"],
            **{name: (raw[column] == "YES").astype(int) for column, (name, _) in _FINDINGS.items()},
        }
    )
    for name, mined in _FINDINGS.values():
        if mined:
            table[f"mined_{name}"] = [int(bool(set(mined) & set(found))) for found in named]
    if path is None:
        assert_counts(NAME, {"films": len(table), "patients": table["patient_id"].nunique()})
    return table
