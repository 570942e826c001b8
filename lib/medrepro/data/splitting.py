"""Splits that keep a patient on one side.

Everything is decided for patients, never for images: patients are put in order by their id, shuffled with the seed,
and dealt to the parts. The result depends on the ids, their strata and the seed, not on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError
from .image_sets import PARTS, ImageSet

Parts = dict[str, NDArray[np.int64]]


def split_by_patient(
    data: ImageSet | ArrayLike,
    fractions: Mapping[str, float],
    *,
    seed: int,
    stratify: ArrayLike | str | None = None,
) -> Parts:
    """Row numbers of each part, ascending; no patient is in two parts.

    data: an image set, or the patient ids (N,) of the rows. fractions: share of patients by name of the part, > 0,
    with sum 1, such as {"train": 0.7, "val": 0.1, "test": 0.2}. stratify: (N,) values, or the name of a label of the
    set: patients with the same set of values are dealt out together, so that all parts have them in proportion. Each
    part gets its share of patients to within one, over all and (to within two) in every stratum.
    Raises ValueError when the fractions are not as said, when ids are missing, or a part would stay empty.
    """
    patients, strata = _arguments(data, stratify)
    names, shares = list(fractions), np.array(list(fractions.values()), dtype=float)
    if not names or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(f"fractions must be > 0 with sum 1, got {dict(fractions)}")
    ids, part_of = _deal(patients, strata, shares, seed)
    if len(ids) < len(names):
        raise ValueError(f"data must hold at least {len(names)} patients for {len(names)} parts, got {len(ids)}")
    part = part_of[np.searchsorted(ids, patients)]
    parts = {name: np.flatnonzero(part == number) for number, name in enumerate(names)}
    empty = [name for name, rows in parts.items() if len(rows) == 0]
    if empty:
        raise ValueError(f"fractions leave part '{empty[0]}' without any of the {len(ids)} patients")
    assert_disjoint(parts, patients)
    return parts


def folds_by_patient(
    data: ImageSet | ArrayLike, n_folds: int, *, seed: int, stratify: ArrayLike | str | None = None
) -> NDArray[np.int64]:
    """Number of the fold (0 ... n_folds - 1) of each row; all rows of a patient share it. Arguments as above."""
    patients, strata = _arguments(data, stratify)
    if n_folds < 2 or n_folds > len(np.unique(patients)):
        raise ValueError(f"n_folds must lie in 2 to {len(np.unique(patients))} (patients), got {n_folds}")
    ids, fold_of = _deal(patients, strata, np.full(n_folds, 1 / n_folds), seed)
    return fold_of[np.searchsorted(ids, patients)]


def published_split(data: ImageSet) -> Parts:
    """Row numbers of the publisher's parts, less the images that would put a patient on two sides.

    The test part is left whole; of the others, rows of a patient who is in a later part (train < val < test) are left
    out, so that the test part can be compared with the literature. With patient-wise published parts none is lost.
    Raises DataError when the publisher gives no parts.
    """
    parts: Parts = {}
    seen: set[str] = set()
    for name in ("test", "val", "train"):
        rows = np.flatnonzero(data.split == name)
        kept = rows[[patient not in seen for patient in data.patient_id[rows].tolist()]] if len(rows) else rows
        seen.update(data.patient_id[kept].tolist())
        if len(kept):
            parts[name] = kept
    if not parts:
        raise DataError(f"{data.name}: its publisher gives no parts: use split_by_patient")
    parts = {name: parts[name] for name in PARTS if name in parts}
    assert_disjoint(parts, data.patient_id)
    return parts


def assert_disjoint(parts: Mapping[str, ArrayLike], patient_id: ArrayLike) -> None:
    """Raise DataError naming two parts, and how many patients are in both; parts: row numbers by name."""
    ids = np.asarray(patient_id)
    sets = {name: set(ids[np.asarray(rows, dtype=np.int64)].tolist()) for name, rows in parts.items()}
    names = list(sets)
    for i, one in enumerate(names):
        for two in names[i + 1 :]:
            both = len(sets[one] & sets[two])
            if both:
                raise DataError(f"parts {one} and {two} share {both} patients, expected none")


def _arguments(
    data: ImageSet | ArrayLike, stratify: ArrayLike | str | None
) -> tuple[NDArray[np.str_], NDArray[np.str_] | None]:
    """Patient ids and strata of the rows as text."""
    values = stratify
    if isinstance(data, ImageSet):
        patients = data.patient_id
        if isinstance(stratify, str):
            if stratify not in data.labels:
                raise ValueError(f"stratify must be one of {', '.join(map(str, data.labels))}, got {stratify!r}")
            values = data.labels[stratify].to_numpy()
    else:
        given = np.asarray(data)
        if given.ndim != 1 or any(value is None or value != value for value in given.tolist()):
            raise ValueError(f"data must be patient ids (N,) without missing ones, got shape {given.shape}")
        patients = given.astype(str)
    if len(patients) == 0:
        raise ValueError("data must hold at least one patient, got none")
    if values is None:
        return patients, None
    strata = np.asarray(values)
    if strata.shape != patients.shape:
        raise ValueError(f"stratify must have shape {patients.shape}, got {strata.shape}")
    return patients, np.array([str(value) for value in strata.tolist()])


def _deal(
    patients: NDArray[np.str_], strata: NDArray[np.str_] | None, shares: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Sorted ids, and the part of each: always the part that is furthest behind its share."""
    ids = np.unique(patients)
    order = np.random.default_rng(seed).permutation(len(ids))
    if strata is not None:
        values: dict[str, set[str]] = {}
        for patient, value in zip(patients.tolist(), strata.tolist(), strict=True):
            values.setdefault(patient, set()).add(value)
        kind = np.unique(["\n".join(sorted(values[i])) for i in ids.tolist()], return_inverse=True)[1]
        order = order[np.argsort(kind[order], kind="stable")]
    part, dealt = np.empty(len(ids), dtype=np.int64), np.zeros(len(shares))
    for place, patient in enumerate(order.tolist()):
        behind = shares * (place + 1) - dealt
        part[patient] = number = int(np.argmax(behind))
        dealt[number] += 1
    return ids, part
