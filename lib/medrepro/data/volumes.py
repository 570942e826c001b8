"""Volumes in one orientation, whatever file they come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan in a fixed orientation.

    voxels: (D, H, W) = (z, y, x); the index grows towards the head (z), the front (y) and the right (x) of the
    patient, to the nearest axis. spacing_mm: distance of neighbouring voxels in mm, (z, y, x) as the statistics take
    it. affine (4, 4): from (x, y, z, 1) of a voxel to mm in RAS coordinates. oriented: False when the file does not
    say how the patient lies, so that left and right are a guess.
    """

    voxels: NDArray
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    oriented: bool = True


def canonical(array: NDArray, affine: NDArray, *, oriented: bool = True) -> Volume:
    """The volume of an array (x, y, z) whose index the affine maps to RAS millimetres, turned and flipped to `Volume`.

    Nothing is interpolated: axes are permuted and reversed. An oblique scan stays oblique, as its affine says.
    """
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    turn = io_orientation(affine)
    turned = apply_orientation(array, turn)
    placed = affine @ inv_ornt_aff(turn, array.shape)
    x, y, z = (float(length) for length in np.linalg.norm(placed[:3, :3], axis=0))
    return Volume(np.ascontiguousarray(turned.transpose(2, 1, 0)), (z, y, x), placed, oriented)
