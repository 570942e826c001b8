"""NIfTI files: turned as SimpleITK turns them, scaled, and refused when their geometry is unknown."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dicom_files import CORNER, PIXEL_MM, PLANES, RESCALE, SLICE_MM, series, stored
from medrepro.data import DataError
from medrepro.data.dicom import read_series
from medrepro.data.nifti import read_nifti

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "volumes_simpleitk.json").read_text())


def geometry(plane):
    """Affine (x = column, y = row, z = slice) to RAS mm of the stack that `dicom_files.series` writes."""
    row, column = (np.array(direction, dtype=float) for direction in PLANES[plane])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([row * PIXEL_MM[1], column * PIXEL_MM[0], np.cross(row, column) * SLICE_MM], axis=1)
    affine[:3, 3] = CORNER
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def scan(path, array, affine=None, *, code=1, slope=None, inter=None):
    image = nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine)
    image.set_sform(image.affine, code)
    image.set_qform(image.affine, code)
    if slope is not None:
        image.header.set_slope_inter(slope, inter)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_scan_is_turned_as_simpleitk_turns_it(plane, suffix, tmp_path):
    array = (stored() * RESCALE[0] + RESCALE[1]).transpose(2, 1, 0).astype(np.float32)
    volume = read_nifti(scan(tmp_path / f"a{suffix}", array, geometry(plane)))
    expected = REFERENCE[f"nifti, {plane}"]
    assert list(volume.voxels.shape) == expected["shape"]
    assert np.array_equal(volume.voxels.ravel(), expected["values"])
    assert volume.spacing_mm == pytest.approx(expected["spacing_mm"], abs=1e-4)
    assert volume.oriented


@pytest.mark.parametrize("plane", PLANES)
def test_dicom_and_nifti_give_the_same_volume(plane, tmp_path):
    series(tmp_path / "dicom", plane)
    array = (stored() * RESCALE[0] + RESCALE[1]).transpose(2, 1, 0).astype(np.float32)
    one = read_series(tmp_path / "dicom")
    two = read_nifti(scan(tmp_path / "a.nii.gz", array, geometry(plane)))
    assert np.array_equal(one.voxels, two.voxels)
    assert one.affine == pytest.approx(two.affine, abs=1e-4)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (-1, -1, 1)])
def test_a_marked_voxel_keeps_its_place_in_the_patient(order, signs, tmp_path):
    array = np.zeros((4, 5, 6), dtype=np.float32)
    array[1, 2, 4] = 9
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (target, sign) in enumerate(zip(order, signs, strict=True)):
        affine[target, axis] = sign * (1.0 + axis)
    affine[:3, 3] = (7, -3, 20)
    volume = read_nifti(scan(tmp_path / "a.nii", array, affine))
    z, y, x = np.argwhere(volume.voxels == 9)[0]
    assert volume.affine @ (x, y, z, 1) == pytest.approx(affine @ (1, 2, 4, 1))
    assert (np.diag(volume.affine)[:3] > 0).all()
    assert np.array(volume.spacing_mm)[::-1] == pytest.approx(np.abs(affine[:3, :3]).sum(axis=1))


def test_slope_and_intercept_are_applied(tmp_path):
    path = scan(tmp_path / "a.nii", np.arange(8, dtype=np.int16).reshape(2, 2, 2), slope=0.5, inter=-3)
    assert sorted(read_nifti(path).voxels.ravel()) == sorted(np.arange(8) * 0.5 - 3)


def test_masks_keep_their_labels_exactly(tmp_path):
    labels = np.zeros((3, 3, 3), dtype=np.uint8)
    labels[0], labels[1] = 2, 117
    mask = read_nifti(scan(tmp_path / "a.nii.gz", labels), mask=True)
    assert mask.voxels.dtype == np.int16
    assert set(mask.voxels.ravel()) == {0, 2, 117}
    with pytest.raises(DataError, match="is not a mask: values must be whole numbers"):
        read_nifti(scan(tmp_path / "b.nii", labels.astype(np.float32) / 3), mask=True)


def test_a_scan_without_orientation_says_so(tmp_path):
    assert not read_nifti(scan(tmp_path / "a.nii", np.zeros((2, 3, 4), dtype=np.float32), code=0)).oriented


def test_a_fourth_axis_of_one_is_dropped_and_a_longer_one_refused(tmp_path):
    assert read_nifti(scan(tmp_path / "a.nii", np.zeros((2, 3, 4, 1), dtype=np.float32))).voxels.shape == (4, 3, 2)
    with pytest.raises(DataError, match=r"has the shape \(2, 3, 4, 2\), expected three axes"):
        read_nifti(scan(tmp_path / "b.nii", np.zeros((2, 3, 4, 2), dtype=np.float32)))


def test_broken_files_are_named(tmp_path):
    (tmp_path / "a.nii").write_text("no scan")
    with pytest.raises(DataError, match=r"a\.nii: is not a readable NIfTI file"):
        read_nifti(tmp_path / "a.nii")
    whole = scan(tmp_path / "b.nii.gz", np.random.default_rng(0).normal(size=(20, 20, 20))).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"b\.nii\.gz: is not a readable NIfTI file"):
        read_nifti(tmp_path / "b.nii.gz")
    flat = np.diag([1.0, 1.0, 0.0, 1.0])
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), dtype=np.float32), None)
    image.header.set_sform(flat, 1)
    nibabel.save(image, tmp_path / "c.nii")
    with pytest.raises(DataError, match="its affine is not finite and invertible"):
        read_nifti(tmp_path / "c.nii")
