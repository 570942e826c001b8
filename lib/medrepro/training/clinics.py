"""Four real clinics: the periodontal trial `opt` (medicaldata), women with a visit-5 examination.

Examiners differ by clinic, as they do in life: the share of bleeding sites has a median of 38 to 67 %. A label is a
fixed cut of a published measure, and inputs are put on fixed scales, both set down before looking: no clinic's data
enter another clinic's label, scale or filling of gaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.errors import DataError
from ..data.trials import Trial, load_trial
from .sites import PARTS, Site, split_site

CLINICS = ("KY", "MN", "MS", "NY")
# Column of visit 5, and the cut above which it counts as present.
OUTCOMES: dict[str, tuple[str, float]] = {
    "bleeding": ("V5..BOP", 50.0),  # % of sites that bleed on probing: more than half
    "pockets": ("V5..PD.4", 15.0),  # % of sites with a pocket of 4 mm or more
    "calculus": ("V5.Calc.I", 0.6),  # index, 0 to 3: above the first fifth of the scale
    "plaque": ("V5.Pl.I", 1.0),  # index, 0 to 3: more than "a film"
}
# Baseline column to (centre, unit): round numbers in the measure's own unit, from no data set.
SCALES: dict[str, tuple[float, float]] = {
    "Age": (25.0, 5.0),  # years
    "BMI": (25.0, 5.0),  # kg/m2
    "N.qualifying.teeth": (14.0, 7.0),  # of 28
    "BL.GE": (1.5, 0.75),  # gingival index, 0 to 3
    "BL..BOP": (50.0, 25.0),  # % of sites
    "BL.PD.avg": (3.0, 0.5),  # mm
    "BL..PD.4": (25.0, 15.0),  # % of sites
    "BL..PD.5": (10.0, 10.0),
    "BL.CAL.avg": (1.5, 1.0),  # mm
    "BL..CAL.2": (50.0, 25.0),  # % of sites
    "BL..CAL.3": (10.0, 10.0),
    "BL.Calc.I": (1.5, 0.75),  # index, 0 to 3
    "BL.Pl.I": (1.5, 0.75),
}
YES = {"Group": "T", "Use.Tob": "Yes"}  # treated early; smokes. 1 for yes, 0 for no and for not known
FEATURES = (*SCALES, *YES)
FRACTIONS = {"train": 0.5, "val": 0.2, "test": 0.3}


def load_clinics(
    outcomes: Sequence[str] = ("bleeding",),
    *,
    fractions: Mapping[str, float] = FRACTIONS,
    files: Mapping[str, Path] | None = None,
    seed: int,
) -> list[Site]:
    """The four clinics as sites; women without one of the outcomes are left out.

    outcomes: keys of OUTCOMES, one label each. fractions: of the women of each clinic. files: as for `load_trial`.
    Raises ValueError for an unknown outcome, DataError when the table is missing or a clinic has no such women.
    """
    unknown = [name for name in outcomes if name not in OUTCOMES]
    if unknown or not outcomes:
        raise ValueError(f"outcomes must be some of {', '.join(OUTCOMES)}, got {list(outcomes)}")
    trial = load_trial("opt", files)
    missing = [column for column in (*FEATURES, *(OUTCOMES[name][0] for name in outcomes)) if column not in trial.table]
    if missing:
        raise DataError(f"opt: column {missing[0]} is missing")
    labels = np.stack([_label(trial.table, name) for name in outcomes], axis=1)
    inputs, known = _inputs(trial), np.isfinite(labels).all(axis=1)
    sites = []
    for clinic in CLINICS:
        rows = known & (trial.site == clinic)
        if rows.sum() < len(PARTS):
            raise DataError(f"opt: clinic {clinic} has {rows.sum()} women with {', '.join(outcomes)}")
        sites.append(
            split_site(clinic, inputs[rows], labels[rows], trial.patient_id[rows], fractions=fractions, seed=seed)
        )
    return sites


def _label(table: pd.DataFrame, outcome: str) -> NDArray[np.float64]:
    """1 above the cut, 0 up to it, nan where visit 5 has no value."""
    column, cut = OUTCOMES[outcome]
    measured = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    return np.where(np.isnan(measured), np.nan, (measured > cut).astype(float))


def _inputs(trial: Trial) -> NDArray[np.float32]:
    """Baseline values (n, F) on their fixed scales; a missing one stands at the centre of its scale."""
    known = trial.features()
    columns = [
        (pd.to_numeric(known[name], errors="coerce").to_numpy(dtype=float) - centre) / unit
        for name, (centre, unit) in SCALES.items()
    ]
    columns += [(known[name] == yes).to_numpy(dtype=float) for name, yes in YES.items()]
    return np.nan_to_num(np.stack(columns, axis=1), nan=0.0).astype(np.float32)
