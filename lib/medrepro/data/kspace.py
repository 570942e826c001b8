"""One slice of a brain in k-space, as eight coils measured it: one person, a demonstration without an interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .fetch import locate
from .image_sets import assert_counts

NAME = "mri_kspace_brain"
_COUNTS = {"coils": 8, "slices": 1, "rows": 230, "columns": 180}


def load_kspace(path: Path | None = None) -> NDArray[np.complex64]:
    """K-space (coils, rows, columns), complex64, fully sampled, its centre in the middle of the array.

    path: cartesian_ksp.npy; found, verified and counted when left out. Raises DataError when the array is another one.
    """
    source = locate(NAME) if path is None else Path(path)
    try:
        k = np.load(source, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{source}: is not a plain .npy array: {error}") from None
    if not isinstance(k, np.ndarray) or k.ndim != 3 or k.dtype != np.complex64 or not np.isfinite(k).all():
        kind = f"{k.dtype} {k.shape}" if isinstance(k, np.ndarray) else type(k).__name__
        raise DataError(f"{source}: is {kind}, expected finite complex64 (coils, rows, columns)")
    if path is None:
        assert_counts(NAME, dict(zip(_COUNTS, (k.shape[0], 1, *k.shape[1:]), strict=True)), _COUNTS)
    return k


def coil_images(kspace: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    """The complex image of each coil, orthonormal centred inverse transform over the last two axes."""
    axes = (-2, -1)
    shifted = np.fft.ifftshift(kspace, axes=axes)
    return np.fft.fftshift(np.fft.ifft2(shifted, axes=axes, norm="ortho"), axes=axes)


def combine_coils(images: NDArray[np.complexfloating]) -> NDArray[np.floating]:
    """Root of the sum of squares over the coils (first axis): the magnitude image."""
    return np.sqrt((np.abs(images) ** 2).sum(axis=0))
