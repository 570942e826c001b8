"""Agreement of raters who sort subjects into categories: Cohen, Fleiss, random pairs of raters, plain percentages.

Every coefficient is a function of sums over clusters (see `sums`), so each takes `units`, the clusters that are
independent of each other (patients with several nodules). Closed-form intervals linearise the coefficient and use
normal quantiles; with few clusters (below about 30) give n_boot and seed instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import (
    FloatArray,
    check_choice,
    check_length,
    check_level,
    make_clusters,
    two_sided_normal,
)
from .categories import code_ratings, coincidences, rated_twice, ratings_matrix, units_of
from .proportions import proportion_from_sums
from .resampling import Method
from .results import Comparison, Estimate
from .sums import Formula, estimate_from_sums, ratio

Weights = Literal["linear", "quadratic"] | ArrayLike | None
ONE_CATEGORY = "all ratings fall into one category: no agreement beyond chance can be measured"


def cohen_kappa(
    a: ArrayLike,
    b: ArrayLike,
    *,
    weights: Weights = None,
    categories: Sequence[Any] | None = None,
    units: ArrayLike | None = None,
    level: float = 0.95,
    n_boot: int | None = None,
    method: Method = "percentile",
    seed: int | None = None,
) -> Estimate:
    """Cohen's kappa of two raters, plain or weighted.

    a, b (n,): the category each rater gives; missing ratings are not allowed.
    weights: None, "linear" |i - j|, "quadratic" (i - j)^2 with i, j places in `categories`, or a matrix of
    disagreements (k, k) with zero diagonal.
    categories: all categories in order; sorted distinct values by default, which weighted kappa accepts for numbers
    only. A category nobody used changes a weighted kappa when it moves the places of others.
    units (n,): clusters. Interval: value +- z * SE with the standard error of Fleiss, Cohen & Everitt (Psychological
    Bulletin 1969), summed over clusters; or a bootstrap over clusters with n_boot and seed.
    nan with a note when both raters use one and the same category only.
    Raises ValueError on missing ratings, unequal lengths, ratings outside categories and invalid weights.
    """
    first, second = np.asarray(a), np.asarray(b)
    if first.ndim != 1 or first.size == 0:
        raise ValueError(f"a must have shape (n,) with n >= 1, got shape {first.shape}")
    if second.ndim != 1:
        raise ValueError(f"b must have shape (n,), got shape {second.shape}")
    check_length("b", second.size, first.size, "a")
    codes, used = code_ratings("a, b", np.column_stack([first, second]), categories, ordered=weights is not None)
    if (codes < 0).any():
        raise ValueError(f"a, b must not hold missing ratings, got {int((codes < 0).sum())}: drop those cases first")
    size = len(used)
    clusters = make_clusters(first.size, units)
    cells = np.zeros((first.size, size * size))
    cells[np.arange(first.size), codes[:, 0] * size + codes[:, 1]] = 1.0
    return estimate_from_sums(
        clusters.sums(cells.T).T,
        _kappa_formula(_disagreements(weights, size)),
        clusters,
        n_boot=n_boot,
        method=method,
        level=level,
        seed=seed,
        closed_form="Fleiss-Cohen-Everitt" if units is None else "Fleiss-Cohen-Everitt, clustered",
        small_sample=False,
        upper=1.0,
        undefined=ONE_CATEGORY,
    )


def pairwise_kappa(
    ratings: ArrayLike,
    *,
    weights: Weights = None,
    categories: Sequence[Any] | None = None,
    pairs: Literal["subject", "pair"] = "subject",
    units: ArrayLike | None = None,
    n_boot: int | None = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int | None = None,
) -> Estimate:
    """Kappa of two raters drawn at random from exchangeable raters, whose number may differ between subjects.

    ratings (n, R): one row a subject in any order of raters, nan or None where there is no rating.
    All ordered pairs of ratings within a subject enter one table of observed pairs. pairs="subject": a subject counts
    once, whatever its number of raters (1 / (r (r - 1)) a pair); pairs="pair": every pair counts once. Expected
    agreement comes from the pooled margins of that table, since raters have no identity. Subjects with fewer than two
    ratings are left out and counted in `note`.
    With r equal for all subjects and no weights this is Fleiss' kappa; Krippendorff's alpha weights by 1 / (r - 1)
    and corrects for the number of ratings.
    weights, categories, units as in `cohen_kappa`. Interval: bootstrap over units (needs seed); n_boot=None gives
    value +- z * linearised SE.
    Raises ValueError as `cohen_kappa`, and when no subject has two ratings.
    """
    check_choice("pairs", pairs, ("subject", "pair"))
    codes, used = code_ratings("ratings", ratings_matrix(ratings), categories, ordered=weights is not None)
    counts, kept, note = rated_twice(codes, len(used))
    raters = counts.sum(axis=1)
    share = 1.0 / (raters * (raters - 1)) if pairs == "subject" else np.ones(len(raters))
    clusters = make_clusters(len(counts), units_of(units, codes, kept), case="subject")
    return estimate_from_sums(
        clusters.sums((coincidences(counts) * share[:, None]).T).T,
        _kappa_formula(_disagreements(weights, len(used))),
        clusters,
        n_boot=n_boot,
        method=method,
        level=level,
        seed=seed,
        closed_form="linearised",
        upper=1.0,
        note=note,
        undefined=ONE_CATEGORY,
    )


def fleiss_kappa(
    counts: ArrayLike,
    *,
    category: int | None = None,
    units: ArrayLike | None = None,
    level: float = 0.95,
    n_boot: int | None = None,
    method: Method = "percentile",
    seed: int | None = None,
) -> Estimate:
    """Fleiss' kappa over all categories, or of one category against the rest.

    counts (n, k): how many raters put subject i into category j (`category_counts` makes it from ratings). Every
    subject needs the same number of raters, at least two; use `pairwise_kappa` or `krippendorff_alpha` otherwise.
    category: column of counts for the kappa of that category (Fleiss, Psychological Bulletin 1971).
    units (n,): clusters.
    Interval: value +- z * SE where kappa need not be 0 (Gwet, Educational and Psychological Measurement 2021,
    summed over clusters), or bootstrap with n_boot and seed, which draws how many subjects there are of each kind
    (see `sums_replicates`). For the test of kappa = 0 see `fleiss_test`.
    nan with a note when all ratings fall into one category.
    Raises ValueError on unequal numbers of raters, negative or fractional counts.
    """
    table = _fleiss_counts(counts, category)
    raters = float(table[0].sum())
    clusters = make_clusters(len(table), units, case="subject")
    together = (table * (table - 1)).sum(axis=1) / (raters * (raters - 1))
    sums = clusters.sums(np.column_stack([together, table / raters]).T).T

    def formula(totals: Any) -> Any:
        margins = totals[..., 1:]
        subjects = margins.sum(axis=-1)
        chance = (margins**2).sum(axis=-1) / subjects**2
        return ratio(totals[..., 0] / subjects - chance, 1.0 - chance)

    return estimate_from_sums(
        sums,
        formula,
        clusters,
        n_boot=n_boot,
        method=method,
        level=level,
        seed=seed,
        closed_form="Gwet 2021" if units is None else "Gwet 2021, clustered",
        upper=1.0,
        undefined=ONE_CATEGORY,
        by_kind=True,
    )


def fleiss_test(counts: ArrayLike, *, category: int | None = None, level: float = 0.95) -> Comparison:
    """Test of Fleiss' kappa = 0 with the standard error that holds under no agreement beyond chance.

    counts, category as in `fleiss_kappa`. Standard errors of Fleiss, Nee & Landis (Psychological Bulletin 1979);
    subjects must be independent. difference is kappa minus 0 with the interval of `fleiss_kappa`, and
    statistic = kappa / null standard error.
    """
    estimate = fleiss_kappa(counts, category=category, level=level)
    table = _fleiss_counts(counts, category)
    subjects, raters = len(table), float(table[0].sum())
    share = table.sum(axis=0) / table.sum()
    spread = share * (1 - share)
    total = float(spread.sum())
    factor = 2.0 / (subjects * raters * (raters - 1))
    method = "Fleiss' kappa, z test with the null standard error"
    if total == 0:
        return Comparison(estimate, math.nan, math.nan, math.nan, method)
    null_se = math.sqrt(factor * (total**2 - float((spread * (1 - 2 * share)).sum()))) / total
    z = estimate.value / null_se
    return Comparison(estimate, z, *two_sided_normal(z), method)


def percent_agreement(
    ratings: ArrayLike,
    *,
    units: ArrayLike | None = None,
    level: float = 0.95,
    n_boot: int | None = None,
    method: Method = "percentile",
    seed: int | None = None,
) -> Estimate:
    """Share of pairs of ratings that agree, averaged over subjects; a value in [0, 1].

    ratings (n, R): raters in columns, nan or None where there is no rating; two raters a and b: column_stack([a, b]).
    Subjects with fewer than two ratings are left out and counted in `note`. units (n,): clusters.
    Interval: Wilson's at the effective sample size (see `proportion`), plain Wilson for two raters and independent
    subjects; or bootstrap with n_boot and seed. Agreement by chance is not taken out: read it beside a kappa.
    Raises ValueError when no subject has two ratings.
    """
    codes, used = code_ratings("ratings", ratings_matrix(ratings), None, ordered=False)
    counts, kept, note = rated_twice(codes, len(used))
    raters = counts.sum(axis=1)
    agree = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))
    clusters = make_clusters(len(counts), units_of(units, codes, kept), case="subject")
    sums = clusters.sums(np.stack([agree, np.ones(len(agree))])).T
    if n_boot is None:
        return proportion_from_sums(sums, clusters, check_level(level), note)

    def share(totals: Any) -> Any:
        return totals[..., 0] / totals[..., 1]

    how: dict[str, Any] = {"n_boot": n_boot, "method": method, "level": level, "seed": seed, "note": note}
    return estimate_from_sums(sums, share, clusters, closed_form="", **how)


def _kappa_formula(disagreement: FloatArray) -> Formula:
    size = len(disagreement)

    def formula(totals: Any) -> Any:
        table = totals.reshape(*totals.shape[:-1], size, size)
        table = table / table.sum(axis=(-2, -1), keepdims=True)
        rows, columns = table.sum(axis=-1), table.sum(axis=-2)
        observed = (disagreement * table).sum(axis=(-2, -1))
        expected = ((rows @ disagreement) * columns).sum(axis=-1)
        return 1.0 - ratio(observed, expected)

    return formula


def _disagreements(weights: Weights, size: int) -> FloatArray:
    """Disagreement of every two categories, largest 1."""
    places = np.arange(size)
    distance = np.abs(places[:, None] - places).astype(float)
    if weights is None:
        matrix = (distance > 0).astype(float)
    elif isinstance(weights, str):
        matrix = distance ** {"linear": 1, "quadratic": 2}[check_choice("weights", weights, ("linear", "quadratic"))]
    else:
        matrix = np.asarray(weights, dtype=float)
        if matrix.shape != (size, size):
            raise ValueError(f"weights must have shape ({size}, {size}), one row a category, got {matrix.shape}")
        if not np.all(np.isfinite(matrix)) or (matrix < 0).any() or np.diag(matrix).any():
            raise ValueError("weights must be disagreements: finite, >= 0 and 0 on the diagonal")
    largest = matrix.max()
    return matrix / largest if largest > 0 else matrix


def _fleiss_counts(counts: ArrayLike, category: int | None) -> FloatArray:
    table = np.asarray(counts)
    if table.ndim != 2 or 0 in table.shape or table.dtype.kind not in "iuf":
        raise ValueError(f"counts must be numbers of shape (n, k), got {table.dtype} of shape {table.shape}")
    table = table.astype(float)
    if not np.all(np.isfinite(table)) or (table < 0).any() or (table % 1).any():
        raise ValueError("counts must be whole numbers >= 0")
    raters = np.unique(table.sum(axis=1))
    if raters.size > 1 or raters[0] < 2:
        raise ValueError(
            f"counts must give every subject the same number of raters, at least 2, got {raters.min():g} to "
            f"{raters.max():g}: use pairwise_kappa or krippendorff_alpha for unequal numbers"
        )
    if category is None:
        return table
    if isinstance(category, bool) or not isinstance(category, int | np.integer) or not 0 <= category < table.shape[1]:
        raise ValueError(f"category must be a column between 0 and {table.shape[1] - 1}, got {category!r}")
    one = table[:, category]
    return np.column_stack([one, raters[0] - one])
