"""Brixia scores of 192 films of the Cohen collection: six lung zones, each 0 to 3, by a senior and a junior reader.

The scores are CC BY-NC-SA 4.0 (BrixIA). 88 of the films are in `covid_cxr.load_cohen`; for agreement between the two
readers all 192 count. Patients are not named in this table: of the other films they are unknown.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from .covid_cxr import COHEN, ZONES
from .errors import DataError
from .fetch import locate
from .image_sets import assert_counts
from .readers import read_table

READERS = {"S": "senior", "J": "junior"}
HIGHEST = 3


def load_brixia(path: Path | None = None) -> pd.DataFrame:
    """One row a film and zone: film (file name), zone (one of ZONES), senior and junior (whole numbers 0 to 3).

    path: brixia_public_annotations.csv; found, verified and counted when left out (1,152 rows of 192 films).
    Raises DataError when a score is missing or none of 0 to 3, or the sum of a film is not that of its zones.
    """
    source = locate(COHEN, "brixia_public_annotations.csv") if path is None else Path(path)
    zones = {f"{short}-{zone}": (reader, zone) for short, reader in READERS.items() for zone in ZONES}
    sums = [f"{short}-Global" for short in READERS]
    raw = read_table(source, ("filename", *zones, *sums), encoding="utf-8-sig")
    scores = raw[[*zones, *sums]].apply(pd.to_numeric, errors="coerce")
    if not scores[list(zones)].isin(range(HIGHEST + 1)).all(axis=None):
        raise DataError(f"{source}: scores of a zone must be 0 to {HIGHEST}")
    for short in READERS:
        wrong = scores[[f"{short}-{zone}" for zone in ZONES]].sum(axis=1) != scores[f"{short}-Global"]
        if wrong.any():
            raise DataError(f"{source}: {short}-Global of {raw['filename'][wrong].iloc[0]} is not the sum of its zones")
    table = pd.DataFrame({"film": np.repeat(raw["filename"].to_numpy(), len(ZONES)), "zone": [*ZONES] * len(raw)})
    for short, reader in READERS.items():
        table[reader] = scores[[f"{short}-{zone}" for zone in ZONES]].to_numpy(dtype=np.int64).ravel()
    if path is None:
        assert_counts(COHEN, {"brixia_rows": len(raw)}, {"brixia_rows": 192})
    return table
