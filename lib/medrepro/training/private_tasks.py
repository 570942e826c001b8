"""The tasks of the chapters on privacy, brought to one shape: examples to learn from, to choose on, to test on.

Three real ones: chest radiographs of children, a table of COVID-19 tests with age and sex, and nodules in 3D.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.image_sets import ImageSet
from ..data.splitting import Parts, published_split, split_by_patient
from ..data.trials import Trial
from .examples import Examples, age_bands

COVID_BANDS = (0, 5, 18, 45, math.inf)  # years; the set is a children's hospital with its staff
COVID_CLASSES = ("inpatient", "emergency", "not applicable", "outpatient", "recurring outpatient", "observation")


@dataclass(frozen=True)
class Finding:
    """A yes-or-no label: a column of an image set, its values for yes and for no (None: all others); else unknown."""

    column: str
    positive: tuple[object, ...]
    negative: tuple[object, ...] | None = None


@dataclass(frozen=True, eq=False)
class PrivateTask:
    """Three parts that share no unit, and what one example and one unit are.

    labels: names of the K labels. example: what epsilon protects ("image"); unit: what is resampled ("child").
    """

    name: str
    train: Examples
    val: Examples
    test: Examples
    labels: tuple[str, ...]
    example: str
    unit: str


def summarise(tasks: Mapping[str, PrivateTask]) -> pd.DataFrame:
    """One row a task: examples and units of each part, share of positives, most training examples of one unit."""
    rows = {}
    for name, task in tasks.items():
        parts = {part: getattr(task, part) for part in ("train", "val", "test")}
        rows[name] = {
            **{part: f"{len(d):,} {task.example}s of {len(np.unique(d.units)):,}" for part, d in parts.items()},
            "unit": task.unit,
            "share of positives": " / ".join(f"{share:.2f}" for share in np.nanmean(task.test.labels, axis=0)),
            "most of one unit": int(np.unique(task.train.units, return_counts=True)[1].max()),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("task")


def image_task(
    images: ImageSet,
    findings: Mapping[str, Finding],
    *,
    groups: Mapping[str, str] | None = None,
    val_share: float = 0.15,
    seed: int,
) -> PrivateTask:
    """Yes-or-no findings of an image set; images as float32 (n, 1, H, W) or (n, 1, D, H, W) in [0, 1].

    findings: name of a label to its rule; an image without any known label is left out.
    groups: attribute to the column of labels or metadata that holds the subgroup. The publisher's test part stays
    whole; where there is no validation part, val_share of the training units becomes it, and without any part the test
    part is as large. Raises ValueError for unknown columns and for images in colour.
    """
    known = {**dict(images.metadata.items()), **dict(images.labels.items())}
    for column in (*(finding.column for finding in findings.values()), *(groups or {}).values()):
        if column not in known:
            raise ValueError(f"column must be one of {', '.join(map(str, known))}, got {column!r}")
    labels = np.stack([_label(known[finding.column], finding) for finding in findings.values()], axis=1)
    there = ~np.isnan(labels).all(axis=1)
    kept, labels = images.subset(there).in_memory(), labels[there]
    array = kept.array
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[-1] == 3):
        raise ValueError(f"images must be grey, (N, H, W) or (N, D, H, W), got {array.shape}")
    everything = Examples(
        torch.from_numpy(array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1)).unsqueeze(1),
        labels,
        kept.patient_id,
        {name: known[column][there].fillna("").astype(str).to_numpy() for name, column in (groups or {}).items()},
    )
    parts = _parts(kept, labels, val_share, seed)
    train, val, test = (everything.subset(parts[name]) for name in ("train", "val", "test"))
    return PrivateTask(images.name, train, val, test, tuple(findings), "image", images.unit.split(" (")[0])


def covid_task(trial: Trial, *, fractions: Sequence[float] = (0.5, 0.1, 0.4), seed: int) -> PrivateTask:
    """Is a COVID-19 test positive? Tests of `covid_testing` with a valid result, split by subject.

    Features, all known before the test, 25 in [-1, 1]: day of the pandemic and age as bumps, sex, drive-through,
    class of the patient. groups: sex, and age in bands of `COVID_BANDS`. A subject may have many tests: epsilon
    protects one test. The table was permuted by its publishers, so what is learned says little about patients.
    """
    table = trial.table
    valid = table["result"].isin(["positive", "negative"]).to_numpy()
    table = table[valid].reset_index(drop=True)
    subject = trial.patient_id[valid]
    age, positive = table["age"].to_numpy(dtype=float), (table["result"] == "positive").to_numpy()
    everything = Examples(
        covid_features(table),
        positive.astype(np.float32)[:, None],
        subject,
        {"sex": table["gender"].to_numpy(dtype=str), "age": age_bands(age, COVID_BANDS)},
    )
    names = ("train", "val", "test")
    strata = pd.Series(positive).groupby(subject).transform("max").to_numpy()
    parts = split_by_patient(subject, dict(zip(names, fractions, strict=True)), seed=seed, stratify=strata)
    train, val, test = (everything.subset(parts[name]) for name in names)
    return PrivateTask("covid_testing", train, val, test, ("positive",), "test", "subject")


def covid_features(table: pd.DataFrame) -> Tensor:
    """(n, 25) float32; scaled by numbers written here, not by the data, so that scaling leaks nothing."""
    day = _bumps(table["pan_day"].to_numpy(dtype=float), np.linspace(0, 110, 10))
    age = _bumps(np.log1p(table["age"].to_numpy(dtype=float)), np.log1p([0, 1, 3, 7, 15, 30, 60]))
    kind = table["patient_class"].to_numpy(dtype=object)
    columns = [
        *day.T,
        *age.T,
        np.where(table["gender"] == "female", 1.0, -1.0),
        np.where(table["drive_thru_ind"] == 1, 1.0, -1.0),
        *(np.equal(kind, name).astype(float) for name in COVID_CLASSES),
    ]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def pixel_statistics(images: Tensor) -> Tensor:
    """Eight numbers of each image that know no anatomy, for a baseline: (n, 8).

    images (n, 1, ...). Mean, standard deviation, five quantiles, and mean size of the step between neighbours.
    """
    flat = images.flatten(1)
    levels = torch.quantile(flat, torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95]), dim=1).T
    step = (images[..., 1:] - images[..., :-1]).abs().flatten(1).mean(dim=1, keepdim=True)
    return torch.cat([flat.mean(1, keepdim=True), flat.std(1, keepdim=True), levels, step], dim=1)


def _bumps(x: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussians around the centres, as wide as the centres are apart: (n, len(centres))."""
    width = np.gradient(centres)
    return np.exp(-0.5 * ((x[:, None] - centres) / width) ** 2)


def _label(values: pd.Series, finding: Finding) -> NDArray[np.float32]:
    """1, 0, or nan where the value stands for neither: (N,)."""
    yes = values.isin(finding.positive)
    no = values.notna() & ~yes if finding.negative is None else values.isin(finding.negative)
    return np.select([yes, no], [1.0, 0.0], np.nan).astype(np.float32)


def _parts(images: ImageSet, labels: NDArray[np.float32], val_share: float, seed: int) -> Parts:
    """Rows of train, val and test, by the publisher where there are parts."""
    strata = np.array([str(row) for row in labels.tolist()])
    if not (images.split == "test").any():
        shares = {"train": 1 - 2 * val_share, "val": val_share, "test": val_share}
        return split_by_patient(images, shares, seed=seed, stratify=strata)
    parts = published_split(images)
    if "val" not in parts:
        rows = parts["train"]
        shares = {"train": 1 - val_share, "val": val_share}
        inner = split_by_patient(images.patient_id[rows], shares, seed=seed, stratify=strata[rows])
        parts |= {name: rows[chosen] for name, chosen in inner.items()}
    return parts
