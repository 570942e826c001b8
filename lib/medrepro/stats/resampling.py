"""Bootstrap of any statistic, and a fast one for when the statistic is a function of sums over clusters.

All functions draw the same resamples for equal seed, units and strata, whatever they compute from them: results of
separate calls are paired, and the pieces in which the work is done change nothing but rounding. The one exception is
`by_kind`, which draws other resamples of the same distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.special import ndtr, ndtri

from ._inputs import (
    Clusters,
    FloatArray,
    IntArray,
    check_choice,
    check_length,
    check_level,
    check_resamples,
    check_seed,
    join_notes,
    make_clusters,
)
from .results import Comparison, Estimate

Method = Literal["percentile", "basic", "normal", "bca"]
Rule = Literal["centred", "share"]
METHODS = ("percentile", "basic", "normal", "bca")
RULES = ("centred", "share")
MANY_KINDS = 10  # drawing one number for a kind takes about as long as drawing ten clusters
DRAWN_AT_ONCE = 2**17  # cluster numbers, which then stay in the cache
MOST_UNDEFINED = 0.1  # above this share of undefined resamples the rest is too selected a sample to make an interval


def bootstrap(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """A statistic of arrays that share their cases, with a bootstrap interval.

    statistic(*arrays) returns one number; it receives NumPy arrays, all resampled alike, so that a difference between
    two models computed inside it is paired. arrays: (n, ...), the first axis is resampled.
    units (n,): clusters, drawn as a whole. strata (n,): clusters are drawn within strata, whose sizes stay fixed.
    method: "percentile" (quantiles of the resamples), "basic" (percentile mirrored at the value), "normal"
    (value +- z * standard deviation), "bca" (Efron 1987; calls the statistic once more per cluster).
    Resamples where the statistic is nan are left out and counted in `note`; above one in ten there is no interval.
    Raises ValueError on unequal lengths, unknown methods, fewer than 2 resamples and strata that split a unit.
    """
    estimate, _ = _bootstrap(statistic, arrays, units, strata, n_boot, method, level, seed)
    return estimate


def bootstrap_replicates(
    statistic: Callable[..., Any],
    *arrays: ArrayLike,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    seed: int,
) -> FloatArray:
    """The statistic on each resample: (n_boot,), or (n_boot, ...) when it returns an array.

    Arguments as in `bootstrap`. For intervals of several quantities from one set of resamples, and for plots.
    """
    data, clusters = _prepare(arrays, units, strata)
    return _replicates(statistic, data, clusters, n_boot, seed)


def bootstrap_test(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    null: float = 0.0,
    rule: Rule = "centred",
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> Comparison:
    """A statistic, usually a paired difference, tested against `null` by the bootstrap.

    rule as in `bootstrap_p_value`; the other arguments as in `bootstrap`. statistic of the result: (value - null)
    over the standard deviation of the resamples.
    """
    check_choice("rule", rule, RULES)
    estimate, replicates = _bootstrap(statistic, arrays, units, strata, n_boot, method, level, seed)
    return bootstrap_comparison(estimate, replicates, null=null, rule=rule)


def bootstrap_sums(
    sums: FloatArray,
    formula: Callable[[FloatArray], FloatArray],
    clusters: Clusters,
    *,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
    note: str = "",
    by_kind: bool = False,
) -> Estimate:
    """Bootstrap of a statistic that depends on the data through sums over clusters only.

    sums (G, p): what each cluster adds to the p totals. formula: maps totals (..., p) to values (...), nan where
    undefined. A resample is a vector of counts times `sums`, so that 1000 resamples cost one matrix product.
    by_kind: as in `sums_replicates`.
    """
    replicates = sums_replicates(sums, formula, clusters, n_boot=n_boot, seed=seed, by_kind=by_kind)
    total = sums.sum(axis=0)
    acceleration = bca_acceleration(formula(total - sums), clusters) if method == "bca" else math.nan
    return bootstrap_estimate(
        float(formula(total)),
        replicates,
        method=method,
        level=level,
        seed=seed,
        acceleration=acceleration,
        note=note,
        **about_clusters(clusters),
    )


def sums_replicates(
    sums: FloatArray,
    formula: Callable[[FloatArray], FloatArray],
    clusters: Clusters,
    *,
    n_boot: int,
    seed: int,
    by_kind: bool = False,
) -> FloatArray:
    """The values (n_boot,) behind `bootstrap_sums`.

    by_kind: clusters with equal sums cannot be told apart by the statistic. Where there is one stratum and there are
    few kinds of them, only the number of clusters of each kind is drawn (multinomial): the same distribution of
    resamples at the cost of the kinds instead of the clusters, but not the resamples that other functions draw.
    """
    kinds = _kinds(sums) if by_kind and len(clusters.strata) == 1 else None
    if kinds is not None:
        different, how_many = kinds
        n_boot, rng = check_resamples("n_boot", n_boot), np.random.default_rng(check_seed(seed))
        drawn = rng.multinomial(len(sums), how_many / len(sums), size=n_boot)
        return np.asarray(formula(drawn @ different))
    parts = [formula(counts @ sums) for counts in count_chunks(clusters, n_boot, seed, width=sum(sums.shape))]
    return np.concatenate(parts)


def _kinds(sums: FloatArray) -> tuple[FloatArray, IntArray] | None:
    """Distinct rows (m, p) of sums (G, p) and how often each occurs; None unless m is well below G."""
    # Rows are told apart by one number, for sorting rows is slow; the comparison proves that it missed no difference.
    key = (sums * np.sqrt(np.arange(2.0, 2.0 + sums.shape[1]))).sum(axis=1)
    _, first, kind, how_many = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    different = sums[first]
    if MANY_KINDS * len(different) > len(sums) or not np.array_equal(different[kind], sums):
        return None
    return different, how_many


def count_chunks(
    clusters: Clusters, n_boot: int, seed: int, width: int, dtype: DTypeLike = np.float64
) -> Iterator[NDArray[Any]]:
    """Resamples as counts per cluster, in pieces (b, G) that keep b * width near 2 million numbers."""
    n_boot, rng = check_resamples("n_boot", n_boot), np.random.default_rng(check_seed(seed))
    step = max(1, 2_000_000 // max(width, 1))
    for start in range(0, n_boot, step):
        yield _draw_counts(clusters, rng, min(step, n_boot - start), dtype)


def _draw_counts(clusters: Clusters, rng: np.random.Generator, n_boot: int, dtype: DTypeLike) -> NDArray[Any]:
    """How often each cluster is drawn, (n_boot, G): the resamples of `Clusters.draw` called n_boot times."""
    size, few = clusters.count, max(1, DRAWN_AT_ONCE // clusters.count)
    if len(clusters.strata) == 1 and n_boot <= few:
        # One long draw gives the numbers of many short ones; resample b counts in the places b * size and after.
        drawn = rng.integers(0, size, size=(n_boot, size))
        drawn += size * np.arange(n_boot)[:, None]
        return np.bincount(drawn.ravel(), minlength=n_boot * size).reshape(n_boot, size).astype(dtype, copy=False)
    counts = np.empty((n_boot, size), dtype=dtype)
    if len(clusters.strata) == 1:
        for start in range(0, n_boot, few):
            part = counts[start : start + few]
            part[:] = _draw_counts(clusters, rng, len(part), dtype)
    else:
        for row in counts:
            row[:] = np.bincount(clusters.draw(rng), minlength=size)
    return counts


def bootstrap_estimate(
    value: float,
    replicates: ArrayLike,
    *,
    n: int,
    unit: str = "",
    method: Method = "percentile",
    level: float = 0.95,
    seed: int | None = None,
    acceleration: float = math.nan,
    stratified: bool = False,
    note: str = "",
    n_pos: int | None = None,
    n_neg: int | None = None,
) -> Estimate:
    """The Estimate of a value from its resamples (n_boot,), as `bootstrap` makes it.

    For several quantities from one set of resamples (columns of `bootstrap_replicates`). n, unit: what was resampled.
    acceleration: needed by "bca" only, see `bca_acceleration`.
    Raises ValueError on other methods and levels and on replicates that are not (n_boot,).
    """
    check_choice("method", method, METHODS)
    level = check_level(level)
    drawn = np.asarray(replicates, dtype=float)
    if drawn.ndim != 1 or drawn.size == 0:
        raise ValueError(f"replicates must have shape (n_boot,), got shape {drawn.shape}")
    defined = drawn[~np.isnan(drawn)]
    undefined = drawn.size - defined.size
    notes = [note]
    low = high = math.nan
    if math.isnan(value):
        notes.append("the statistic is undefined on these data")
    elif undefined > MOST_UNDEFINED * drawn.size:
        notes.append(f"undefined in {undefined} of {drawn.size} resamples: no interval")
    else:
        if undefined:
            notes.append(f"undefined in {undefined} of {drawn.size} resamples, which are left out")
        low, high = _interval(value, defined, acceleration, method, level)
        if math.isnan(low):
            notes.append(f"the {method} interval is undefined: too few clusters, or resamples all on one side")
        elif low == high:
            notes.append("all resamples give the same value: the interval has no width")
    return Estimate(
        value,
        low,
        high,
        level,
        n=n,
        unit=unit,
        method=f"bootstrap, {method}" + (", stratified" if stratified else ""),
        n_boot=drawn.size,
        seed=seed,
        note=join_notes(*notes),
        n_pos=n_pos,
        n_neg=n_neg,
    )


def bootstrap_comparison(
    difference: Estimate, replicates: FloatArray, *, null: float = 0.0, rule: Rule = "centred"
) -> Comparison:
    """A bootstrapped difference with its test against `null` from the same resamples (n_boot,)."""
    p = bootstrap_p_value(difference.value, replicates, null=null, rule=rule)
    spread = float(np.nanstd(replicates, ddof=1)) if np.sum(~np.isnan(replicates)) > 1 else math.nan
    statistic = (difference.value - null) / spread if spread > 0 else math.nan
    log10_p = math.log10(p) if p > 0 else math.nan
    return Comparison(difference, statistic, p, log10_p, f"{difference.method}, p value by rule: {rule}")


def bootstrap_p_value(value: float, replicates: ArrayLike, *, null: float = 0.0, rule: Rule = "centred") -> float:
    """Two-sided p value of `value` against `null` from bootstrap resamples.

    rule "centred": the resamples are shifted so that their centre obeys the null, and
    p = (1 + number with |replicate - value| >= |value - null|) / (1 + B) (Davison & Hinkley 1997, section 4.4).
    rule "share": twice the smaller share of resamples on either side of the null, (1 + number) / (1 + B), at most 1;
    it agrees with the percentile interval. nan resamples are left out.
    nan when the value is nan or when all resamples are equal (identical models).
    """
    check_choice("rule", rule, RULES)
    drawn = np.asarray(replicates, dtype=float)
    drawn = drawn[~np.isnan(drawn)]
    if math.isnan(value) or drawn.size == 0 or drawn.min() == drawn.max():
        return math.nan
    if rule == "centred":
        extreme = np.count_nonzero(at_least(np.abs(drawn - value), abs(value - null)))
        return float((1 + extreme) / (1 + drawn.size))
    side = min(np.count_nonzero(drawn <= null), np.count_nonzero(drawn >= null))
    return min(1.0, 2.0 * (1 + side) / (1 + drawn.size))


def about_clusters(clusters: Clusters) -> dict[str, Any]:
    """What `bootstrap_estimate` wants to know about the clusters that were resampled."""
    return {"n": clusters.count, "unit": clusters.unit, "stratified": len(clusters.strata) > 1}


def bca_acceleration(jackknife: FloatArray, clusters: Clusters) -> float:
    """Efron's (1987) acceleration from the statistic without each cluster (G,).

    With strata the influences are divided by stratum sizes, the form for several samples (Davison & Hinkley 1997,
    chapter 5). Influences are centred on the jackknife mean, as in SciPy; R's boot centres on the estimate.

    nan when a value is nan, when none differs, or when a stratum has a single cluster.
    """
    cubes = squares = 0.0
    for members in clusters.strata:
        size = members.size
        influence = (size - 1) * (jackknife[members].mean() - jackknife[members])
        cubes += float((influence**3).sum()) / size**3
        squares += float((influence**2).sum()) / size**2
    return cubes / (6.0 * squares**1.5) if squares > 0 else math.nan


def _interval(
    value: float, drawn: FloatArray, acceleration: float, method: Method, level: float
) -> tuple[float, float]:
    tails = np.array([0.5 - level / 2, 0.5 + level / 2])
    if method == "normal":
        half = float(ndtri(tails[1])) * float(drawn.std(ddof=1)) if np.isfinite(drawn).all() else math.nan
        return value - half, value + half
    if method == "bca":
        if drawn.min() == drawn.max() == value:
            return value, value
        below = (np.count_nonzero(drawn < value) + np.count_nonzero(drawn <= value)) / (2.0 * drawn.size)
        if not 0 < below < 1 or math.isnan(acceleration):
            return math.nan, math.nan
        bias = float(ndtri(below))
        shifted = bias + ndtri(tails)
        tails = ndtr(bias + shifted / (1.0 - acceleration * shifted))
    low, high = (float(q) for q in np.quantile(drawn, tails))
    return (2 * value - high, 2 * value - low) if method == "basic" else (low, high)


def at_least(values: FloatArray, bound: float) -> NDArray[np.bool_]:
    """values >= bound, with equal values counted as equal although rounding separates them."""
    return values >= bound - 1e-12 * max(abs(bound), 1e-300)


def _prepare(
    arrays: tuple[ArrayLike, ...], units: ArrayLike | None, strata: ArrayLike | None
) -> tuple[list[NDArray[Any]], Clusters]:
    if not arrays:
        raise ValueError("arrays must hold at least one array to resample, got none")
    data = [np.asarray(array) for array in arrays]
    for position, array in enumerate(data):
        if array.ndim == 0 or array.shape[0] == 0:
            raise ValueError(f"array {position} must have at least one case, got shape {array.shape}")
        check_length(f"array {position}", array.shape[0], data[0].shape[0], "array 0")
    return data, make_clusters(data[0].shape[0], units, strata)


def _replicates(
    statistic: Callable[..., Any], data: list[NDArray[Any]], clusters: Clusters, n_boot: int, seed: int
) -> FloatArray:
    n_boot, rng = check_resamples("n_boot", n_boot), np.random.default_rng(check_seed(seed))
    rows = _Rows(clusters)
    resamples = (rows.of(clusters.draw(rng)) for _ in range(n_boot))
    return np.array([statistic(*(array[take] for array in data)) for take in resamples], dtype=float)


def _bootstrap(
    statistic: Callable[..., float],
    arrays: tuple[ArrayLike, ...],
    units: ArrayLike | None,
    strata: ArrayLike | None,
    n_boot: int,
    method: Method,
    level: float,
    seed: int,
) -> tuple[Estimate, FloatArray]:
    """The estimate of `bootstrap` and the resamples (n_boot,) behind it."""
    check_choice("method", method, METHODS)
    level = check_level(level)
    data, clusters = _prepare(arrays, units, strata)
    replicates = _replicates(statistic, data, clusters, n_boot, seed)
    if replicates.ndim != 1:
        raise ValueError(f"statistic must return one number, got an array of shape {replicates.shape[1:]}")
    acceleration = math.nan
    if method == "bca":
        rows, everyone = _Rows(clusters), np.arange(clusters.count)
        left_out = (rows.of(np.delete(everyone, cluster)) for cluster in everyone)
        jackknife = np.array([float(statistic(*(array[take] for array in data))) for take in left_out])
        acceleration = bca_acceleration(jackknife, clusters)
    estimate = bootstrap_estimate(
        float(statistic(*data)),
        replicates,
        method=method,
        level=level,
        seed=seed,
        acceleration=acceleration,
        **about_clusters(clusters),
    )
    return estimate, replicates


class _Rows:
    """Row numbers of drawn clusters, one drawn cluster after the other."""

    def __init__(self, clusters: Clusters) -> None:
        self.single = np.array_equal(clusters.codes, np.arange(clusters.count))
        self.order = np.argsort(clusters.codes, kind="stable")
        self.sizes = np.bincount(clusters.codes, minlength=clusters.count)
        self.starts = np.cumsum(self.sizes) - self.sizes

    def of(self, drawn: IntArray) -> IntArray:
        if self.single:
            return drawn
        sizes = self.sizes[drawn]
        shift = np.repeat(self.starts[drawn] - (np.cumsum(sizes) - sizes), sizes)
        return self.order[shift + np.arange(shift.size)]
