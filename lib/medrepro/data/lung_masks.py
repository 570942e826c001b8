"""Lung masks of V7 Labs on 192 films of the Cohen collection, of which 77 were made in Hannover: two sites.

The archive names a mask as its film; masks of other films in it are passed over. A mask has the size of the original
film and is padded and resized as the film was.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from .covid_cxr import load_cohen
from .errors import DataError
from .fetch import locate
from .image_sets import ImageSet, assert_counts
from .readers import ZippedImages, fit_square

NAME = "v7_lung_masks"
_COUNTS = {"films": 192, "elsewhere": 115, "elsewhere_patients": 66, "hannover": 77, "hannover_patients": 43}


@dataclass(frozen=True)
class LungMasks:
    """Films (an ImageSet, sites "Hannover" and "many (publications)") and masks (N, 256, 256) bool of both lungs."""

    films: ImageSet
    masks: NDArray[np.bool_]


def load_lung_masks(path: Path | None = None, cohen: Mapping[str, Path] | None = None) -> LungMasks:
    """The films that have a mask, with it.

    path: semantic_masks_v7labs_lungs.zip; cohen: the files of the Cohen collection by name. Found, verified and
    counted when both are left out. Raises DataError when a mask is not of the size of its film, or counts differ.
    """
    source = locate(NAME) if path is None else Path(path)
    films = load_cohen(cohen, hannover=True)
    try:
        with zipfile.ZipFile(source) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{source}: is not a readable zip archive: {error}") from None
    members = {PurePosixPath(name).stem: name for name in names if not name.endswith("/")}
    stems = [PurePosixPath(name).stem for name in films.metadata["filename"]]
    films = films.subset(np.array([stem in members for stem in stems]))
    drawn = ZippedImages(source, [members[stem] for stem in stems if stem in members])
    side = films.array.shape[1]
    masks = np.zeros((len(films), side, side), dtype=bool)
    for row, (width, height) in enumerate(zip(films.metadata["width"], films.metadata["height"], strict=True)):
        mask = drawn[row]
        if mask.shape != (height, width):
            raise DataError(f"{source}: {drawn.members[row]} is {mask.shape}, its film ({height}, {width})")
        masks[row] = fit_square(mask, side) > 127
    if path is None and cohen is None:
        here = films.site == "Hannover"
        found = {
            "archive_members": len(names),
            "films": len(films),
            "elsewhere": int((~here).sum()),
            "hannover": int(here.sum()),
        }
        found["elsewhere_patients"] = films.subset(~here).n_patients
        found["hannover_patients"] = films.subset(here).n_patients
        assert_counts(NAME, found, _COUNTS)
    return LungMasks(films, masks)
