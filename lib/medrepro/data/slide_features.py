"""Features of whole-slide images that a user made: one h5 file a slide, one table a fold.

Layout of the folder: features/SLIDE.h5 with data sets feats (n, c) and coords (n, 2: x, then y), optionally augmented
(n,) that marks copies of tiles; fold_K.csv with columns FileName, subtype and split (train, val, test).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import DataError

SPLITS = ("train", "val", "test")
_TCGA_PATIENT = len("TCGA-XX-XXXX")


def read_fold(folder: Path, fold: int, subtypes: Sequence[str], *, n_features: int | None = None) -> pd.DataFrame:
    """The slides of one fold: columns slide, patient_id, subtype, label (place in subtypes), split, path.

    The patient is the TCGA barcode's first twelve characters. Every feature file must exist; with n_features its
    width is checked too.
    Raises DataError naming what is wrong: columns, subtypes or splits that are not expected, a slide listed twice, a
    patient in two splits (several slides of one patient leak), files that are missing.
    """
    source = Path(folder) / f"fold_{fold}.csv"
    try:
        raw = pd.read_csv(source, dtype=str)
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: is not a table: {error}") from None
    for column in ("FileName", "subtype", "split"):
        if column not in raw:
            raise DataError(f"{source}: has no column {column}, found {', '.join(map(str, raw.columns))}")
    table = pd.DataFrame({"slide": raw["FileName"].str.removesuffix(".h5")})
    table["patient_id"] = [_patient(slide, source) for slide in table["slide"].fillna("")]
    table["subtype"], table["split"] = raw["subtype"], raw["split"]
    for column, known in (("subtype", tuple(subtypes)), ("split", SPLITS)):
        strange = sorted({str(value) for value in table[column] if value not in known})
        if strange:
            raise DataError(f"{source}: {column} must be one of {', '.join(known)}, got {', '.join(strange[:5])}")
    repeated = table["slide"][table["slide"].duplicated()]
    if len(repeated):
        raise DataError(f"{source}: slide {repeated.iloc[0]} is listed twice")
    splits = table.groupby("patient_id")["split"].nunique()
    if (splits > 1).any():
        raise DataError(f"{source}: {int((splits > 1).sum())} patients are in more than one split")
    table["label"] = table["subtype"].map({name: k for k, name in enumerate(subtypes)})
    table["path"] = [Path(folder) / "features" / f"{slide}.h5" for slide in table["slide"]]
    missing = [path.name for path in table["path"] if not path.is_file()]
    if missing:
        raise DataError(f"{source}: {len(missing)} of {len(table)} feature files are missing, first {missing[0]}")
    if n_features is not None:
        for path in table["path"]:
            width = slide_shape(path)[1]
            if width != n_features:
                raise DataError(f"{path}: feats have {width} channels, expected {n_features}")
    return table


def read_slide(path: Path, *, augmented: bool = False) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (n, c) float32 and coordinates (n, 2: x, y) of a slide, ordered by row, then column of the tile.

    augmented: keep also the copies marked as augmented. Raises DataError on files of another layout, on no tile and on
    features that are not finite.
    """
    with _open(path) as file:
        feats, coords = _array(file, "feats", path), _array(file, "coords", path)
        copies = file["augmented"][:].astype(bool) if "augmented" in file else np.zeros(len(feats), dtype=bool)
    if feats.ndim != 2 or coords.shape != (len(feats), 2) or copies.shape != (len(feats),):
        raise DataError(f"{path}: feats {feats.shape} and coords {coords.shape} do not fit, expected (n, c) and (n, 2)")
    kept = np.ones(len(feats), dtype=bool) if augmented else ~copies
    feats, coords = feats[kept].astype(np.float32), coords[kept].astype(np.int64)
    if len(feats) == 0 or not np.isfinite(feats).all():
        raise DataError(f"{path}: holds no tile" if len(feats) == 0 else f"{path}: feats are not all finite")
    order = np.lexsort((coords[:, 0], coords[:, 1]))
    return feats[order], coords[order]


def slide_shape(path: Path) -> tuple[int, int]:
    """Tiles and channels of a slide without reading its features."""
    with _open(path) as file:
        if "feats" not in file or len(file["feats"].shape) != 2:
            raise DataError(f"{path}: has no data set feats of shape (n, c)")
        tiles, channels = file["feats"].shape
        return int(tiles), int(channels)


def _open(path: Path) -> Any:
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: is not a readable h5 file: {error}") from None


def _array(file: Any, name: str, path: Path) -> NDArray[Any]:
    if name not in file:
        raise DataError(f"{path}: has no data set {name}, found {', '.join(file) or 'none'}")
    return file[name][:]


def _patient(slide: str, source: Path) -> str:
    if not slide.startswith("TCGA-") or len(slide) < _TCGA_PATIENT:
        raise DataError(f"{source}: FileName must start with a TCGA barcode (TCGA-XX-XXXX), got '{slide}'")
    return slide[:_TCGA_PATIENT]
