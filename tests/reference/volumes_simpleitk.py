"""Volumes of the tests' DICOM and NIfTI files as SimpleITK reads and turns them.

    pip install SimpleITK==2.5.7 pydicom==3.0.2 numpy
    python tests/reference/volumes_simpleitk.py

Writes volumes_simpleitk.json: spacing (z, y, x), shape, and all values of each volume after turning to axes that
grow to the right, the front and the head (RAS). Run on 2026-11-24 with SimpleITK 2.5.7.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import date
from pathlib import Path

import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parents[1]))
from dicom_files import PLANES, series


def turned(image: sitk.Image) -> dict[str, object]:
    image = sitk.DICOMOrient(image, "RAS")
    voxels = sitk.GetArrayFromImage(image)
    return {
        "shape": list(voxels.shape),
        "spacing_mm": list(image.GetSpacing())[::-1],
        "corner_ras_mm": [x * sign for x, sign in zip(image.GetOrigin(), (-1, -1, 1), strict=True)],
        "values": [float(v) for v in voxels.ravel()],
    }


made = {
    "made_by": "tests/reference/volumes_simpleitk.py",
    "date": date.today().isoformat(),
    "versions": {"SimpleITK": sitk.Version_VersionString()},
}
with tempfile.TemporaryDirectory() as folder:
    for plane in PLANES:
        where = Path(folder) / plane
        series(where, plane)
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(where)))
        image = reader.Execute()
        made[f"dicom, {plane}"] = turned(image)
        sitk.WriteImage(image, str(Path(folder) / "scan.nii.gz"))
        made[f"nifti, {plane}"] = turned(sitk.ReadImage(str(Path(folder) / "scan.nii.gz")))
path = Path(__file__).with_suffix(".json")
path.write_text(json.dumps(made, indent=None, separators=(",", ":")) + "\n")
