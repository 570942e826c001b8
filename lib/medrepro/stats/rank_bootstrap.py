"""Any number of models and metrics from one set of resamples: each score is sorted once, a resample only reweights.

Every metric is a function of the true and false positives at each threshold (see `curves`), so that AUROC, average
precision and others of one model share the cumulative counts, and all models share the resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import Clusters, FloatArray, check_choice, check_level, check_seed, make_clusters
from .contrasts import Resampled
from .curves import CurveFormula, WeightedCurve, missing_class
from .resampling import METHODS, Method, Rule, count_chunks
from .results import Comparison, Estimate
from .roc import check_index, paired_scores


def curve_auroc(hits: FloatArray, alarms: FloatArray) -> FloatArray:
    """AUROC (b,) from true and false positives (b, m): of each tie group half counts, nan where a class is absent.

    The counted pairs are whole numbers below 2^53, so the order of summation cannot change the result.
    """
    pairs = (np.diff(alarms, axis=1) * (hits[:, 1:] + hits[:, :-1])).sum(axis=1)
    total = 2.0 * hits[:, -1] * alarms[:, -1]
    return np.divide(pairs, total, out=np.full(len(hits), math.nan), where=total > 0)


def curve_average_precision(hits: FloatArray, alarms: FloatArray) -> FloatArray:
    """Average precision (b,) from true and false positives (b, m), as `average_precision` defines it."""
    called = hits + alarms
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    gained = (np.diff(hits, axis=1) * precision[:, 1:]).sum(axis=1)
    return np.divide(gained, hits[:, -1], out=np.full(len(hits), math.nan), where=hits[:, -1] > 0)


PIECES = 30  # pieces of resamples are this much smaller than memory would allow: their arrays stay in the cache
FORMULAS: dict[str, CurveFormula] = {"auroc": curve_auroc, "average_precision": curve_average_precision}


def bootstrap_ranks(
    y_true: ArrayLike,
    scores: ArrayLike,
    metrics: Sequence[str] | Mapping[str, CurveFormula] = ("auroc", "average_precision"),
    *,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> BootstrapRanks:
    """Metrics of the ROC and precision-recall curves of several models, all from the same resamples.

    y_true (n,): 0 or 1. scores (K, n), or (n,) for one model; higher means more positive.
    metrics: "auroc" and "average_precision", or a mapping of names to formulas; a formula takes true and false
    positives, each (b, m), at thresholds from "none positive" downwards and returns (b,), nan where undefined.
    units (n,): clusters, drawn as a whole. strata, n_boot, method, level and undefined resamples as in `bootstrap`,
    which draws the same resamples for equal seed, units and strata. "bca" costs one more pass per cluster.
    Raises ValueError as `delong` and `bootstrap` do, and on unknown metrics.
    """
    check_choice("method", method, METHODS)
    level, seed = check_level(level), check_seed(seed)
    positive, stacked = paired_scores(y_true, scores)
    formulas = _formulas(metrics)
    clusters = make_clusters(positive.size, units, strata)
    curves = [WeightedCurve(positive, score) for score in stacked]

    def measure(weights: FloatArray) -> FloatArray:
        counts = [curve(weights) for curve in curves]
        columns = [formula(*of_model) for of_model in counts for formula in formulas.values()]
        return np.stack(columns, axis=1)

    resampled = resample(
        lambda counts: measure(counts[:, clusters.codes]),
        clusters,
        width=PIECES * positive.size,
        n_boot=n_boot,
        method=method,
        level=level,
        seed=seed,
    )
    return BootstrapRanks(
        values=resampled.values.reshape(len(curves), len(formulas)),
        replicates=resampled.replicates.reshape(-1, len(curves), len(formulas)),
        metrics=tuple(formulas),
        n_pos=int(positive.sum()),
        n_neg=int((~positive).sum()),
        note=missing_class(positive),
        resampled=resampled,
    )


@dataclass(frozen=True, eq=False)
class BootstrapRanks:
    """Metrics of K models: values (K, M), replicates (n_boot, K, M), with M = len(metrics) in that order."""

    values: FloatArray
    replicates: FloatArray = field(repr=False)
    metrics: tuple[str, ...]
    n_pos: int
    n_neg: int
    note: str
    resampled: Resampled = field(repr=False)

    @property
    def covariance(self) -> FloatArray:
        """Covariance (K * M, K * M) of the resamples, in the order of values.ravel()."""
        return self.resampled.covariance

    def estimate(self, metric: str, i: int = 0) -> Estimate:
        """One metric of model i with its interval."""
        return self.resampled.estimate(self._contrast(metric, i), self.note, n_pos=self.n_pos, n_neg=self.n_neg)

    def compare(self, metric: str, i: int, j: int, *, rule: Rule = "centred") -> Comparison:
        """Paired difference of one metric, model i minus model j; p value by `rule` as in `bootstrap_p_value`."""
        first, second = self._contrast(metric, i), self._contrast(metric, j)
        return self.resampled.compare(first, second, rule=rule, note=self.note, n_pos=self.n_pos, n_neg=self.n_neg)

    def _contrast(self, metric: str, i: int) -> FloatArray:
        at = self.metrics.index(check_choice("metric", metric, self.metrics))
        contrast = np.zeros(self.values.shape)
        contrast[check_index("i", i, len(self.values)), at] = 1.0
        return contrast.ravel()


def resample(
    measure: Callable[[FloatArray], FloatArray],
    clusters: Clusters,
    *,
    width: int,
    n_boot: int,
    method: Method,
    level: float,
    seed: int,
) -> Resampled:
    """Run `measure`, counts per cluster (b, G) to quantities (b, m), on the data and on the resamples.

    width: numbers that one resample holds at once, from which the size of the pieces follows.
    """
    chunks = [measure(counts) for counts in count_chunks(clusters, n_boot, seed, width=width)]
    jackknife = None
    if method == "bca":
        step, everyone = max(1, 2_000_000 // width), np.arange(clusters.count)
        pieces = (everyone[start : start + step] for start in range(0, clusters.count, step))
        jackknife = np.concatenate([measure((piece[:, None] != everyone).astype(float)) for piece in pieces])
    return Resampled(
        values=measure(np.ones((1, clusters.count)))[0],
        replicates=np.concatenate(chunks),
        clusters=clusters,
        method=method,
        level=level,
        seed=seed,
        jackknife=jackknife,
    )


def _formulas(metrics: Sequence[str] | Mapping[str, CurveFormula]) -> dict[str, CurveFormula]:
    if isinstance(metrics, Mapping):
        formulas = dict(metrics)
    else:
        names = [metrics] if isinstance(metrics, str) else list(metrics)
        formulas = {name: FORMULAS[check_choice("metrics", name, tuple(FORMULAS))] for name in names}
    if not formulas:
        raise ValueError("metrics must name at least one metric, got none")
    return formulas
