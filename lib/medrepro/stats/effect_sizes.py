"""Effect sizes with intervals: standardised means, dominance of ranks, and two-by-two tables.

Means and ranks take the two samples a and b and describe a minus b. Two-by-two measures take one row a case, whether
it was exposed and whether it had the outcome, and compare the exposed with the others; they accept clusters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import chdtrc, chdtri, gammaln, ndtri
from scipy.stats import nct, rankdata

from ._inputs import Clusters, FloatArray, binary_labels, check_length, check_level, make_clusters, real_array
from .proportions import proportion_from_sums
from .resampling import Method, bootstrap
from .results import Estimate
from .roc import auroc
from .sums import influence, linearised_variance

NO_SPREAD = "no spread within the samples: undefined"


def cohen_d(
    a: ArrayLike, b: ArrayLike, *, paired: bool = False, unbiased: bool = False, level: float = 0.95
) -> Estimate:
    """Standardised difference of two means (a minus b): Cohen's d, or Hedges' g with unbiased=True.

    a (n_a,), b (n_b,): values; paired=True needs equal lengths.
    paired=False divides by the pooled standard deviation; paired=True by that of the differences (d_z), which is
    another quantity and grows with the correlation of the pairs.
    unbiased: times Gamma(df / 2) / (sqrt(df / 2) Gamma((df - 1) / 2)) (Hedges, Journal of Educational Statistics 1981),
    value and bounds alike. Interval: exact for normal samples, from noncentral t (Steiger & Fouladi 1997).
    nan with a note without spread or with too few values.
    Raises ValueError on nan, infinite values and, when paired, unequal lengths.
    """
    level = check_level(level)
    first, second = two_samples(a, b, paired=paired)
    if paired:
        gaps = first - second
        n, df, scale, mean = gaps.size, gaps.size - 1, 1 / math.sqrt(gaps.size), float(gaps.mean())
        squares = float(((gaps - mean) ** 2).sum())
    else:
        n, df = first.size + second.size, first.size + second.size - 2
        scale, mean = math.sqrt(1 / first.size + 1 / second.size), float(first.mean() - second.mean())
        squares = float(sum(((x - x.mean()) ** 2).sum() for x in (first, second)))
    about: dict[str, Any] = {"level": level, "n": n, "unit": "pair" if paired else "case"}
    about["method"] = f"{'Hedges g' if unbiased else 'Cohen d'}{', paired' if paired else ''}, noncentral t"
    size = max(float(np.abs(first).max()), float(np.abs(second).max()))
    fewest = 2 if unbiased else 1  # Hedges' factor is 0 for one degree of freedom
    if df < fewest or math.sqrt(squares) <= 1e-14 * size * math.sqrt(n):
        note = NO_SPREAD if df >= fewest else "too few values: undefined"
        return Estimate(math.nan, math.nan, math.nan, **about, note=note)
    factor = math.exp(float(gammaln(df / 2) - gammaln((df - 1) / 2))) / math.sqrt(df / 2) if unbiased else 1.0
    d = mean / math.sqrt(squares / df)
    low, high = (scale * _noncentrality(d / scale, df, tail) for tail in (0.5 + level / 2, 0.5 - level / 2))
    return Estimate(factor * d, factor * low, factor * high, **about)


def cliffs_delta(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Cliff's delta of two samples: P(a > b) - P(a < b), in [-1, 1]; also the rank-biserial correlation.

    a (n_a,), b (n_b,): values, at least ordinal. It is 2 AUROC - 1 with the values as scores, and takes DeLong's
    interval; complete separation gives an interval without width, and a single value in a sample gives none (`note`).
    Raises ValueError on nan.
    """
    first, second = two_samples(a, b, paired=False, finite=False)
    side = np.repeat([1, 0], [first.size, second.size])
    area = auroc(side, np.concatenate([first, second]), level=level)
    value, low, high = (2 * x - 1 for x in (area.value, area.low, area.high))
    return Estimate(value, low, high, area.level, n=area.n, unit=area.unit, method="DeLong", note=area.note)


