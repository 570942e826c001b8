"""Small DICOM and NIfTI files with a known content, also for the script that reads them with other software."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

PIXEL_MM, SLICE_MM = (0.7, 0.9), 2.5  # between rows, between columns; between slices
CORNER = np.array([-31.0, 12.5, -400.0])  # of the first slice, LPS mm
# Name of a stack: direction of the rows and of the columns (LPS).
PLANES = {
    "axial": ([1, 0, 0], [0, 1, 0]),
    "axial, feet first": ([-1, 0, 0], [0, 1, 0]),
    "sagittal": ([0, 1, 0], [0, 0, -1]),
    "coronal": ([1, 0, 0], [0, 0, -1]),
    "oblique": ([0.96592583, 0.25881905, 0], [-0.25056281, 0.93511313, -0.25038000]),
}
RESCALE = (2.0, -1024.0)


def stored(slices: int = 5, rows: int = 6, columns: int = 8) -> np.ndarray:
    """Stored values (slices, rows, columns): every voxel has its own."""
    return np.arange(slices * rows * columns, dtype=np.uint16).reshape(slices, rows, columns)


def dicom(path: Path, pixels: np.ndarray, **changes: Any) -> Path:
    """A file with these pixels (H, W) or (N, H, W); changes: attributes, None takes one out."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        CTImageStorage,
        generate_uid(entropy_srcs=[str(path)]),
    )
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.SeriesInstanceUID, data.Modality = "1.2.3", "CT"
    data.Rows, data.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 8 * pixels.dtype.itemsize
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in changes.items():
        if value is None:
            if name in data:
                delattr(data, name)
        else:
            setattr(data, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def series(folder: Path, plane: str = "axial", slices: int = 5, **changes: Any) -> list[Path]:
    """A series whose file names and numbers say nothing about the order of the slices."""
    row, column = (np.array(direction, dtype=float) for direction in PLANES[plane])
    normal = np.cross(row, column)
    order = np.random.default_rng(0).permutation(slices)
    files = []
    for number, place in enumerate(order):
        position = CORNER + place * SLICE_MM * normal
        fields = {
            "ImagePositionPatient": [f"{v:.6f}" for v in position], "InstanceNumber": number + 1,
            "ImageOrientationPatient": [f"{v:.8f}" for v in (*row, *column)], "PixelSpacing": list(PIXEL_MM),
            "SliceThickness": 5.0, "RescaleSlope": RESCALE[0], "RescaleIntercept": RESCALE[1], **changes,
        }  # fmt: skip
        files.append(dicom(folder / f"{number:03d}.dcm", stored(slices)[place], **fields))
    return files


def enhanced(path: Path, plane: str = "axial", slices: int = 5) -> Path:
    """The same volume as one file of many frames, out of order, with functional groups."""
    row, column = (np.array(direction, dtype=float) for direction in PLANES[plane])
    order = np.random.default_rng(1).permutation(slices)
    frames = []
    for place in order:
        where, frame = Dataset(), Dataset()
        where.ImagePositionPatient = [f"{v:.6f}" for v in CORNER + place * SLICE_MM * np.cross(row, column)]
        frame.PlanePositionSequence = Sequence([where])
        frames.append(frame)
    turned, measures, scale, shared = Dataset(), Dataset(), Dataset(), Dataset()
    turned.ImageOrientationPatient = [f"{v:.8f}" for v in (*row, *column)]
    measures.PixelSpacing, measures.SliceThickness = list(PIXEL_MM), 5.0
    scale.RescaleSlope, scale.RescaleIntercept = RESCALE
    shared.PlaneOrientationSequence = Sequence([turned])
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PixelValueTransformationSequence = Sequence([scale])
    groups = {
        "PerFrameFunctionalGroupsSequence": Sequence(frames),
        "SharedFunctionalGroupsSequence": Sequence([shared]),
    }
    return dicom(path, stored(slices)[order], **groups)
