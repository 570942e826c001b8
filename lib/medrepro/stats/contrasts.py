"""Several quantities from one set of resamples, and any linear contrast of them as an estimate or a comparison."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._inputs import Clusters, FloatArray, join_notes
from .resampling import Method, Rule, about_clusters, bca_acceleration, bootstrap_comparison, bootstrap_estimate
from .results import Comparison, Estimate
from .roc import SAME_RANKING


@dataclass(frozen=True, eq=False)
class Resampled:
    """m quantities on the data, values (m,), and on the resamples, replicates (n_boot, m), nan where undefined.

    jackknife (G, m): the quantities without each cluster in turn; for method "bca" only.
    """

    values: FloatArray
    replicates: FloatArray
    clusters: Clusters
    method: Method
    level: float
    seed: int
    jackknife: FloatArray | None = None

    def estimate(self, contrast: FloatArray, note: str = "", **about: Any) -> Estimate:
        """values @ contrast with its interval; about holds further fields of the Estimate."""
        return self._estimate(lambda values: _along(values, contrast), note, about)

    def compare(self, first: FloatArray, second: FloatArray, *, rule: Rule, note: str = "", **about: Any) -> Comparison:
        """values @ first - values @ second tested against 0; p is nan, with a note, where no resample differs from 0.

        Each side is summed on its own, in the same order, so that equal models differ by exactly 0.
        """

        def difference(values: FloatArray) -> FloatArray:
            return _along(values, first) - _along(values, second)

        replicates = difference(self.replicates)
        same = difference(self.values) == 0 and bool(np.all((replicates == 0) | np.isnan(replicates)))
        estimate = self._estimate(difference, join_notes(note, SAME_RANKING if same else ""), about)
        return bootstrap_comparison(estimate, replicates, rule=rule)

    @property
    def covariance(self) -> FloatArray:
        """Covariance (m, m) over the resamples in which every quantity is defined."""
        defined = self.replicates[~np.isnan(self.replicates).any(axis=1)]
        m = self.values.size
        if len(defined) < 2:
            return np.full((m, m), math.nan)
        return np.cov(defined, rowvar=False).reshape(m, m)

    def _estimate(self, quantity: Callable[[FloatArray], FloatArray], note: str, about: dict[str, Any]) -> Estimate:
        acceleration = math.nan
        if self.jackknife is not None:
            acceleration = bca_acceleration(quantity(self.jackknife), self.clusters)
        return bootstrap_estimate(
            float(quantity(self.values)),
            quantity(self.replicates),
            method=self.method,
            level=self.level,
            seed=self.seed,
            acceleration=acceleration,
            note=note,
            **about,
            **about_clusters(self.clusters),
        )


def _along(values: FloatArray, contrast: FloatArray) -> FloatArray:
    """values (..., m) @ contrast (m,), where a quantity of weight 0 may be undefined.

    Column by column: a matrix product may round one row differently among other rows.
    """
    total = np.zeros(values.shape[:-1])
    for column in np.flatnonzero(contrast):
        total = total + values[..., column] * contrast[column]
    return total
