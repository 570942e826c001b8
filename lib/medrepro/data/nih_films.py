"""NIH ChestX-ray14 without its images: one row a film, with findings, age, sex, view and follow-up number.

Findings were read from reports by a program; about one in ten is wrong (Wang et al., CVPR 2017). A film without any of
the fourteen says "No Finding" there, which is not the same as a healthy person. Films of one patient belong together.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from .errors import DataError
from .fetch import locate
from .manifests import load

NAME = "nih_chestxray14_metadata"
FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis",
    "Hernia", "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
)  # fmt: skip
_COLUMNS = {
    "Patient ID": "patient_id",
    "Follow-up #": "follow_up",
    "Patient Age": "age_years",
    "Patient Gender": "sex",
    "View Position": "view",
}


def load_films(path: Path | None = None) -> pd.DataFrame:
    """All films, one row each, sorted by patient and follow-up number.

    path: Data_Entry_2017_v2020.csv.gz; fetched and verified when left out.
    Columns: patient_id, follow_up (0 = first film), age_years, sex ("F", "M"), view ("AP" lying or at the bedside, "PA"
    standing), and one column of 0 and 1 for each of FINDINGS.
    Raises DataError when the file is another one or the counts of the manifest do not hold.
    """
    source = Path(path) if path is not None else locate(NAME)
    try:
        raw = pd.read_csv(source, usecols=[*_COLUMNS, "Finding Labels"])
    except (OSError, ValueError) as error:
        raise DataError(f"{NAME}: {source.name} is not the expected table: {' '.join(str(error).split())}") from None
    named = raw["Finding Labels"].str.get_dummies("|")
    unknown = sorted(set(named.columns) - {*FINDINGS, "No Finding"})
    if unknown:
        raise DataError(f"{NAME}: findings must be those of ChestX-ray14, got {', '.join(unknown)}")
    films = pd.concat(
        [raw[list(_COLUMNS)].rename(columns=_COLUMNS), named.reindex(columns=FINDINGS, fill_value=0)], axis=1
    )
    found = {
        "films": len(films),
        "patients": films["patient_id"].nunique(),
        "no_finding": int(named["No Finding"].sum()) if "No Finding" in named else 0,
    }
    for key, expected in load(NAME).counts.items():
        if found[key] != expected:
            raise DataError(f"{NAME}: {found[key]} {key.replace('_', ' ')} were loaded, expected {expected}")
    return films.sort_values(["patient_id", "follow_up"], ignore_index=True)


def first_films(films: pd.DataFrame) -> pd.DataFrame:
    """The first film of each patient: independent rows."""
    return films.groupby("patient_id", sort=True).head(1).reset_index(drop=True)
