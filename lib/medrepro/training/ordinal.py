"""Ordinal regression in three exchangeable parts (Wienholt et al. 2024, arXiv 2402.05685): here parts two and three.

A *model* gives a vector of L raw outputs. The *target function* says which vector stands for grade k; the
*classification function* says which grade a vector means. The same training can be read by several of the latter, but
only by those that give grade k for the target of k: `inversion` checks every pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ENCODINGS = {
    "one_hot": "one-hot",
    "gaussian": "Gaussian",
    "continuous": "continuous",
    "progress_bar": "progress-bar",
    "soft_progress_bar": "soft-progress-bar",
    "binary_number": "binary number",
}
CLASS_FUNCTIONS = {
    "arg_max": "arg-max",
    "sum": "sum",
    "l1_distance": "L1 distance",
    "dot_product": "dot product",
}
_TIE = 1e-9  # differences of scores that are rounding


def target_table(encoding: str, n_grades: int = 5) -> FloatArray:
    """Target vectors (K, L) of the grades 0 ... K - 1, one row a grade.

    one_hot: e_k, L = K. gaussian: the standard normal density at j - k, not normalised to sum 1, L = K.
    continuous: k / (K - 1), L = 1. progress_bar: k ones, then zeros, L = K - 1. soft_progress_bar: k ones, one half,
    then zeros, L = K. binary_number: k + 1 in base 2, highest digit first, L = 3 for K = 5.
    Raises ValueError for an unknown encoding or n_grades < 2.
    """
    if encoding not in _TARGETS:
        raise ValueError(f"encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}")
    if isinstance(n_grades, bool) or not isinstance(n_grades, int | np.integer) or n_grades < 2:
        raise ValueError(f"n_grades must be a whole number >= 2, got {n_grades!r}")
    return _TARGETS[encoding](int(n_grades)).astype(np.float64)


def encode(grades: ArrayLike, encoding: str, n_grades: int = 5) -> FloatArray:
    """Target vectors of grades: (...) whole numbers from 0 to n_grades - 1 become (..., L).

    Raises ValueError for grades outside that range, missing or fractional ones.
    """
    table = target_table(encoding, n_grades)
    given = np.asarray(grades)
    whole = given.astype(np.int64) if given.dtype.kind in "biu" else _whole(given)
    if whole.size and (whole.min() < 0 or whole.max() >= n_grades):
        raise ValueError(f"grades must lie in 0 to {n_grades - 1}, got {whole.min()} to {whole.max()}")
    return table[whole]


def decode(outputs: ArrayLike, encoding: str, class_function: str, n_grades: int = 5) -> IntArray:
    """Grades of raw outputs: (..., L) real numbers of any size become (...), each in 0 ... n_grades - 1.

    arg_max: place of the largest output. sum: the sum, rounded (halves to the even number) and cut to the range of
    grades. l1_distance: the grade whose target is nearest by sum of absolute differences. dot_product: the grade whose
    target has the largest cosine with the outputs; a zero vector has cosine 0 with everything, as in the authors' code.
    Ties go to the lowest grade. They are rare for trained outputs with one exception: under l1_distance every one-hot
    target whose output is 0 or less is equally far, and so is every one whose output is 1 or more.
    Raises ValueError for outputs of another width, or that are not finite.
    """
    table = target_table(encoding, n_grades)
    values = np.asarray(outputs, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] != table.shape[1]:
        raise ValueError(f"outputs must be (..., {table.shape[1]}) for {encoding}, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"outputs must be finite, got {int((~np.isfinite(values)).sum())} that are not")
    if class_function == "sum":
        return np.clip(np.rint(values.sum(axis=-1)), 0, n_grades - 1).astype(np.int64)
    scores = _scores(values, table, class_function)
    # Equal up to rounding is a tie, so that the order in which absolute differences are added decides nothing.
    best = scores.max(axis=-1, keepdims=True)
    return np.argmax(scores >= best - _TIE * np.maximum(1.0, np.abs(best)), axis=-1).astype(np.int64)


@dataclass(frozen=True)
class Inversion:
    """Whether a classification function undoes a target function.

    decoded: the grade that comes back for each grade. exact: they are the same. stable: and stay so for outputs near
    the target; a tie at the target, decided by the order of the grades, is not. reason: empty, or what goes wrong.
    """

    encoding: str
    class_function: str
    decoded: tuple[int, ...]
    exact: bool
    stable: bool
    reason: str

    @property
    def usable(self) -> bool:
        return self.exact and self.stable


@cache
def inversion(encoding: str, class_function: str, n_grades: int = 5) -> Inversion:
    """Check class(target(k)) = k for every grade, and that no grade rests on a tie."""
    table = target_table(encoding, n_grades)
    back = decode(table, encoding, class_function, n_grades)
    grades = np.arange(n_grades)
    exact = bool((back == grades).all())
    if class_function == "sum":
        total = table.sum(axis=1)
        tied = np.abs(np.abs(total - np.floor(total)) - 0.5) < _TIE
    else:
        scores = _scores(table, table, class_function)
        tied = (scores >= scores.max(axis=1, keepdims=True) - _TIE).sum(axis=1) > 1
    reason = ""
    if not exact:
        wrong = [f"{k} comes back as {got}" for k, got in zip(grades.tolist(), back.tolist(), strict=True) if k != got]
        reason = "grade " + ", ".join(wrong)
    elif tied.any():
        named = ", ".join(map(str, grades[tied].tolist()))
        reason = f"grade {named} comes back by a tie only: no output near its target is safe"
    return Inversion(encoding, class_function, tuple(back.tolist()), exact, not tied.any(), reason)


def usable_functions(encoding: str, n_grades: int = 5) -> tuple[str, ...]:
    """The classification functions that undo this encoding; l1_distance is among them for all six encodings."""
    return tuple(name for name in CLASS_FUNCTIONS if inversion(encoding, name, n_grades).usable)


def excluded_pairs(n_grades: int = 5) -> tuple[Inversion, ...]:
    """All pairs that are not used, with the reason."""
    pairs = (inversion(encoding, name, n_grades) for encoding in ENCODINGS for name in CLASS_FUNCTIONS)
    return tuple(pair for pair in pairs if not pair.usable)


def _scores(values: FloatArray, table: FloatArray, class_function: str) -> FloatArray:
    """How well each grade fits the outputs, (..., L) to (..., K), higher is better."""
    grades, length = table.shape
    if class_function == "arg_max":
        # With fewer outputs than grades the last grades can never be named.
        missing = np.full((*values.shape[:-1], max(grades - length, 0)), -math.inf)
        return np.concatenate([values[..., :grades], missing], axis=-1)
    if class_function == "l1_distance":
        return -np.abs(values[..., None, :] - table).sum(axis=-1)
    if class_function == "dot_product":
        return _unit(values) @ _unit(table).T
    raise ValueError(f"class_function must be one of {', '.join(CLASS_FUNCTIONS)}, got {class_function!r}")


def _unit(vectors: FloatArray) -> FloatArray:
    # The largest output is divided out first: the squares of very large or small ones would not fit into a float.
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    scaled = np.divide(vectors, largest, out=np.zeros_like(vectors), where=largest > 0)
    norm = np.sqrt((scaled**2).sum(axis=-1, keepdims=True))
    return np.divide(scaled, norm, out=np.zeros_like(scaled), where=norm > 0)


def _whole(values: NDArray) -> IntArray:
    if values.dtype.kind != "f" or not np.isfinite(values).all() or (values % 1).any():
        raise ValueError("grades must be whole numbers without missing ones")
    return values.astype(np.int64)


def _gaussian(n: int) -> FloatArray:
    distance = np.subtract.outer(np.arange(n), np.arange(n))
    return np.exp(-0.5 * distance**2) / math.sqrt(2 * math.pi)


def _binary(n: int) -> FloatArray:
    digits = n.bit_length()  # of the largest number, n
    return ((np.arange(1, n + 1)[:, None] >> np.arange(digits)[::-1]) & 1).astype(np.float64)


_TARGETS: dict[str, Callable[[int], NDArray]] = {
    "one_hot": np.eye,
    "gaussian": _gaussian,
    "continuous": lambda n: np.linspace(0, 1, n)[:, None],
    "progress_bar": lambda n: np.tri(n, n - 1, k=-1),
    "soft_progress_bar": lambda n: np.tri(n, k=-1) + 0.5 * np.eye(n),
    "binary_number": _binary,
}
