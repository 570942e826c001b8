"""Kappas of many graded readings of the same cases, and any contrast or ranking of them, from one set of resamples.

Kappa depends on the data through a table of counts, and a resample only reweights the tables of the patients: all
encodings, findings and weightings share the resamples, so that every difference is paired.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..stats import Comparison, Estimate, bootstrap, pairwise_kappa, two_level_mean
from ..stats._inputs import make_clusters
from ..stats.agreement import Weights, _disagreements, _kappa_formula
from ..stats.contrasts import Resampled
from ..stats.rank_bootstrap import resample

FloatArray = NDArray[np.float64]
WEIGHTINGS: dict[str, Weights] = {"none": None, "linear": "linear", "quadratic": "quadratic"}


def kappa_values(
    y_true: ArrayLike, graded: ArrayLike, *, n_grades: int, weightings: Mapping[str, Weights] = WEIGHTINGS
) -> FloatArray:
    """Cohen's kappa of each finding under each weighting: y_true and graded (n, F) give (F, W).

    nan where both hold one and the same grade only. No interval: for choices on validation data.
    """
    return _kappas(_confusion(y_true, graded, n_grades), n_grades, weightings)


def confusion(y_true: ArrayLike, graded: ArrayLike, *, n_grades: int) -> FloatArray:
    """Counts (F, K, K) of each finding, the reader's grade in rows and the model's in columns."""
    return _confusion(y_true, graded, n_grades).reshape(-1, n_grades, n_grades)


def grade_errors(
    y_true: ArrayLike, graded: ArrayLike, *, n_grades: int, units: ArrayLike, n_boot: int = 2000, seed: int
) -> dict[str, Estimate]:
    """Mean distance in grades, and share of readings that are two or more grades off, over all findings (n, F)."""
    truth = _grades("y_true", y_true, n_grades)
    distance = np.abs(_grades("graded", graded, n_grades, truth.shape) - truth)
    values = {"mean distance": distance.mean(axis=1), "two grades off or more": (distance >= 2).mean(axis=1)}
    return {name: bootstrap(np.mean, v, units=units, n_boot=n_boot, seed=seed) for name, v in values.items()}


def method_difference(
    y_true: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    weighting: Weights,
    *,
    n_grades: int,
    units: ArrayLike,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int,
) -> Comparison:
    """Difference of mean kappas over findings, a minus b, with an interval that carries trainings and patients.

    a, b (S, n, F): grades of two arms by S trainings each, paired by training (same seed). `GradeScores.difference` is
    about these trained models only; this is about the method, see `stats.two_level_mean`.
    """

    def gap(truth: ArrayLike, first: ArrayLike, second: ArrayLike) -> float:
        one, two = (kappa_values(truth, g, n_grades=n_grades, weightings={"": weighting}) for g in (first, second))
        return float((one - two).mean())

    return two_level_mean(gap, y_true, a, b, units=units, n_boot=n_boot, level=level, seed=seed)


def score_grades(
    y_true: ArrayLike,
    graded: Mapping[str, ArrayLike],
    *,
    n_grades: int,
    findings: Sequence[str] = (),
    weightings: Mapping[str, Weights] = WEIGHTINGS,
    units: ArrayLike,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int,
) -> GradeScores:
    """Kappas of every arm with the same resamples of units.

    y_true (n, F): grades 0 ... n_grades - 1 by the reader, of F findings. graded: arm to (n, F), its grades.
    weightings: name to weights as in `stats.cohen_kappa`, a matrix of costs included. units (n,): patients; a pandas
    Series names them.
    Raises ValueError for grades outside the range, unequal shapes, or no arm.
    """
    truth = _grades("y_true", y_true, n_grades)
    if not graded:
        raise ValueError("graded must hold at least one arm, got none")
    stacked = np.stack([_grades(f"graded[{name!r}]", arm, n_grades, truth.shape) for name, arm in graded.items()])
    names = tuple(findings) or tuple(f"finding {k + 1}" for k in range(truth.shape[1]))
    if len(names) != truth.shape[1]:
        raise ValueError(f"findings must name the {truth.shape[1]} columns of y_true, got {len(names)} names")
    clusters = make_clusters(len(truth), units)
    tables = _tables(truth, stacked, n_grades)  # (A, F, K * K, n)
    sums = clusters.sums(tables).reshape(-1, clusters.count).T  # (G, A * F * K * K)

    def measure(counts: FloatArray) -> FloatArray:
        totals = (counts @ sums).reshape(len(counts), *tables.shape[:3])
        return _kappas(totals, n_grades, weightings).reshape(len(counts), -1)

    return GradeScores(
        arms=tuple(graded),
        findings=names,
        weightings=tuple(weightings),
        resampled=resample(
            measure,
            clusters,
            width=sum(sums.shape),
            n_boot=n_boot,
            method="percentile",
            level=level,
            seed=seed,
        ),
    )


@dataclass(frozen=True, eq=False)
class GradeScores:
    """Kappas of arms (A), findings (F) and weightings (W), with their resamples."""

    arms: tuple[str, ...]
    findings: tuple[str, ...]
    weightings: tuple[str, ...]
    resampled: Resampled = field(repr=False)

    @property
    def values(self) -> FloatArray:
        """Kappas (A, F, W)."""
        return self.resampled.values.reshape(self._shape)

    @property
    def replicates(self) -> FloatArray:
        """Kappas of the resamples, (n_boot, A, F, W)."""
        return self.resampled.replicates.reshape(-1, *self._shape)

    def kappa(self, arms: str | Iterable[str], weighting: str, finding: str | None = None) -> Estimate:
        """Kappa of one arm, or the mean over several (seeds of a network); mean over findings when none is named."""
        return self.resampled.estimate(self._weights(arms, weighting, finding))

    def difference(
        self, a: str | Iterable[str], b: str | Iterable[str], weighting: str, finding: str | None = None
    ) -> Comparison:
        """Paired difference of two such kappas, a minus b, tested against 0; about these trained models only."""
        first, second = (self._weights(arms, weighting, finding) for arms in (a, b))
        return self.resampled.compare(first, second, rule="share")

    def means(self, weighting: str, arms: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Mean kappa over the findings of an array of arms, (...), and that of the resamples, (n_boot, ...)."""
        index = np.vectorize(lambda name: self._at("arm", str(name), self.arms), otypes=[int])(np.asarray(arms))
        w = self._at("weighting", weighting, self.weightings)
        return self.values[..., w].mean(axis=-1)[index], self.replicates[..., w].mean(axis=-1)[:, index]

    @property
    def _shape(self) -> tuple[int, int, int]:
        return len(self.arms), len(self.findings), len(self.weightings)

    def _weights(self, arms: str | Iterable[str], weighting: str, finding: str | None) -> FloatArray:
        chosen = [arms] if isinstance(arms, str) else list(arms)
        if not chosen:
            raise ValueError("arms must name at least one arm, got none")
        columns = [self._at("finding", finding, self.findings)] if finding else range(len(self.findings))
        w = self._at("weighting", weighting, self.weightings)
        weights = np.zeros(self._shape)
        for arm in chosen:
            weights[self._at("arm", arm, self.arms), columns, w] += 1.0 / (len(chosen) * len(columns))
        return weights.ravel()

    @staticmethod
    def _at(what: str, name: Any, known: tuple[str, ...]) -> int:
        if name not in known:
            raise ValueError(f"{what} must be one of {', '.join(known)}, got {name!r}")
        return known.index(name)


