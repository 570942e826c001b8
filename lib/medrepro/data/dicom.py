"""DICOM: radiographs as images from black to white, series of slices as volumes in one orientation.

Names, dates and other header text are not returned. Sections are of DICOM PS3.3 (2024): rescaling C.11.1, windows and
VOI tables C.11.2, photometric interpretation C.7.6.3.1.2, image plane C.7.6.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError
from .volumes import Volume, canonical

if TYPE_CHECKING:
    from pydicom import Dataset

_EVEN = 0.01  # slices may differ from an even distance by this share of it
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_radiograph(path: Path, *, window: tuple[float, float] | None = None) -> NDArray[np.float32]:
    """Pixels (H, W), or (N, H, W) of several frames, from 0 (black) to 1 (white) as a reader sees them.

    Stored values are rescaled, then windowed: by `window` (centre, width), else by the file's VOI table or first
    window, else from its smallest to its largest value. MONOCHROME1 is inverted, so that bone is white. Padding is
    black and counts for nothing. Colour images are refused.
    Raises DataError naming the file and what is not as expected.
    """
    data = _read(path)
    stored = _stored(data, path)
    values = _rescaled(stored, data)
    padding = _padding(stored, data)
    if window is not None:
        shown = apply_window(values, *window)
    elif "VOILUTSequence" in data:
        shown = _table(values, data, path)
    elif "WindowCenter" in data and "WindowWidth" in data:
        centre, width = (float(_first(data[key].value)) for key in ("WindowCenter", "WindowWidth"))
        shown = apply_window(values, centre, width, function=str(data.get("VOILUTFunction", "LINEAR") or "LINEAR"))
    else:
        inside = values[~padding]
        low, high = (inside.min(), inside.max()) if inside.size else (0.0, 0.0)
        shown = (values - low) / (high - low) if high > low else np.zeros_like(values)
    if data.PhotometricInterpretation == "MONOCHROME1":
        shown = 1 - shown
    return np.where(padding, 0, np.clip(shown, 0, 1)).astype(np.float32)


def apply_window(values: NDArray, centre: float, width: float, *, function: str = "LINEAR") -> NDArray[np.float64]:
    """Values under a window as 0 to 1, by the formulas of C.11.2.1.2 (LINEAR, LINEAR_EXACT, SIGMOID)."""
    x = np.asarray(values, dtype=np.float64)
    if function == "LINEAR" and width >= 1:
        if width == 1:
            return (x > centre - 0.5).astype(np.float64)
        return np.clip((x - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    if function == "LINEAR_EXACT" and width > 0:
        return np.clip((x - centre) / width + 0.5, 0, 1)
    if function == "SIGMOID" and width > 0:
        return 1 / (1 + np.exp(np.clip(-4 * (x - centre) / width, -700, 700)))
    raise DataError(f"window: function {function!r} with width {width}: expected LINEAR (width >= 1), LINEAR_EXACT or "
                    "SIGMOID (width > 0)")  # fmt: skip


def read_series(source: Path | Iterable[Path], *, series_uid: str | None = None) -> Volume:
    """A series of slices, or one file of many frames with places, as a volume of rescaled values (CT: HU), float32.

    source: the folder (with sub-folders) or the files; files that are not DICOM or hold no image are passed over.
    series_uid: which series, when the folder holds several. Slices are put in order by their place, not by number.
    Raises DataError when there is no series or several, slices differ in size, direction or pixel spacing, one is
    missing or there twice (distances uneven by more than 1 %), or the stack is sheared (tilted gantry).
    """
    files = sorted(p for p in source.rglob("*") if p.is_file()) if isinstance(source, Path) and source.is_dir() else (
        [source] if isinstance(source, Path) else list(source))  # fmt: skip
    where = str(source if isinstance(source, Path) else files[0].parent if files else "no files")
    series: dict[str, list[tuple[Path, Dataset]]] = {}
    for path in files:
        header = _header(path)
        if header is not None and "Rows" in header and "Columns" in header:
            series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((path, header))
    if series_uid is not None and series_uid not in series:
        raise DataError(f"{where}: holds no series {series_uid}, found {', '.join(sorted(series)) or 'none'}")
    if len(series) != 1 and series_uid is None:
        raise DataError(f"{where}: holds {len(series)} image series, expected one or its series_uid")
    chosen = series[series_uid] if series_uid is not None else next(iter(series.values()))
    slices = [piece for path, _ in chosen for piece in _slices(path)]
    return _stack(slices, where)


@dataclass(frozen=True)
class _Slice:
    """One slice: rescaled values (rows, columns), its place and directions (LPS, mm), and pixel spacing."""

    values: NDArray[np.float32]
    position: NDArray[np.float64]
    along_row: NDArray[np.float64]  # direction in which the column number grows
    along_column: NDArray[np.float64]
    spacing: tuple[float, float]  # between rows, between columns
    thickness: float


def _slices(path: Path) -> list[_Slice]:
    data = _read(path)
    stored = _stored(data, path)
    frames = stored if stored.ndim == 3 else stored[None]
    made = []
    for number, frame in enumerate(frames):
        groups = _groups(data, number)
        position = _find("ImagePositionPatient", groups)
        directions, spacing = _find("ImageOrientationPatient", groups), _find("PixelSpacing", groups)
        if position is None or directions is None or spacing is None:
            raise DataError(f"{path}: has no place in the patient (ImagePositionPatient, ImageOrientationPatient, "
                            "PixelSpacing)")  # fmt: skip
        slope, intercept = _find("RescaleSlope", groups), _find("RescaleIntercept", groups)
        values = frame * float(1 if slope is None else slope) + float(0 if intercept is None else intercept)
        if len(frames) == 1 and slope is None:
            values = _rescaled(frame, data)
        row, column = np.array(directions, dtype=float).reshape(2, 3)
        if abs(row @ column) > 1e-3 or not np.allclose([row @ row, column @ column], 1, atol=1e-3):
            raise DataError(f"{path}: ImageOrientationPatient is not two perpendicular unit vectors")
        between = tuple(float(v) for v in spacing)
        if len(between) != 2 or min(between) <= 0:
            raise DataError(f"{path}: PixelSpacing must be two positive numbers, got {list(between)}")
        thick = _find("SpacingBetweenSlices", groups) or _find("SliceThickness", groups) or 0.0
        place = np.array(position, dtype=float)
        made.append(_Slice(values.astype(np.float32), place, row, column, (between[0], between[1]), float(thick)))
    return made


def _stack(slices: Sequence[_Slice], where: str) -> Volume:
    first = slices[0]
    for other in slices[1:]:
        if other.values.shape != first.values.shape:
            raise DataError(
                f"{where}: slices of {first.values.shape} and {other.values.shape} pixels, expected one size"
            )
        same = np.allclose(other.spacing, first.spacing, rtol=1e-3)
        turned = max(
            np.abs(other.along_row - first.along_row).max(), np.abs(other.along_column - first.along_column).max()
        )
        if not same or turned > 1e-3:
            raise DataError(f"{where}: slices differ in direction or pixel spacing: this is not one stack")
    normal = np.cross(first.along_row, first.along_column)
    slices = sorted(slices, key=lambda piece: float(piece.position @ normal))
    places = np.array([piece.position for piece in slices])
    if len(slices) == 1:
        step = normal * first.thickness
        if first.thickness <= 0:
            raise DataError(f"{where}: one slice without a thickness has no third spacing")
    else:
        steps = np.diff(places @ normal)
        distance = float(np.median(steps))
        if steps.min() < _EVEN * max(distance, 1e-6):
            raise DataError(f"{where}: two of {len(slices)} slices are at the same place")
        if np.abs(steps - distance).max() > _EVEN * distance:
            raise DataError(f"{where}: slices are {steps.min():.3g} to {steps.max():.3g} mm apart, expected even "
                            "distances: one may be missing")  # fmt: skip
        step = (places[-1] - places[0]) / (len(slices) - 1)
        if np.linalg.norm(step - (step @ normal) * normal) > _EVEN * distance:
            raise DataError(f"{where}: the stack is sheared (tilted gantry): resample it first")
    affine = np.eye(4)
    affine[:3, 0] = slices[0].along_row * first.spacing[1]
    affine[:3, 1] = slices[0].along_column * first.spacing[0]
    affine[:3, 2], affine[:3, 3] = step, places[0]
    array = np.stack([piece.values for piece in slices]).transpose(2, 1, 0)
    return canonical(array, _LPS_TO_RAS @ affine)


def _groups(data: Dataset, frame: int) -> list[Dataset]:
    """Where an attribute of a frame may stand: its own functional groups, the shared ones, the file."""
    places = []
    for name in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        groups = data.get(name) or []
        if len(groups):
            group = groups[frame] if name.startswith("Per") and frame < len(groups) else groups[0]
            places += [item for element in group if element.VR == "SQ" for item in element.value[:1]]
    return [*places, data]


def _find(name: str, places: Iterable[Dataset]) -> Any:
    return next((place[name].value for place in places if name in place and place[name].value is not None), None)


def _header(path: Path) -> Dataset | None:
    """Header of a DICOM file, None when it is another file."""
    import pydicom

    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except (pydicom.errors.InvalidDicomError, OSError, ValueError, KeyError, NotImplementedError, EOFError):
        return None


def _read(path: Path) -> Dataset:
    import pydicom

    try:
        return pydicom.dcmread(path)
    except (pydicom.errors.InvalidDicomError, OSError, ValueError, KeyError, NotImplementedError, EOFError) as error:
        raise DataError(f"{path}: is not a readable DICOM file: {' '.join(str(error).split())}") from None


def _stored(data: Dataset, path: Path) -> NDArray[np.float64]:
    """Stored pixel values, (H, W) or (N, H, W)."""
    colour = data.get("PhotometricInterpretation")
    if colour not in ("MONOCHROME1", "MONOCHROME2"):
        raise DataError(f"{path}: PhotometricInterpretation is {colour}, expected MONOCHROME1 or MONOCHROME2")
    try:
        return np.asarray(data.pixel_array, dtype=np.float64)
    except (AttributeError, ValueError, RuntimeError, NotImplementedError, KeyError, TypeError) as error:
        syntax = data.file_meta.get("TransferSyntaxUID") if hasattr(data, "file_meta") else None
        kind = getattr(syntax, "name", "unknown coding")
        raise DataError(f"{path}: pixels cannot be decoded ({kind}): {' '.join(str(error).split())[:200]}") from None


def _rescaled(stored: NDArray[np.float64], data: Dataset) -> NDArray[np.float64]:
    """Stored values under the modality table, or slope and intercept (C.11.1); unchanged when there is neither."""
    from pydicom.pixels import apply_modality_lut

    table = data.get("ModalityLUTSequence")
    values = stored.astype(np.int64) if table else stored
    return np.asarray(apply_modality_lut(values, data), dtype=np.float64)


def _table(values: NDArray[np.float64], data: Dataset, path: Path) -> NDArray[np.float64]:
    """Values under the first VOI table, 0 to 1."""
    from pydicom.pixels import apply_voi

    bits = int(data.VOILUTSequence[0].LUTDescriptor[2])
    try:
        return np.asarray(apply_voi(np.rint(values).astype(np.int64), data), dtype=np.float64) / (2**bits - 1)
    except (ValueError, NotImplementedError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: its VOI table cannot be applied: {error}") from None


def _padding(stored: NDArray[np.float64], data: Dataset) -> NDArray[np.bool_]:
    """Pixels that the file marks as outside of the image."""
    value = data.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, dtype=bool)
    other = data.get("PixelPaddingRangeLimit", value)
    return (stored >= min(value, other)) & (stored <= max(value, other))


def _first(value: Any) -> Any:
    """The first of several values, or the only one."""
    return value[0] if isinstance(value, Sequence) and not isinstance(value, str) else value
