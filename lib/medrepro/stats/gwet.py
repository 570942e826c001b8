"""Gwet's AC1: agreement beyond chance that stays meaningful when nearly all subjects fall into one category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import make_clusters
from .categories import code_ratings, count_codes, ratings_matrix, units_of
from .resampling import Method
from .results import Estimate
from .sums import estimate_from_sums, ratio


def gwet_ac1(
    ratings: ArrayLike,
    *,
    categories: Sequence[Any] | None = None,
    units: ArrayLike | None = None,
    level: float = 0.95,
    n_boot: int | None = None,
    method: Method = "percentile",
    seed: int | None = None,
) -> Estimate:
    """Gwet's AC1 of two or more raters (British Journal of Mathematical and Statistical Psychology 2008).

    ratings (n, R): raters in columns, nan or None where there is no rating; two raters a and b: column_stack([a, b]).
    (pa - pe) / (1 - pe), pa the mean share of agreeing pairs over subjects rated twice or more, pe the sum of
    q (1 - q) / (k - 1) over the k categories, q the mean share of a category over all rated subjects. Raters who agree
    always have 1, whatever the prevalence; the value for the same ratings is not comparable with a kappa.
    categories: sorted distinct values by default. Their number enters: name all that could have been used. With a
    single category pe is taken as 0 and the value is 1, with a note.
    units (n,): clusters. Interval: value +- z * linearised SE, cut at 1; or bootstrap with n_boot and seed. It is
    Gwet's SE when all subjects are rated twice or more; his takes the number of those rated once as fixed and comes
    out larger with them. Subjects without any rating take part in neither sum and are not counted in n.
    Raises ValueError when no subject has two ratings and on ratings outside categories.
    """
    codes, used = code_ratings("ratings", ratings_matrix(ratings), categories, ordered=False)
    counts = count_codes(codes, len(used))
    raters = counts.sum(axis=1)
    kept = np.flatnonzero(raters)
    counts, raters = counts[kept], raters[kept]
    twice = raters >= 2
    if not twice.any():
        raise ValueError("ratings must hold at least one subject with two ratings, got none")
    pairs = np.where(twice, raters * (raters - 1), 1.0)
    agree = (counts * (counts - 1)).sum(axis=1) / pairs
    columns = np.column_stack([agree, twice.astype(float), counts / raters[:, None]])
    clusters = make_clusters(len(counts), units_of(units, codes, kept), case="subject")
    size = len(used)

    def formula(totals: Any) -> Any:
        shares = totals[..., 2:] / totals[..., 2:].sum(axis=-1, keepdims=True)
        chance = (shares * (1 - shares)).sum(axis=-1) / max(size - 1, 1)
        return ratio(ratio(totals[..., 0], totals[..., 1]) - chance, 1 - chance)

    once = int((~twice).sum())
    notes = [f"{once} subject{'s' * (once > 1)} with a single rating enter the expected agreement only"] * (once > 0)
    notes += ["one category only: agreement is certain"] * (size == 1)
    return estimate_from_sums(
        clusters.sums(columns.T).T,
        formula,
        clusters,
        n_boot=n_boot,
        method=method,
        level=level,
        seed=seed,
        closed_form="linearised" if units is None else "linearised, clustered",
        upper=1.0,
        note="; ".join(notes),
    )