def second_reader_kappa(
    ratings: ArrayLike, weighting: Weights, *, n_grades: int, units: ArrayLike, n_boot: int = 2000, seed: int
) -> Estimate:
    """Kappa of two readers drawn at random from those of each case: what a second person reaches on these labels.

    ratings (n, R): one row a case, grades 0 ... n_grades - 1, nan where a reader is missing; units (n,): patients.
    It puts a model's kappa into scale and is no upper bound: a model that predicts what readers agree on is less noisy
    than one reader, and can agree with each of them better than they do with each other.
    """
    return pairwise_kappa(ratings, weights=weighting, categories=range(n_grades), units=units, n_boot=n_boot, seed=seed)


def _grades(name: str, values: ArrayLike, n_grades: int, shape: tuple[int, ...] | None = None) -> NDArray[np.int64]:
    found = np.asarray(values)
    if found.ndim != 2 or found.dtype.kind not in "iu" or found.size == 0:
        raise ValueError(f"{name} must be whole numbers (n, F), got {found.dtype} of shape {found.shape}")
    if shape is not None and found.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {found.shape}")
    if found.min() < 0 or found.max() >= n_grades:
        raise ValueError(f"{name} must hold grades from 0 to {n_grades - 1}, got {found.min()} to {found.max()}")
    return found.astype(np.int64)


def _confusion(y_true: ArrayLike, graded: ArrayLike, n_grades: int) -> FloatArray:
    """Counts (F, K * K)."""
    truth = _grades("y_true", y_true, n_grades)
    n_findings, cells = truth.shape[1], n_grades**2
    cell = truth * n_grades + _grades("graded", graded, n_grades, truth.shape) + cells * np.arange(n_findings)
    return np.bincount(cell.ravel(), minlength=n_findings * cells).reshape(n_findings, cells).astype(np.float64)


def _tables(truth: NDArray[np.int64], graded: NDArray[np.int64], n_grades: int) -> FloatArray:
    """One cell per case: truth (n, F) and graded (A, n, F) give (A, F, K * K, n), rows of a table are the truth."""
    cell = np.moveaxis(truth * n_grades + graded, 1, -1)  # (A, F, n)
    return (cell[..., None, :] == np.arange(n_grades**2)[:, None]).astype(np.float64)


def _kappas(totals: FloatArray, n_grades: int, weightings: Mapping[str, Weights]) -> FloatArray:
    """Tables of counts (..., K * K) to kappas (..., W)."""
    return np.stack([_kappa_formula(_disagreements(w, n_grades))(totals) for w in weightings.values()], axis=-1)
