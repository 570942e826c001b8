"""Reading arrays, tables and image files: never a pickle, and one clear line when a file is not as said."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import DataError

DICOM = (".dicom", ".dcm")
_PIXELS_AT_MOST = 2**27  # of one image; larger ones are no radiograph but an attack or a mistake


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray]:
    """These arrays of an .npz file. Raises DataError naming the file and the first array that is missing or pickled."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive.files]
            if missing:
                raise DataError(f"{path}: has no array '{missing[0]}', found {', '.join(archive.files) or 'none'}")
            return {name: archive[name] for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: is not an .npz file of plain arrays: {error}") from None


def read_table(path: Path, columns: Collection[str] = (), **options: Any) -> pd.DataFrame:
    """A CSV file, by default as text with "" read as missing. Raises DataError naming the file and a missing column.

    options: as of pandas.read_csv; dtype=None lets pandas find the types.
    """
    try:
        options = {"dtype": str, "keep_default_na": False, "na_values": [""], **options}
        table = pd.read_csv(path, **options)
    except (OSError, ValueError, EOFError, pd.errors.ParserError, zlib.error) as error:
        raise DataError(f"{path}: is not a readable table: {' '.join(str(error).split())}") from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise DataError(f"{path}: has no column '{missing[0]}', found {', '.join(map(str, table.columns[:12]))}")
    return table


@dataclass(frozen=True)
class ImageFiles:
    """Image files (PNG, JPEG, DICOM, ...), read when asked for.

    paths: N files. size: None keeps each image as it is; else it is padded with black to a square and resized to
    size x size. colour: (H, W, 3) instead of (H, W). 16-bit images arrive as uint16, or, resized, as float32; DICOM
    (by its suffix) as float32 from black 0 to white 1, see `dicom.read_radiograph`.
    """

    paths: Sequence[Path]
    size: int | None = None
    colour: bool = False

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int, /) -> NDArray:
        path = self.paths[row]
        if path.suffix.lower() in DICOM:
            from .dicom import read_radiograph

            pixels = read_radiograph(path)
            return pixels if self.size is None else fit_square(pixels, self.size)
        return read_image(path, size=self.size, colour=self.colour)


@dataclass(frozen=True)
class ZippedImages:
    """Image files inside a zip archive, read when asked for; nothing is unpacked. Arguments as of `ImageFiles`."""

    archive: Path
    members: Sequence[str]
    size: int | None = None
    colour: bool = False
    _open: list[zipfile.ZipFile] = field(default_factory=list, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, row: int, /) -> NDArray:
        name = self.members[row]
        try:
            if not self._open:  # once: opening reads the directory of the whole archive
                self._open.append(zipfile.ZipFile(self.archive))
            content = self._open[0].read(name)
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self.archive}: {name} cannot be read: {error}") from None
        return read_image(io.BytesIO(content), f"{self.archive}: {name}", size=self.size, colour=self.colour)

    def __getstate__(self) -> dict[str, Any]:
        # A worker process opens the archive itself.
        return {**self.__dict__, "_open": []}


def read_image(source: Path | io.BytesIO, name: str = "", *, size: int | None = None, colour: bool = False) -> NDArray:
    """Pixels of one image file, (H, W) or with colour (H, W, 3); uint8, of 16-bit files uint16.

    Raises DataError naming the file when it is not an image or unlikely large.
    """
    from PIL import Image, UnidentifiedImageError

    name = name or str(source)
    try:
        with Image.open(source) as image:
            if image.width * image.height > _PIXELS_AT_MOST:
                raise DataError(f"{name}: has {image.width} x {image.height} pixels, allowed are {_PIXELS_AT_MOST}")
            if not colour:
                image.draft("L", image.size)  # a JPEG is decoded to its luminance only, at full size
            if image.mode.startswith("I") and not colour:
                pixels = np.asarray(image, dtype=np.uint16)
            else:
                pixels = np.asarray(image.convert("RGB" if colour else "L"))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        raise DataError(f"{name}: is not a readable image: {error}") from None
    return pixels if size is None else fit_square(pixels, size)


def fit_square(pixels: NDArray, size: int) -> NDArray:
    """The image in the middle of a black square, resized to size x size (Lanczos, averaging when it shrinks).

    pixels: (H, W) or (H, W, 3). uint8 stays uint8; every other type becomes float32.
    """
    from PIL import Image

    if size < 1:
        raise ValueError(f"size must be >= 1 pixels, got {size}")
    height, width = pixels.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, *pixels.shape[2:]), dtype=np.uint8 if pixels.dtype == np.uint8 else np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = pixels
    resized = np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.LANCZOS))
    return np.clip(resized, square.min(), square.max())  # the filter rings beyond the range at edges


def require_files(name: str, paths: Sequence[Path], *, expected: str) -> None:
    """Raise DataError naming how many files are not there and the first of them."""
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{name}: {len(missing)} of {len(paths)} files are missing, first {missing[0]}; {expected}")
