"""NIfTI files as volumes in one orientation."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from .errors import DataError
from .volumes import Volume, canonical

_LARGEST_LABEL = 2**15 - 1


def read_nifti(path: Path, *, mask: bool = False) -> Volume:
    """A scan of a .nii or .nii.gz file, scaled by its slope and intercept; float32, or int16 when it is a mask.

    mask: values must be whole numbers (labels), and are kept exactly. A fourth axis of length 1 is dropped.
    Raises DataError when the file cannot be read, is not three-dimensional, has no valid geometry, or is no mask.
    """
    import nibabel

    try:
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image):  # Nifti2Image is one, too
            raise DataError(f"{path}: is not a NIfTI file but {type(image).__name__}")
        shape = image.shape[:3] if image.ndim == 4 and image.shape[3] == 1 else image.shape
        if len(shape) != 3 or 0 in shape:
            raise DataError(f"{path}: has the shape {image.shape}, expected three axes")
        array = np.asarray(image.dataobj, dtype=np.float64 if mask else np.float32).reshape(shape)
    except (OSError, EOFError, zlib.error, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise DataError(f"{path}: is not a readable NIfTI file: {' '.join(str(error).split())}") from None
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise DataError(f"{path}: its affine is not finite and invertible, so that voxels have no place")
    if mask:
        if not (np.isfinite(array).all() and (array == np.rint(array)).all() and np.abs(array).max() <= _LARGEST_LABEL):
            raise DataError(f"{path}: is not a mask: values must be whole numbers up to {_LARGEST_LABEL}")
        array = array.astype(np.int16)
    oriented = int(image.header["sform_code"]) > 0 or int(image.header["qform_code"]) > 0
    return canonical(array, affine, oriented=oriented)
