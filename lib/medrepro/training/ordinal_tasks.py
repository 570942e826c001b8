"""The data of the severity chapter in one shape: three parts that share no patient, grades, and a second reader.

The real task: from the mask that a reader drew of a lung nodule, without grey values, name the grades that the same
reader gave it. Spiculation, lobulation and sphericity are shape; malignancy goes along with size; margin (how sharp the
border looks) is hardly in a binary mask, which makes it a weak control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.image_sets import ImageSet
from ..data.lidc_masks import load_masks
from ..data.splitting import split_by_patient
from ..stats import Estimate
from ..stats.agreement import Weights
from .ordinal_scores import second_reader_kappa
from .ordinal_training import GradedImages

LIDC_FINDINGS = ("malignancy", "spiculation", "lobulation", "sphericity", "margin")
FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}
View = Literal["projections", "volume"]


@dataclass(frozen=True, eq=False)
class OrdinalTask:
    """Images with F grades 0 ... n_grades - 1, in three parts that share no unit.

    unit: what is resampled ("patient"). ratings: of each finding, the readings of all readers of the test cases,
    (cases, R) grades, nan where one is missing; ratings_units (cases,): their patients. size: of each part, one number
    an image that every model must beat (the diameter in mm).
    """

    name: str
    train: GradedImages
    val: GradedImages
    test: GradedImages
    findings: tuple[str, ...]
    n_grades: int
    unit: str
    ratings: Mapping[str, NDArray[np.float64]] = field(repr=False)
    ratings_units: NDArray[Any] = field(repr=False)
    size: Mapping[str, NDArray[np.float64]] = field(repr=False)

    @property
    def in_channels(self) -> int:
        return int(self.train.batch(np.array([0])).shape[1])

    @property
    def test_units(self) -> pd.Series:
        """Units of the test images, under a name that results print."""
        return pd.Series(self.test.units, name=f"{self.unit}_id")

    def second_reader(self, finding: str, weighting: Weights, *, n_boot: int = 2000, seed: int) -> Estimate:
        """Kappa between two readers of the test cases, see `second_reader_kappa`."""
        if finding not in self.ratings:
            raise ValueError(f"finding must be one of {', '.join(self.ratings)}, got {finding!r}")
        return second_reader_kappa(
            self.ratings[finding],
            weighting,
            n_grades=self.n_grades,
            units=pd.Series(self.ratings_units, name=f"{self.unit}_id"),
            n_boot=n_boot,
            seed=seed,
        )


def lidc_task(
    *,
    view: View = "projections",
    findings: Sequence[str] = LIDC_FINDINGS,
    fractions: Mapping[str, float] = FRACTIONS,
    files: Mapping[str, Path] | None = None,
    seed: int,
) -> OrdinalTask:
    """LIDC nodules: every reader's mask with that reader's grades, split by patient.

    view: "projections" gives the thickness along z, y and x as three channels (3, 32, 32), "volume" the mask
    (1, 32, 32, 32), unpacked image by image. Both are standardised by mean and SD of the training part. Voxels are
    1.25 mm, so that size can be seen; 1 in 80 nodules was too large and has larger voxels.
    findings: of `lidc.RATINGS`, grades 1 to 5, which become 0 to 4. seed: of the split. files: as in `load_masks`.
    One nodule stands in as many rows as it had readers; all of them lie in one part.
    Raises ValueError for another view or finding, DataError when files are missing.
    """
    graded = set(LIDC_FINDINGS) | {"subtlety", "texture"}
    unknown = [name for name in findings if name not in graded]
    if unknown or not findings:
        raise ValueError(f"findings must be among {', '.join(sorted(graded))}, got {unknown or list(findings)}")
    if view not in ("projections", "volume"):
        raise ValueError(f"view must be 'projections' or 'volume', got {view!r}")
    nodules = load_masks(files)
    rows = split_by_patient(nodules, fractions, seed=seed)
    images: Any = thickness(nodules) if view == "projections" else Volumes(nodules)
    mean, sd = _mean_and_sd(images, rows["train"])
    grades = nodules.labels[list(findings)].to_numpy(dtype=np.int64) - 1
    parts = {}
    for part in ("train", "val", "test"):
        chosen = rows[part]
        seen = (images[chosen] - mean) / sd if view == "projections" else Volumes(nodules, chosen, mean, sd)
        parts[part] = GradedImages(seen, grades[chosen], nodules.patient_id[chosen])
    ratings, first = _by_nodule(nodules.metadata["nodule"].to_numpy()[rows["test"]], grades[rows["test"]])
    return OrdinalTask(
        name="lidc_nodules",
        **parts,
        findings=tuple(findings),
        n_grades=5,
        unit="patient",
        ratings={name: ratings[:, :, k] for k, name in enumerate(findings)},
        ratings_units=parts["test"].units[first],
        size={part: nodules.metadata["diameter_mm"].to_numpy(dtype=float)[rows[part]] for part in parts},
    )


def thickness(nodules: ImageSet) -> NDArray[np.float32]:
    """Share of voxels that belong to the nodule along z, y and x: (n, 3, 32, 32)."""
    found = np.empty((len(nodules), 3, 32, 32), dtype=np.float32)
    for row, mask in zip(found, nodules, strict=True):
        for axis in range(3):
            row[axis] = mask.mean(axis=axis)
    return found


@dataclass(frozen=True)
class Volumes(Sequence[NDArray[np.float32]]):
    """Masks as standardised volumes (1, D, H, W), each made when it is asked for."""

    nodules: ImageSet
    rows: NDArray[np.int64] | None = None
    mean: float = 0.0
    sd: float = 1.0

    def __len__(self) -> int:
        return len(self.nodules) if self.rows is None else len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        row = int(index if self.rows is None else self.rows[index])
        return ((self.nodules.images[row][None] - self.mean) / self.sd).astype(np.float32)


def grade_by_size(task: OrdinalTask) -> NDArray[np.int64]:
    """Grades (n, F) of the test images from the size alone, by multinomial logistic regression on its logarithm.

    A model that does not beat it has learnt that large nodules are graded differently, and no more.
    """
    from sklearn.linear_model import LogisticRegression

    x = {part: np.log(task.size[part])[:, None] for part in ("train", "test")}
    graded = [
        LogisticRegression().fit(x["train"], task.train.grades[:, k]).predict(x["test"])
        for k in range(len(task.findings))
    ]
    return np.stack(graded, axis=1).astype(np.int64)


def _mean_and_sd(images: Any, rows: NDArray[np.int64]) -> tuple[float, float]:
    """Over all pixels of some images, read in pieces."""
    total = squares = count = 0.0
    for row in rows.tolist():
        image = np.asarray(images[row], dtype=np.float64)
        total, squares, count = total + image.sum(), squares + (image**2).sum(), count + image.size
    mean = total / count
    return float(mean), float(max(squares / count - mean**2, 1e-12) ** 0.5)


def _by_nodule(nodule: NDArray[Any], grades: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Readings (m, R, F) of m nodules, nan where there are fewer, and the first row of each nodule."""
    names, first, place = np.unique(nodule, return_index=True, return_inverse=True)
    reader = pd.Series(nodule).groupby(nodule).cumcount().to_numpy()
    ratings = np.full((len(names), reader.max() + 1, grades.shape[1]), np.nan)
    ratings[place, reader] = grades
    return ratings, first