def rank_biserial(
    a: ArrayLike,
    b: ArrayLike,
    *,
    units: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> Estimate:
    """Matched-pairs rank-biserial correlation: (W+ - W-) / (W+ + W-) of Wilcoxon's signed ranks, in [-1, 1].

    a, b (n,): pairs; positive when a tends to be larger (Kerby, Comprehensive Psychology 2014). Pairs without a
    difference are left out before ranking. For unpaired samples see `cliffs_delta`.
    Interval: bootstrap over pairs or over units (n,). nan with a note when no pair differs.
    Raises ValueError on nan and unequal lengths.
    """
    first, second = two_samples(a, b, paired=True)
    return bootstrap(
        signed_rank_balance,
        first - second,
        units=units,
        n_boot=n_boot,
        method=method,
        level=level,
        seed=seed,
    )


def risk_difference(
    exposed: ArrayLike, outcome: ArrayLike, *, units: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Share with the outcome among the exposed minus the share among the others, in [-1, 1].

    exposed, outcome (n,): 0 or 1. units (n,): clusters, which may hold exposed and other cases.
    Interval: Newcombe's (Statistics in Medicine 1998) from the two Wilson intervals; with clusters those at the
    effective sample size, and the correlation of the two shares allowed for (Zou & Donner, same journal 2008).
    nan with a note when nobody, or everybody, is exposed. Raises ValueError on other values and unequal lengths.
    """
    level = check_level(level)
    sums, clusters = _two_by_two(exposed, outcome, units)
    if 0 in _margins(sums)[:2]:
        return _no_contrast(clusters, level, "Newcombe")
    exposed_pair = np.column_stack([sums[:, 0], sums[:, :2].sum(axis=1)])
    other_pair = np.column_stack([sums[:, 2], sums[:, 2:].sum(axis=1)])
    return difference_of_shares(exposed_pair, other_pair, clusters, level)


def risk_ratio(
    exposed: ArrayLike, outcome: ArrayLike, *, units: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Share with the outcome among the exposed over the share among the others.

    exposed, outcome, units as in `risk_difference`. Interval: log-normal (Katz et al., Biometrics 1978), linearised
    over clusters. A zero cell gives 0, inf or nan without interval, and a note; no half is added.
    """

    def log_ratio(totals: Any) -> Any:
        hit, missed, other_hit, other_missed = np.moveaxis(totals, -1, 0)
        return np.log(hit / (hit + missed)) - np.log(other_hit / (other_hit + other_missed))

    return _log_normal(exposed, outcome, units, level, log_ratio, "log-normal (Katz)", odds=False)


def odds_ratio(
    exposed: ArrayLike, outcome: ArrayLike, *, units: ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Odds of the outcome among the exposed over the odds among the others.

    exposed, outcome, units as in `risk_difference`. Interval: log-normal (Woolf, Annals of Human Genetics 1955),
    linearised over clusters; for few cases see `fisher`. A zero cell gives 0, inf or nan without interval, and a note.
    """

    def log_ratio(totals: Any) -> Any:
        hit, missed, other_hit, other_missed = np.moveaxis(totals, -1, 0)
        return np.log(hit) - np.log(missed) - np.log(other_hit) + np.log(other_missed)

    return _log_normal(exposed, outcome, units, level, log_ratio, "log-normal (Woolf)", odds=True)


def two_samples(a: ArrayLike, b: ArrayLike, *, paired: bool, finite: bool = True) -> tuple[FloatArray, FloatArray]:
    """Two samples (n_a,), (n_b,) as float64; ValueError on nan, empty samples and, when paired, unequal lengths."""
    samples = []
    for name, values in (("a", a), ("b", b)):
        sample = real_array(name, values, ndim=(1,)).astype(float)
        if sample.size == 0:
            raise ValueError(f"{name} must hold at least one value, got none")
        if finite and not np.isfinite(sample).all():
            raise ValueError(f"{name} must be finite, got {int((~np.isfinite(sample)).sum())} infinite values")
        samples.append(sample)
    if paired:
        check_length("b", samples[1].size, samples[0].size, "a")
    return samples[0], samples[1]


def signed_rank_balance(gaps: FloatArray) -> float:
    """(W+ - W-) / (W+ + W-) of differences (n,), those of 0 left out; nan when none is left."""
    gaps = gaps[gaps != 0]
    if gaps.size == 0:
        return math.nan
    ranks = rankdata(np.abs(gaps))
    return float((ranks * np.sign(gaps)).sum() / ranks.sum())


def difference_of_shares(first: FloatArray, second: FloatArray, clusters: Clusters, level: float) -> Estimate:
    """Difference of two shares with Newcombe's interval, from sums per cluster.

    first, second (G, 2): what each cluster adds to the numerator and the denominator of either share. The limits are
    Wilson's of each share (at the effective sample size), combined with the correlation r of the shares (linearised):
    d - sqrt(l1^2 - 2 r l1 u2 + u2^2), d + sqrt(u1^2 - 2 r u1 l2 + l2^2). r is 0 for two groups of single cases
    (Newcombe's method 10 for unpaired data) and phi for pairs (his method 8 for paired data, 1998).
    """
    estimates = []
    for pair in (first, second):
        held = pair[pair[:, 1] > 0]
        counted = Clusters(clusters.codes, len(held), clusters.unit, clusters.strata)
        estimates.append(proportion_from_sums(held, counted, level))
    p, q = estimates
    spread = [influence(pair, lambda t: t[..., 0] / t[..., 1]) for pair in (first, second)]
    lengths = math.sqrt(float((spread[0] ** 2).sum()) * float((spread[1] ** 2).sum()))
    r = float(spread[0] @ spread[1]) / lengths if lengths > 1e-28 else 0.0
    p_below, p_above, q_below, q_above = p.value - p.low, p.high - p.value, q.value - q.low, q.high - q.value
    below = math.sqrt(max(p_below**2 - 2 * r * p_below * q_above + q_above**2, 0.0))
    above = math.sqrt(max(p_above**2 - 2 * r * p_above * q_below + q_below**2, 0.0))
    value = p.value - q.value
    return Estimate(
        value,
        max(value - below, -1.0),
        min(value + above, 1.0),
        level,
        n=clusters.count,
        unit=clusters.unit,
        method="Newcombe" if p.method == q.method == "Wilson" else "Newcombe at the effective sample size",
    )


def _noncentrality(t: float, df: int, tail: float) -> float:
    """The ncp at which t is the quantile `tail` of noncentral t, that is of (Z + ncp) / s with s^2 chi-square / df."""
    if t < 0:
        return -_noncentrality(-t, df, 1 - tail)
    # ncp = t * s - Z: extremes of s and Z enclose it.
    smallest, largest = np.sqrt(chdtri(df, [1 - 1e-9, 1e-9]) / df)
    return float(brentq(lambda ncp: _noncentral_t(t, df, ncp) - tail, t * smallest - 6, t * largest + 6, xtol=1e-10))


def _noncentral_t(t: float, df: int, ncp: float) -> float:
    """Distribution function of noncentral t at t >= 0; SciPy's is nan for large t, where the integral is smooth."""
    if t < 0.5 * math.sqrt(2 * df):
        return float(nct.cdf(t, df, ncp))
    z = np.linspace(-9, 9, 2001)
    above = chdtrc(df, df * (np.maximum(z + ncp, 0.0) / t) ** 2)
    return float((np.exp(-z * z / 2) * above).sum() * (z[1] - z[0]) / math.sqrt(2 * math.pi))


def _two_by_two(exposed: ArrayLike, outcome: ArrayLike, units: ArrayLike | None) -> tuple[FloatArray, Clusters]:
    """Sums per cluster (G, 4): exposed with and without the outcome, others with and without it."""
    group, event = binary_labels("exposed", exposed), binary_labels("outcome", outcome)
    check_length("outcome", event.size, group.size, "exposed")
    clusters = make_clusters(group.size, units)
    cells = np.stack([group & event, group & ~event, ~group & event, ~group & ~event]).astype(float)
    return clusters.sums(cells).T, clusters


def _margins(sums: FloatArray) -> tuple[float, float, float, float]:
    """Exposed, others, with the outcome, without it."""
    hit, missed, other_hit, other_missed = (float(x) for x in sums.sum(axis=0))
    return hit + missed, other_hit + other_missed, hit + other_hit, missed + other_missed


def _no_contrast(clusters: Clusters, level: float, method: str) -> Estimate:
    nan = math.nan
    return Estimate(nan, nan, nan, level, clusters.count, clusters.unit, method, note="only one group: undefined")


def _log_normal(
    exposed: ArrayLike,
    outcome: ArrayLike,
    units: ArrayLike | None,
    level: float,
    log_ratio: Callable[[Any], Any],
    method: str,
    *,
    odds: bool,
) -> Estimate:
    level = check_level(level)
    sums, clusters = _two_by_two(exposed, outcome, units)
    method = method if units is None else f"{method}, clustered"
    exposed_all, others, with_outcome, _ = _margins(sums)
    if 0 in (exposed_all, others):
        return _no_contrast(clusters, level, method)
    hit, missed, other_hit, other_missed = (float(x) for x in sums.sum(axis=0))
    above, below = (hit * other_missed, missed * other_hit) if odds else (hit * others, other_hit * exposed_all)
    about: dict[str, Any] = {"level": level, "n": clusters.count, "unit": clusters.unit, "method": method}
    if above == 0 or below == 0:
        value = math.nan if above == below else math.inf if below == 0 else 0.0
        cell = "a cell of the table is 0: no interval" if with_outcome else "no case has the outcome: undefined"
        return Estimate(value, math.nan, math.nan, **about, note=cell)
    variance = linearised_variance(sums, log_ratio, small_sample=False)
    value = above / below
    if clusters.count < 2 or variance < 1e-28:
        why = f"a single {clusters.unit}" if clusters.count < 2 else "the estimated variance is 0"
        return Estimate(value, math.nan, math.nan, **about, note=f"{why}: no interval")
    factor = math.exp(float(ndtri(0.5 + level / 2)) * math.sqrt(variance))
    return Estimate(value, value / factor, value * factor, **about)
