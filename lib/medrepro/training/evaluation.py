"""Macro AUCs of several arms on the same test bags, and any contrast of them, from one set of resamples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..stats import Estimate, auroc, bootstrap, bootstrap_auroc, bootstrap_estimate


@dataclass(frozen=True, eq=False)
class ArmScores:
    """Bootstrapped macro AUCs of named arms: aucs (A,), replicates (n_boot, A) from the same resamples.

    Read through `auc` (one arm) and `contrast` (a weighted sum of arms, such as a paired difference).
    """

    names: tuple[str, ...]
    aucs: NDArray[np.float64]
    replicates: NDArray[np.float64] = field(repr=False)
    n: int
    unit: str
    seed: int

    def auc(self, name: str, level: float = 0.95) -> Estimate:
        """Macro AUC of one arm."""
        return self.contrast({name: 1.0}, level)

    def difference(self, a: str, b: str, level: float = 0.95) -> Estimate:
        """Paired difference of the macro AUCs, a minus b."""
        return self.contrast({a: 1.0, b: -1.0}, level)

    def contrast(self, weights: Mapping[str, float], level: float = 0.95) -> Estimate:
        """Weighted sum of macro AUCs; ValueError for an arm that is not there."""
        unknown = [name for name in weights if name not in self.names]
        if unknown:
            raise ValueError(f"arm must be one of {', '.join(self.names)}, got {unknown[0]!r}")
        vector = np.array([weights.get(name, 0.0) for name in self.names])
        return bootstrap_estimate(
            float(self.aucs @ vector),
            self.replicates @ vector,
            n=self.n,
            unit=self.unit,
            level=level,
            seed=self.seed,
        )


def score_arms(
    labels: ArrayLike,
    scores: Mapping[str, ArrayLike],
    *,
    units: ArrayLike,
    unit: str,
    n_boot: int,
    seed: int,
) -> ArmScores:
    """Macro AUC of every arm, units resampled as a whole, the same resamples for all arms and labels.

    labels (n, K) 0 or 1. scores: arm to (n, K). units (n,): what is drawn; unit: its name.
    """
    y = np.asarray(labels)
    stacked = np.stack([np.asarray(score, dtype=float).reshape(y.shape) for score in scores.values()])  # (A, n, K)
    per_label = [
        bootstrap_auroc(y[:, k], stacked[:, :, k], units=units, n_boot=n_boot, seed=seed) for k in range(y.shape[1])
    ]
    return ArmScores(
        names=tuple(scores),
        aucs=np.mean([result.aucs for result in per_label], axis=0),
        replicates=np.mean([result.replicates for result in per_label], axis=0),
        n=per_label[0].n,
        unit=unit,
        seed=seed,
    )


def mix_up(scores: ArrayLike, share: float, seed: int) -> NDArray[Any]:
    """Scores (n, ...) of an arm that reads the wrong bag in `share` of the cases: a planted, weaker arm.

    A seeded draw of cases hands its scores on in a circle, so that none keeps its own. With classes of equal size an
    AUC of A falls to (1 - share) A + share / 2 on average.
    """
    mixed = np.array(scores)
    drawn = np.random.default_rng(seed).permutation(len(mixed))[: round(share * len(mixed))]
    mixed[drawn] = mixed[np.roll(drawn, 1)]
    return mixed


def bag_aucs(maps: Sequence[ArrayLike], evidence: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """AUC of a heat map for the marked patches, bag by bag; nan where a bag has none or only marked patches."""
    found = np.full(len(evidence), np.nan)
    for index, (weights, marked) in enumerate(zip(maps, evidence, strict=True)):
        if marked.any() and not marked.all():
            found[index] = auroc(marked, np.asarray(weights, dtype=float)).value
    return found


def mean_over_units(values: NDArray[np.float64], *, units: ArrayLike, unit: str, **options: Any) -> Estimate:
    """Mean of one number a bag, units resampled as a whole; bags without a number (nan) are left out."""
    known = ~np.isnan(values)
    estimate = bootstrap(np.mean, values[known], units=np.asarray(units)[known], **options)
    return replace(estimate, unit=unit)
