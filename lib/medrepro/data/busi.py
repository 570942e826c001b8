"""Breast ultrasound images (BUSI, Al-Dhabyani 2020), 128 x 128: normal, benign, malignant.

Patients are not published. Near copies of an image (the same lesion again, cropped or annotated) are common, some
with another label; they are grouped, and the group takes the place of the patient in splits and resampling. It is a
lower bound: views of one woman that look different stay apart.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from .copies import linked_groups, near_copies, pixel_hashes, repeats
from .errors import DataError
from .fetch import locate
from .image_sets import ImageSet, assert_counts
from .readers import read_arrays

NAME = "busi"
CLASSES = ("normal", "benign", "malignant")
_COUNTS = {
    "images": 780, "normal": 133, "benign": 437, "malignant": 210, "near_copy_pairs": 211, "near_copy_images": 311,
    "near_copy_pairs_of_two_classes": 10, "groups": 607, "surplus_copies": 1,
}  # fmt: skip


def load_busi(path: Path | None = None) -> ImageSet:
    """All 780 images with label `finding` (normal, benign, malignant), in memory.

    path: busi_128.npz; found, verified and counted when left out. patient_id: group of near copies ("group-0000",
    see `copies.near_copies`: cosine above 0.98 at 16 x 16). metadata: file, width, height (of the original, pixels),
    repeats_earlier (its exact copy comes before it), mixed_group (its group holds images of different classes).
    Raises DataError when the file is not of the expected layout, or the counts do not hold.
    """
    source = locate(NAME) if path is None else Path(path)
    arrays = read_arrays(source, ("images", "labels", "class_names", "filenames", "original_wh"))
    images, labels = arrays["images"], arrays["labels"]
    if tuple(arrays["class_names"].tolist()) != CLASSES or not np.isin(labels, range(3)).all():
        raise DataError(f"{source}: classes must be {', '.join(CLASSES)} as 0, 1, 2")
    pairs = near_copies(images)
    groups = linked_groups(arrays["filenames"], pairs=pairs)
    mixed = pd.Series(labels).groupby(groups).transform("nunique").to_numpy() > 1
    width, height = arrays["original_wh"].T
    made = ImageSet(
        name=NAME,
        images=images,
        labels=pd.DataFrame({"finding": np.array(CLASSES)[labels]}),
        patient_id=np.array([f"group-{group:04d}" for group in groups]),
        site=np.full(len(images), "Cairo"),
        split=np.full(len(images), ""),
        metadata=pd.DataFrame(
            {
                "file": arrays["filenames"],
                "width": width,
                "height": height,
                "repeats_earlier": repeats(pixel_hashes(images)),
                "mixed_group": mixed,
            }
        ),
        unit="group of near copies",
        source="BUSI, Al-Dhabyani et al. 2020, CC BY 4.0",
    )
    if path is None:
        found = {"images": len(images), "near_copy_pairs": len(pairs), "near_copy_images": len(np.unique(pairs))}
        found |= {name: int((labels == number).sum()) for number, name in enumerate(CLASSES)}
        found["near_copy_pairs_of_two_classes"] = int((labels[pairs[:, 0]] != labels[pairs[:, 1]]).sum())
        found |= {"groups": made.n_patients, "surplus_copies": int(made.metadata["repeats_earlier"].sum())}
        assert_counts(NAME, found, _COUNTS)
    return made
