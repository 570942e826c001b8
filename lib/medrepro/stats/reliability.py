"""Reliability of ratings on a scale: Krippendorff's alpha and the intraclass correlation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtri

from ._inputs import check_choice, check_level, make_clusters, real_array
from .categories import code_ratings, coincidences, rated_twice, ratings_matrix, units_of
from .resampling import Method
from .results import Estimate
from .sums import Formula, estimate_from_sums

Scale = Literal["nominal", "ordinal", "interval"]


def krippendorff_alpha(
    ratings: ArrayLike,
    *,
    level_of_measurement: Scale,
    categories: Sequence[Any] | None = None,
    units: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """Krippendorff's alpha with a bootstrap interval over subjects, or over the clusters above them.

    ratings (n, R): subjects in rows, raters in columns, nan or None where there is no rating; subjects with fewer
    than two ratings are left out and counted in `note`.
    level_of_measurement: "nominal", "ordinal" or "interval" difference (Krippendorff, Computing Krippendorff's
    Alpha-Reliability, 2011). categories: their order, needed for ordinal ratings that are not numbers.
    units (n,): clusters of subjects, resampled as a whole (nodules of a patient).
    The bootstrap draws subjects, hence both observed and expected disagreement vary; Krippendorff's own algorithm
    holds the expected disagreement fixed.
    nan with a note when all ratings are equal. Raises ValueError on infinite or non-numeric interval ratings, unknown
    categories and when no subject has two ratings.
    """
    check_choice("level_of_measurement", level_of_measurement, ("nominal", "ordinal", "interval"))
    matrix = ratings_matrix(ratings)
    if level_of_measurement == "interval":
        matrix = (
            matrix.astype(float)
            if matrix.dtype.kind == "O"
            else real_array("ratings", matrix, ndim=(2,), allow_nan=True)
        )
        if np.isinf(matrix).any():
            raise ValueError(f"ratings must be finite, got {int(np.isinf(matrix).sum())} infinite values")
    codes, used = code_ratings("ratings", matrix, categories, ordered=level_of_measurement == "ordinal")
    counts, kept, note = rated_twice(codes, len(used))
    raters = counts.sum(axis=1)
    formula: Formula
    if level_of_measurement == "nominal":
        agree = (counts * (counts - 1)).sum(axis=1) / (raters - 1)
        sums, formula = np.column_stack([agree, counts]), _alpha_nominal
    elif level_of_measurement == "ordinal":
        sums, formula = coincidences(counts) / (raters - 1)[:, None], _alpha_ordinal
    else:
        values = np.asarray(used, dtype=float)
        values -= counts.sum(axis=0) @ values / counts.sum()  # centred: sums of squares keep their digits
        plain, square = counts @ values, counts @ values**2
        within = 2 * (raters * square - plain**2) / (raters - 1)
        sums, formula = np.column_stack([within, raters, plain, square]), _alpha_interval
    clusters = make_clusters(len(counts), units_of(units, codes, kept), case="subject")
    return estimate_from_sums(
        clusters.sums(sums.T).T,
        formula,
        clusters,
        n_boot=n_boot,
        method=method,
        level=level,
        seed=seed,
        closed_form="",
        note=note,
        undefined="all ratings are equal: no reliability can be measured",
    )


def icc(
    ratings: ArrayLike,
    *,
    form: Literal[1, 2, 3],
    average: bool = False,
    units: ArrayLike | None = None,
    n_boot: int | None = None,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int | None = None,
) -> Estimate:
    """Intraclass correlation of Shrout & Fleiss (Psychological Bulletin 1979) for complete ratings.

    ratings (n, R): subjects in rows, raters in columns, no missing value.
    form 1: each subject has its own raters (one-way). form 2: raters are a random sample, absolute agreement.
    form 3: these raters only, consistency. average=True: reliability of the mean of the R ratings, ICC(form, R).
    Interval: F distribution of independent subjects (Shrout & Fleiss), or bootstrap over subjects with
    n_boot and seed. units (n,): clusters of subjects; the F interval does not hold for them, so units need n_boot and
    seed.
    nan with a note when all ratings are equal or there is a single subject.
    Raises ValueError on missing values, other forms, and units without n_boot.
    """
    check_choice("form", form, (1, 2, 3))
    check_choice("average", average, (True, False))
    level = check_level(level)
    data = real_array("ratings", ratings, ndim=(2,)).astype(float)
    n, raters = data.shape
    if n < 1 or raters < 2:
        raise ValueError(f"ratings must have shape (n, R) with n >= 1 and R >= 2, got shape {data.shape}")
    if np.isinf(data).any():
        raise ValueError(f"ratings must be finite, got {int(np.isinf(data).sum())} infinite values")
    if units is not None and n_boot is None:
        raise ValueError("units need n_boot and seed: the closed interval of the ICC assumes independent subjects")
    data = data - data.mean()  # centred: sums of squares keep their digits
    clusters = make_clusters(n, units, case="subject")
    row = data.sum(axis=1)
    sums = clusters.sums(np.column_stack([np.ones(n), (data**2).sum(axis=1), row**2, data]).T).T

    def formula(totals: Any) -> Any:
        return _icc_value(_mean_squares(totals), totals[..., 0], raters, form, average)

    about: dict[str, Any] = {"undefined": "a single subject, or all ratings are equal: no ICC"}
    about["closed_form"] = ""
    if n_boot is not None:
        return estimate_from_sums(
            sums, formula, clusters, n_boot=n_boot, method=method, level=level, seed=seed, **about
        )
    total = sums.sum(axis=0)
    value = float(formula(total))
    name = f"F distribution, ICC({form},{raters if average else 1})"
    fields: dict[str, Any] = {"level": level, "n": n, "unit": "subject", "method": name}
    if math.isnan(value):
        return Estimate(value, math.nan, math.nan, note=about["undefined"], **fields)
    low, high = _icc_bounds(_mean_squares(total), n, raters, form, average, level)
    note = "no residual variance: the interval has no width" if low == high else ""
    note = "no residual variance: no interval" if math.isnan(low) else note
    return Estimate(value, low, high, note=note, **fields)


def _alpha_nominal(totals: Any) -> Any:
    counts = totals[..., 1:]
    n = counts.sum(axis=-1)
    observed = n - totals[..., 0]
    expected = (n**2 - (counts**2).sum(axis=-1)) / (n - 1)
    return _alpha(observed, expected, n)


def _alpha_ordinal(totals: Any) -> Any:
    size = math.isqrt(totals.shape[-1])
    table = totals.reshape(*totals.shape[:-1], size, size)
    counts = table.sum(axis=-1)
    n = counts.sum(axis=-1)
    # Ordinal difference: ratings between the two categories plus half of those in them = difference of midranks.
    midranks = np.cumsum(counts, axis=-1) - counts / 2
    apart = (midranks[..., :, None] - midranks[..., None, :]) ** 2
    observed = (table * apart).sum(axis=(-2, -1))
    expected = (counts[..., :, None] * counts[..., None, :] * apart).sum(axis=(-2, -1)) / (n - 1)
    return _alpha(observed / n**2, expected / n**2, n)


def _alpha_interval(totals: Any) -> Any:
    within, n, plain, square = (totals[..., k] for k in range(4))
    expected = 2 * (n * square - plain**2) / (n - 1)
    scale = np.where(square > 0, 2 * square, 1.0)
    return _alpha(within / scale * n, expected / scale * n, n)


def _alpha(observed: Any, expected: Any, n: Any) -> Any:
    """1 - observed / expected; nan where the expected disagreement is 0 up to rounding, both being of order n."""
    defined = expected > 1e-12 * n
    return np.where(defined, 1.0 - observed / np.where(defined, expected, 1.0), math.nan)


def _mean_squares(totals: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Between subjects, within subjects, between raters, residual (Shrout & Fleiss), and the total sum of
    squares, from totals (..., 3 + R): subjects, sum of squares, sum of squared subject sums, sum of each rater."""
    n, square, row_square, columns = totals[..., 0], totals[..., 1], totals[..., 2], totals[..., 3:]
    raters = columns.shape[-1]
    correction = columns.sum(axis=-1) ** 2 / (n * raters)
    between = row_square / raters - correction
    within = square - row_square / raters
    judges = (columns**2).sum(axis=-1) / n - correction
    df = np.maximum(n - 1, 1)
    residual = np.maximum(within - judges, 0.0)
    return between / df, within / (n * (raters - 1)), judges / (raters - 1), residual / (df * (raters - 1)), square


