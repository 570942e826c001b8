"""One shape for every image set: images, labels, patients, sites, published parts, and what is known beside them.

An adapter (`kermany.py`, `busi.py`, ...) turns the files of one publisher into an `ImageSet`. Whatever stands at one
row belongs to one image. Images are an array, or a sequence that reads an image when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .cohort_rules import PROTECTED_ACCESS, SMALLEST_CELL
from .errors import DataError
from .manifests import load

PARTS = ("train", "val", "test", "")  # "" = the publisher gives no part
_MOST_VALUES = 24  # a label with more values is counted as present or missing


class Images(Protocol):
    """A sequence of images: an array (N, H, W[, C]), or anything that reads image `row` when asked."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> NDArray: ...


@dataclass(frozen=True)
class Rows:
    """Some rows of a lazy sequence, in this order; nothing is read until an image is asked for."""

    images: Images
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int, /) -> NDArray:
        return self.images[int(self.rows[row])]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one data set and what belongs to each.

    images: (N, H, W[, C]) array, uint8 or float, or a lazy sequence of such images (sizes may then differ).
    labels: N rows, a column a task; classes as whole numbers or names. Findings: 1 present, 0 absent, -1 uncertain,
    nan not mentioned. patient_id (N,) str: what must stay on one side of a split and is resampled; `unit` says what
    it is ("patient", or "group of near copies" where patients are not published). site (N,) str: where the image
    was made, "" unknown. split (N,) str: the publisher's part, one of PARTS. metadata: N rows, whatever else is known.
    source: where the set comes from and its licence. access: as in its manifest.
    Raises DataError on construction when the parts do not fit each other.
    """

    name: str
    images: NDArray | Images
    labels: pd.DataFrame
    patient_id: NDArray[np.str_]
    site: NDArray[np.str_]
    split: NDArray[np.str_]
    metadata: pd.DataFrame
    unit: str
    source: str
    access: str = "open"

    def __post_init__(self) -> None:
        for field in ("patient_id", "site", "split"):
            values = getattr(self, field)
            if any(value is None or value != value for value in values):
                raise DataError(f"{self.name}: {field}: a value is missing, expected text for every image")
            object.__setattr__(self, field, np.asarray(values, dtype=str))
        sizes = {f: len(getattr(self, f)) for f in ("images", "labels", "patient_id", "site", "split", "metadata")}
        if len(set(sizes.values())) != 1:
            raise DataError(f"{self.name}: parts of different length: {sizes}, expected one row an image")
        for field in ("labels", "metadata"):
            object.__setattr__(self, field, getattr(self, field).reset_index(drop=True))
        if (self.patient_id == "").any():
            raise DataError(f"{self.name}: patient_id: {(self.patient_id == '').sum()} images have none")
        unknown = sorted(set(self.split.tolist()) - set(PARTS))
        if unknown:
            raise DataError(f"{self.name}: split: '{unknown[0]}' is none of train, val, test or empty")

    def __len__(self) -> int:
        return len(self.patient_id)

    def __iter__(self) -> Iterator[NDArray]:
        return (self.images[row] for row in range(len(self)))

    @property
    def lazy(self) -> bool:
        """Whether images are read one by one rather than held in memory."""
        return not isinstance(self.images, np.ndarray)

    @property
    def array(self) -> NDArray:
        """The images as one array; of a lazy set all are read. Raises as `in_memory`."""
        held = self.in_memory().images
        assert isinstance(held, np.ndarray)
        return held

    @property
    def n_patients(self) -> int:
        """Number of independent units (see `unit`)."""
        return len(np.unique(self.patient_id))

    def subset(self, rows: ArrayLike) -> ImageSet:
        """The images of a bool mask (N,) or of row numbers, in the order of the row numbers.

        Raises ValueError when the mask has another length or a row number does not exist.
        """
        chosen = np.asarray(rows)
        if chosen.dtype == bool:
            if chosen.shape != (len(self),):
                raise ValueError(f"rows must be a mask of shape ({len(self)},), got {chosen.shape}")
            chosen = np.flatnonzero(chosen)
        if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
            raise ValueError(f"rows must be a mask or whole numbers, got {chosen.dtype} of shape {chosen.shape}")
        chosen = chosen.astype(np.int64)
        if chosen.size and not (chosen.min() >= 0 and chosen.max() < len(self)):
            raise ValueError(f"rows must lie in 0 to {len(self) - 1}, got {chosen.min()} to {chosen.max()}")
        if isinstance(self.images, np.ndarray):
            images: NDArray | Images = self.images[chosen]
        elif isinstance(self.images, Rows):
            images = Rows(self.images.images, self.images.rows[chosen])
        else:
            images = Rows(self.images, chosen)
        return replace(
            self,
            images=images,
            labels=self.labels.iloc[chosen],
            patient_id=self.patient_id[chosen],
            site=self.site[chosen],
            split=self.split[chosen],
            metadata=self.metadata.iloc[chosen],
        )

    def in_memory(self) -> ImageSet:
        """The same set with its images as one array (N, H, W[, C]).

        Raises DataError when the images differ in shape: ask the adapter for one `size`.
        """
        if isinstance(self.images, np.ndarray):
            return self
        first = self.images[0] if len(self) else np.zeros((0, 0), dtype=np.uint8)
        images = np.empty((len(self), *first.shape), dtype=first.dtype)
        for row, image in enumerate(self):
            if image.shape != first.shape:
                raise DataError(f"{self.name}: image {row} is {image.shape}, the first {first.shape}: name one size")
            images[row] = image
        return replace(self, images=images)

    def describe(self, label: str | None = None) -> pd.DataFrame:
        """Images and patients for every published part and every value of each label (or of one label).

        Columns: part, label, value, images, patients. In credentialed and private sets a count under 10 (of images or
        of patients) reads "< 10", and where this leaves one hidden value in a label, the next smallest is hidden as
        well, so that it cannot be had by subtraction.
        """
        if label is not None and label not in self.labels:
            raise ValueError(f"label must be one of {', '.join(map(str, self.labels))}, got {label!r}")
        rows = []
        for part in (p for p in PARTS if (self.split == p).any()):
            inside = self.split == part
            for column in self.labels if label is None else [label]:
                values = _as_text(self.labels[column])
                counts = [(v, inside & (values == v)) for v in sorted(set(values[inside].tolist()), key=_by_number)]
                cells = [(v, int(m.sum()), len(np.unique(self.patient_id[m]))) for v, m in counts]
                hidden = _hidden([min(n, m) for _, n, m in cells]) if self.access in PROTECTED_ACCESS else set()
                for place, (value, images, patients) in enumerate(cells):
                    shown = (f"< {SMALLEST_CELL}",) * 2 if place in hidden else (images, patients)
                    rows.append((part or "all", column, value, *shown))
        return pd.DataFrame(rows, columns=["part", "label", "value", "images", "patients"])

    def __repr__(self) -> str:
        return f"ImageSet({self.name}: {len(self):,} images, {self.n_patients:,} × {self.unit}, {self.source})"


def assert_counts(name: str, found: Mapping[str, int], expected: Mapping[str, int] | None = None) -> None:
    """Raise DataError when a number counted while loading is not the expected one.

    Compared are `expected` (every key of it) and those counts of the set's manifest that were counted.
    """
    wanted = {**{key: value for key, value in load(name).counts.items() if key in found}, **(expected or {})}
    for key, value in wanted.items():
        if found.get(key) != value:
            raise DataError(f"{name}: {found.get(key)} {key.replace('_', ' ')} were loaded, expected {value}")


def _as_text(column: pd.Series) -> NDArray[np.str_]:
    """Values of a label as text; numbers without a needless ".0"; whether it is there, if it has too many values."""
    present = column.notna().to_numpy()
    if column.nunique() > _MOST_VALUES:
        return np.where(present, "present", "missing")
    text = [f"{v:g}" if isinstance(v, float | np.floating) else str(v) for v in column]
    return np.where(present, text, "missing") if len(text) else np.zeros(0, dtype=str)


def _by_number(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return np.inf, value


def _hidden(counts: list[int]) -> set[int]:
    """Places of the counts that must not be shown."""
    order = np.argsort(counts, kind="stable").tolist()
    small = [place for place in order if counts[place] < SMALLEST_CELL]
    return set(order[: max(len(small), 2)] if small else [])
