"""Chest radiographs of adults with COVID-19 and other pneumonia: the Hannover and the Cohen collection, 256 x 256.

104 films of the Cohen collection are Hannover films. They are left out of `load_cohen`, so that the two can be two
sites. Traps that no adapter can take away: all Hannover films taken in intensive care are AP, and the aspect ratio
alone tells AP from PA, so that neither view nor intensive care is a usable label; a label whose classes come from
different collections measures age and scanner.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import DataError
from .fetch import locate_all
from .image_sets import ImageSet, assert_counts
from .readers import read_arrays, read_table

HANNOVER, COHEN = "covid19_hannover_cxr", "covid_chestxray_cohen"
# One woman, published twice (Radiopaedia and Eurorad): four of her films are there under both ids. Five patients of
# Hannover have two ids in the Cohen collection each.
_SAME_PATIENT = {"178": "97", "384": "226", "385": "233", "386": "236", "388": "245", "392": "269"}
ZONES = ("A", "B", "C", "D", "E", "F")  # Brixia: right lung upper, middle, lower; left lung upper, middle, lower
_HANNOVER_COUNTS = {"films": 243, "patients": 71, "intensive_care": 150, "intensive_care_ap": 150}
_COHEN_COUNTS = {
    "films": 353, "patients": 203, "hannover_films": 104, "kept_films": 249, "kept_patients": 147,
    "kept_ids": 148, "without_non_commercial_clause": 9, "brixia_films": 88, "mask_films": 44, "structures": 13,
}  # fmt: skip


def load_hannover(files: Mapping[str, Path] | None = None) -> ImageSet:
    """The 243 films of 71 patients of Hannover Medical School, all with COVID-19, in memory.

    files: hannover_cxr_256.npz and hannover_cxr.csv by name; found, verified and counted when left out.
    labels: death (1 when a day of death is recorded for the patient; death after the record's end is not known),
    intensive_care (1 when the film was taken between the recorded days, the first and last included; both
    confounded, see the module's docstring). metadata: image_id, sex (f, m), view (AP, PA), days from the film to
    admission, intensive care and death, laboratory values in their units, width and height (pixels). -inf and inf:
    below and above what the laboratory states.
    Raises DataError when the files do not fit each other, or the counts do not hold.
    """
    given = locate_all(HANNOVER) if files is None else files
    arrays = read_arrays(given["hannover_cxr_256.npz"], ("images", "image_id"))
    table = read_table(given["hannover_cxr.csv"], ("patient_id", "image_id", "sex", "projection", "death_offset"))
    table = _in_order(table, "image_id", arrays["image_id"], HANNOVER)
    numbers = [c for c in table if c.endswith(("_offset", "_val")) or c.startswith("png_")]
    table[numbers] = table[numbers].apply(pd.to_numeric)
    before, after = table["icu_admission_offset"], table["icu_release_offset"]
    inside = (before <= 0) & ((after >= 0) | after.isna())
    names = {"projection": "view", "png_w": "width", "png_h": "height"}
    metadata = table.drop(columns=["patient_id", "age", "size", "weight"], errors="ignore").rename(columns=names)
    made = ImageSet(
        name=HANNOVER,
        images=arrays["images"],
        labels=pd.DataFrame({"death": table["death_offset"].notna().astype(int), "intensive_care": inside.astype(int)}),
        patient_id=table["patient_id"].to_numpy(dtype=str),
        site=np.full(len(table), "Hannover"),
        split=np.full(len(table), ""),
        metadata=metadata.assign(view=metadata["view"].str.upper()),
        unit="patient",
        source="Hannover Medical School, covid-19-image-repository, CC BY 3.0",
    )
    if files is None:
        care = made.labels["intensive_care"] == 1
        found = {"films": len(made), "patients": made.n_patients, "intensive_care": int(care.sum())}
        found["intensive_care_ap"] = int((care & (made.metadata["view"] == "AP")).sum())
        assert_counts(HANNOVER, found, _HANNOVER_COUNTS)
    return made


def load_cohen(files: Mapping[str, Path] | None = None, *, hannover: bool = False) -> ImageSet:
    """The 249 films of 147 patients (148 ids) of the Cohen collection that are not Hannover films, in memory.

    hannover: keep the 104 Hannover films (50 patients under 55 ids), with site "Hannover"; never beside load_hannover.
    files: cohen_cxr_256.npz and cohen_cxr.csv by name; found, verified and counted when left out.
    labels: finding (text; missing where the publisher has "todo" or "Unknown"), brixia_senior and brixia_junior (sum
    over six lung zones, 0 to 18, of two readers; nan where not read). metadata: filename, hannover_image_id, sex, age
    (years), view (AP, PA, AP Supine), course of the illness (Y, N), clinical_notes, licence (of the single film),
    non_commercial, doi, url, width and height (of the original, pixels), the Brixia zones (brixia_S-A ... senior,
    brixia_J-A ... junior; 0 to 3), and the lung boxes right_x, right_y, right_w, right_h, left_x, ... in pixels of the
    256 x 256 image. Brixia scores are non-commercial as well.
    Raises DataError when the files do not fit each other, or the counts do not hold.
    """
    given = locate_all(COHEN) if files is None else files
    arrays = read_arrays(given["cohen_cxr_256.npz"], ("images", "filename"))
    columns = ("filename", "patientid", "finding", "license", "hannover_image_id", "right_lung_box", "left_lung_box")
    everything = _in_order(read_table(given["cohen_cxr.csv"], columns), "filename", arrays["filename"], COHEN)
    elsewhere = everything["hannover_image_id"].isna().to_numpy()
    kept = elsewhere | hannover
    table = everything[kept].reset_index(drop=True)
    numbers = [c for c in table if c.startswith("brixia_")] + ["age", "orig_w", "orig_h"]
    table[numbers] = table[numbers].apply(pd.to_numeric)
    labels = pd.DataFrame(
        {
            "finding": table["finding"].where(~table["finding"].isin(["todo", "Unknown"])),
            "brixia_senior": table["brixia_S-Global"],
            "brixia_junior": table["brixia_J-Global"],
        }
    )
    boxes = pd.concat([_box(table[f"{side}_lung_box"], side) for side in ("right", "left")], axis=1)
    names = {"license": "licence", "orig_w": "width", "orig_h": "height"}
    drop = ["index", "patientid", "finding", "right_lung_box", "left_lung_box"]
    metadata = table.drop(columns=drop, errors="ignore").rename(columns=names)
    metadata["non_commercial"] = metadata["licence"].str.contains("NC")
    metadata["view"] = metadata["view"].where(metadata["view"] != "?")
    made = ImageSet(
        name=COHEN,
        images=arrays["images"][kept],
        labels=labels,
        patient_id=table["patientid"].replace(_SAME_PATIENT).to_numpy(dtype=str),
        site=np.where(elsewhere[kept], "many (publications)", "Hannover"),
        split=np.full(len(table), ""),
        metadata=pd.concat([metadata, boxes], axis=1),
        unit="patient",
        source="Cohen et al. 2020, covid-chestxray-dataset, licence of each film in metadata",
    )
    if files is None:
        found = {"films": len(everything), "patients": everything["patientid"].nunique()}  # ids, as published
        own = made.subset(elsewhere[kept])
        found |= {"hannover_films": int((~elsewhere).sum()), "kept_films": len(own), "kept_patients": own.n_patients}
        found["kept_ids"] = everything.loc[elsewhere, "patientid"].nunique()
        found["without_non_commercial_clause"] = int((~own.metadata["non_commercial"]).sum())
        found["brixia_films"] = int(own.labels["brixia_senior"].notna().sum())
        named = read_arrays(given["cohen_masks_256.npz"], ("filename", "structure"))
        found["mask_films"], found["structures"] = len(named["filename"]), len(named["structure"])
        assert_counts(COHEN, found, _COHEN_COUNTS)
    return made


def load_cohen_masks(path: Path | None = None) -> tuple[NDArray[np.bool_], list[str], list[str]]:
    """Masks (44, 13, 256, 256) of 13 structures, the film each belongs to (as in metadata), and their names."""
    source = locate_all(COHEN)["cohen_masks_256.npz"] if path is None else Path(path)
    arrays = read_arrays(source, ("masks", "filename", "structure"))
    packed = arrays["masks"]
    if packed.dtype != np.uint8 or packed.shape[:2] != (len(arrays["filename"]), len(arrays["structure"])):
        raise DataError(f"{source}: masks are {packed.dtype} {packed.shape}, expected packed (film, structure, y, x)")
    masks = np.unpackbits(packed, axis=-1).astype(bool)
    return masks, arrays["filename"].tolist(), arrays["structure"].tolist()


def _box(column: pd.Series, side: str) -> pd.DataFrame:
    """Four numbers of "x y w h"."""
    values = column.str.split(" ", expand=True)
    if values.shape[1] != 4 or values.isna().any(axis=None):
        raise DataError(f"{COHEN}: cohen_cxr.csv: {column.name} must be four numbers 'x y w h' for every film")
    return values.astype(float).set_axis([f"{side}_{letter}" for letter in "xywh"], axis=1)


def _in_order(table: pd.DataFrame, key: str, wanted: NDArray, name: str) -> pd.DataFrame:
    """The rows of a table in the order of the images, one each."""
    if table[key].duplicated().any() or set(table[key]) != set(wanted.tolist()) or len(table) != len(wanted):
        raise DataError(f"{name}: table and images do not name the same {key} once each: {len(table)}, {len(wanted)}")
    return table.set_index(key, drop=False).loc[wanted.tolist()].reset_index(drop=True)