def _icc_value(squares: tuple[Any, Any, Any, Any, Any], n: Any, raters: int, form: int, average: bool) -> Any:
    between, within, judges, residual, total = squares
    error = within if form == 1 else residual
    spread = between + (0 if average else raters - 1) * error
    if form == 2:
        spread = spread + (1 if average else raters) * (judges - residual) / n
    defined = (n > 1) & (np.abs(spread) > 1e-12 * np.maximum(total, 1e-300))
    return np.where(defined, (between - error) / np.where(defined, spread, 1.0), math.nan)


def _icc_bounds(
    squares: tuple[Any, Any, Any, Any, Any], n: int, raters: int, form: int, average: bool, level: float
) -> tuple[float, float]:
    between, within, judges, residual, total = (float(s) for s in squares)
    tail = 0.5 + level / 2
    error = within if form == 1 else residual
    if error <= 1e-14 * total:
        return (1.0, 1.0) if form != 2 or judges <= 1e-14 * total else (math.nan, math.nan)
    if form == 2:
        value = float(_icc_value(squares, n, raters, 2, False))
        f_judges = judges / residual
        rest = n * (1 + (raters - 1) * value) - raters * value
        top = (raters - 1) * (n - 1) * (raters * value * f_judges + rest) ** 2
        df = top / ((n - 1) * raters**2 * value**2 * f_judges**2 + rest**2)
        upper_f, lower_f = float(fdtri(n - 1, df, tail)), float(fdtri(df, n - 1, tail))
        judge_part = raters * judges + (raters * n - raters - n) * residual
        low = n * (between - upper_f * residual) / (upper_f * judge_part + n * between)
        high = n * (lower_f * between - residual) / (judge_part + n * lower_f * between)
        # Spearman-Brown: the reliability of a mean of R ratings.
        bounds = [b * raters / (1 + b * (raters - 1)) if average else b for b in (low, high)]
    else:
        df1, df2 = n - 1, n * (raters - 1) if form == 1 else (n - 1) * (raters - 1)
        ratios = (between / error / fdtri(df1, df2, tail), between / error * fdtri(df2, df1, tail))
        bounds = [float(1 - 1 / f if average else (f - 1) / (f + raters - 1)) for f in ratios]
    return bounds[0], bounds[1]
