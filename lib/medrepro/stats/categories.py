"""Ratings as categories: coding, counting, and which subjects can show agreement at all."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import FloatArray, IntArray, check_length, encode, is_missing


def category_counts(ratings: ArrayLike, categories: Sequence[Any] | None = None) -> FloatArray:
    """Ratings (n, R) to counts (n, k) a subject and category, missing ratings left out.

    categories: the columns in order; sorted distinct values by default.
    """
    codes, used = code_ratings("ratings", ratings_matrix(ratings), categories, ordered=False)
    return count_codes(codes, len(used))


def code_ratings(
    name: str, ratings: Any, categories: Sequence[Any] | None, *, ordered: bool
) -> tuple[IntArray, list[Any]]:
    """Ratings as places in the list of categories, -1 where missing, and that list.

    ordered: the order of categories matters, so that it must be given unless the ratings are numbers.
    """
    missing = is_missing(ratings)
    codes = np.full(ratings.shape, -1, dtype=np.intp)
    present = ratings[~missing]
    if present.size == 0:
        raise ValueError(f"{name} must hold at least one rating, got {ratings.size} missing values")
    if categories is None:
        numeric = present.dtype.kind in "biuf" or all(isinstance(v, Real) for v in present.tolist())
        if ordered and not numeric:
            raise ValueError(f"categories must give the order of {name}: they are not numbers, got {present[0]!r}")
        distinct, codes[~missing] = encode(present)
        return codes, distinct
    known = list(categories)
    place = {value: k for k, value in enumerate(known)}
    if len(place) < len(known) or not known:
        raise ValueError(f"categories must be distinct and at least one, got {known!r}")
    found = present.tolist()
    unknown = sorted({str(v) for v in found if v not in place})
    if unknown:
        raise ValueError(f"{name} must lie in categories {known!r}, got {', '.join(unknown[:5])}")
    codes[~missing] = [place[v] for v in found]
    return codes, known


def coincidences(counts: FloatArray) -> FloatArray:
    """Ordered pairs of ratings within each subject: counts (n, k) to pairs (n, k * k)."""
    pairs = counts[:, :, None] * counts[:, None, :]
    diagonal = np.arange(counts.shape[1])
    pairs[:, diagonal, diagonal] -= counts
    return pairs.reshape(len(counts), -1)


def ratings_matrix(ratings: ArrayLike) -> Any:
    array = np.asarray(ratings)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] < 2:
        raise ValueError(f"ratings must have shape (n, R) with n >= 1 and R >= 2, got shape {array.shape}")
    return array


def count_codes(codes: IntArray, size: int) -> FloatArray:
    counts = np.zeros((len(codes), size))
    subject, rater = np.nonzero(codes >= 0)
    np.add.at(counts, (subject, codes[subject, rater]), 1.0)
    return counts


def rated_twice(codes: IntArray, size: int) -> tuple[FloatArray, IntArray, str]:
    """Counts of the subjects that have two or more ratings, their places, and a note on the others."""
    counts = count_codes(codes, size)
    kept = np.flatnonzero(counts.sum(axis=1) >= 2)
    if kept.size == 0:
        raise ValueError("ratings must hold at least one subject with two ratings, got none")
    dropped = len(counts) - kept.size
    return (
        counts[kept],
        kept,
        f"{dropped} subject{'s' * (dropped > 1)} with fewer than two ratings left out" * (dropped > 0),
    )


def units_of(units: ArrayLike | None, codes: IntArray, kept: IntArray) -> Any:
    """Units of the subjects that are kept, with the name they carry."""
    if units is None:
        return None
    check_length("units", len(np.asarray(units)), len(codes), "ratings")
    return units.iloc[kept] if hasattr(units, "iloc") else np.asarray(units)[kept]
