"""CHASE_DB1: fundus photographs of both eyes of 14 children, with vessel masks of two observers, 480 x 480."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import DataError
from .fetch import locate
from .image_sets import ImageSet, assert_counts
from .readers import read_arrays

NAME = "chase_db1"
_NAME = re.compile(r"Image_(\d+)([LR])")
_COUNTS = {"photographs": 28, "children": 14, "observers": 2}


@dataclass(frozen=True)
class Vessels:
    """Photographs (an ImageSet, images (N, H, W, 3)) and masks (2, N, H, W) bool: what each observer drew."""

    photographs: ImageSet
    masks: NDArray[np.bool_]


def load_chase(path: Path | None = None) -> Vessels:
    """All 28 photographs with both observers' masks; patient_id is the child, whose two eyes belong together.

    path: chase_db1_480.npz; found, verified and counted when left out. metadata: file, eye (L, R). labels has no
    column. Raises DataError when the file is not of the expected layout, or the counts do not hold.
    """
    source = locate(NAME) if path is None else Path(path)
    arrays = read_arrays(source, ("images", "vessels_observer1", "vessels_observer2", "names"))
    images, files = arrays["images"], arrays["names"].tolist()
    found = [_NAME.fullmatch(name) for name in files]
    packed = [arrays["vessels_observer1"], arrays["vessels_observer2"]]
    expected = (*images.shape[:2], -(-images.shape[2] // 8)) if images.ndim == 4 else ()
    if images.shape[3:] != (3,) or any(mask.shape != expected for mask in packed) or not all(found):
        shapes = [mask.shape for mask in packed]
        raise DataError(f"{source}: images are {images.shape} and masks {shapes}, names {files[:2]}; expected "
                        "(N, H, W, 3), packed (N, H, W / 8) and Image_01L, Image_01R, ...")  # fmt: skip
    child, eye = zip(*[match.groups() for match in found if match], strict=True)
    photographs = ImageSet(
        name=NAME,
        images=images,
        labels=pd.DataFrame(index=range(len(images))),
        patient_id=np.array([f"child-{number}" for number in child]),
        site=np.full(len(images), "Kingston"),
        split=np.full(len(images), ""),
        metadata=pd.DataFrame({"file": files, "eye": eye}),
        unit="child",
        source="CHASE_DB1, Fraz et al. 2012, CC BY 4.0",
    )
    if path is None:
        counts = {"photographs": len(images), "children": photographs.n_patients, "observers": len(packed)}
        assert_counts(NAME, counts, _COUNTS)
    return Vessels(photographs, np.unpackbits(np.stack(packed), axis=-1, count=images.shape[2]).astype(bool))
