"""Checks and encodings shared by the statistics: labels, scores, confidence levels, seeds and clusters."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]


def check_level(level: float) -> float:
    """The confidence level as a float; ValueError unless it lies strictly between 0 and 1."""
    try:
        value = float(level)
    except (TypeError, ValueError):
        raise ValueError(f"level must be a number between 0 and 1, got {level!r}") from None
    if not 0.0 < value < 1.0:
        raise ValueError(f"level must be between 0 and 1 (0.95, not 95), got {level!r}")
    return value


def check_seed(seed: Any) -> int:
    """The seed as an int; ValueError unless it is a whole number >= 0."""
    return _whole_number("seed", seed, minimum=0)


def check_resamples(name: str, count: Any) -> int:
    """The number of resamples as an int; ValueError unless it is a whole number >= 2."""
    return _whole_number(name, count, minimum=2)


def check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """The value itself; ValueError unless it is one of those allowed."""
    if not any(value is choice or (type(value) is type(choice) and value == choice) for choice in allowed):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def _whole_number(name: str, value: Any, minimum: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool | np.bool_) or number < minimum:
        raise ValueError(f"{name} must be a whole number >= {minimum}, got {value!r}")
    return number


def binary_labels(name: str, values: ArrayLike) -> BoolArray:
    """Labels (n,) as booleans; ValueError unless every value is 0 or 1 (or False or True) and n >= 1."""
    labels = np.asarray(values)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"{name} must have shape (n,) with n >= 1, got shape {labels.shape}")
    if labels.dtype.kind == "b":
        return labels
    wrong = labels[~np.isin(labels, (0, 1))] if labels.dtype.kind in "iuf" else labels
    if wrong.size:
        raise ValueError(f"{name} must hold 0 and 1 only, got {wrong[0]} among {wrong.size} other values")
    return labels == 1


def real_array(name: str, values: ArrayLike, *, ndim: tuple[int, ...], allow_nan: bool = False) -> NDArray[Any]:
    """Real numbers in their own dtype; ValueError on other dtypes, on a wrong number of axes and on nan."""
    array = np.asarray(values)
    if array.ndim not in ndim:
        wanted = " or ".join(map(str, ndim))
        raise ValueError(f"{name} must have {wanted} dimension(s), got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.dtype.kind == "f" and not allow_nan and np.isnan(array).any():
        raise ValueError(f"{name} must not hold nan, got {int(np.isnan(array).sum())} of {array.size} values")
    return array


def check_length(name: str, found: int, expected: int, reference: str) -> None:
    """ValueError unless two arrays have the same number of cases."""
    if found != expected:
        raise ValueError(f"{name} must have as many cases as {reference} ({expected}), got {found}")


def is_missing(values: NDArray[Any]) -> BoolArray:
    """True where a value is nan, NaT or, in an object array, None or pandas' NA."""
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind in "mM":
        return np.isnat(values)
    if values.dtype.kind == "O":
        flat = [v is None or type(v).__name__ == "NAType" or bool(v != v) for v in values.ravel()]
        return np.array(flat, dtype=bool).reshape(values.shape)
    return np.zeros(values.shape, dtype=bool)


def encode(values: NDArray[Any]) -> tuple[list[Any], IntArray]:
    """Distinct values in sorted order (order of appearance when they cannot be sorted) and the code of each value."""
    if values.dtype.kind == "O" and all(isinstance(v, str) for v in values.ravel()):
        values = values.astype(str)
    try:
        distinct, codes = np.unique(values, return_inverse=True)
    except TypeError:
        seen: dict[Any, int] = {}
        flat = [seen.setdefault(v, len(seen)) for v in values.ravel()]
        return list(seen), np.array(flat, dtype=np.intp).reshape(values.shape)
    return distinct.tolist(), codes.reshape(values.shape).astype(np.intp)


@dataclass(frozen=True)
class Clusters:
    """Which cases belong together, and which clusters may replace each other in a resample.

    codes (n,): cluster of each case, 0 .. count - 1. unit: what a cluster is, for printing.
    strata: cluster numbers of each stratum; one stratum when none were asked for.
    """

    codes: IntArray
    count: int
    unit: str
    strata: tuple[IntArray, ...]

    def draw(self, rng: np.random.Generator) -> IntArray:
        """One resample: cluster numbers (count,), drawn with replacement within each stratum."""
        drawn = [members[rng.integers(0, members.size, size=members.size)] for members in self.strata]
        return drawn[0] if len(drawn) == 1 else np.concatenate(drawn)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sums per cluster: (..., n) becomes (..., count)."""
        if self.count == self.codes.size and np.array_equal(self.codes, np.arange(self.count)):
            return values
        flat = values.reshape(-1, self.codes.size)
        summed = np.empty((len(flat), self.count))
        for total, row in zip(summed, flat, strict=True):
            total[:] = np.bincount(self.codes, weights=row, minlength=self.count)
        return summed.reshape(*values.shape[:-1], self.count)


def make_clusters(n: int, units: ArrayLike | None, strata: ArrayLike | None = None, case: str = "case") -> Clusters:
    """Clusters from identifiers (n,), or one cluster per case; strata (n,) may not split a cluster.

    The unit is named after the identifiers where they carry a name (a pandas Series "patient_id" gives "patient"),
    else "cluster". ValueError on wrong lengths, missing identifiers and a cluster that lies in two strata.
    """
    if units is None:
        codes, count, unit = np.arange(n), n, case
    else:
        ids = _identifiers("units", units, n)
        distinct, codes = encode(ids)
        count, unit = len(distinct), _unit_name(units)
    if strata is None:
        return Clusters(codes, count, unit, (np.arange(count),))
    _, stratum_of_case = encode(_identifiers("strata", strata, n))
    stratum = np.zeros(count, dtype=np.intp)
    stratum[codes] = stratum_of_case
    split = np.unique(codes[stratum[codes] != stratum_of_case])
    if split.size:
        raise ValueError(f"strata must be constant within each of the units, got {split.size} units in several strata")
    members = tuple(np.flatnonzero(stratum == s) for s in range(int(stratum.max()) + 1))
    return Clusters(codes, count, unit, members)


def _identifiers(name: str, values: ArrayLike, n: int) -> NDArray[Any]:
    ids = np.asarray(values)
    if ids.ndim != 1:
        raise ValueError(f"{name} must have shape (n,), got shape {ids.shape}")
    check_length(name, ids.size, n, "the data")
    missing = is_missing(ids)
    if missing.any():
        raise ValueError(f"{name} must be known for every case, got {int(missing.sum())} missing values")
    return ids


def _unit_name(units: Any) -> str:
    name = getattr(units, "name", None)
    if not isinstance(name, str) or not name:
        return "cluster"
    return name.removesuffix("_ids").removesuffix("_id") or "cluster"


def join_notes(*notes: str) -> str:
    """Notes that say something, joined into one line."""
    return "; ".join(note for note in notes if note)


def two_sided_normal(z: float) -> tuple[float, float]:
    """Two-sided p value of a standard normal statistic and its decimal logarithm, which does not underflow."""
    if math.isnan(z):
        return math.nan, math.nan
    log_p = math.log(2.0) + float(log_ndtr(-abs(z)))
    return math.exp(log_p), log_p / math.log(10.0)
