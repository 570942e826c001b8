"""Bootstrap of the AUCs of several labels and of their mean, from one set of resamples for all models and labels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import (
    FloatArray,
    binary_labels,
    check_choice,
    check_level,
    check_seed,
    join_notes,
    make_clusters,
    real_array,
)
from .contrasts import Resampled
from .curves import missing_class
from .rank_bootstrap import PIECES, resample
from .resampling import METHODS, Method, Rule
from .results import Comparison, Estimate
from .roc import check_index
from .roc_bootstrap import _WeightedAUC


def bootstrap_multilabel_auroc(
    y_true: ArrayLike,
    scores: ArrayLike,
    *,
    units: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> BootstrapMultilabelAUROC:
    """AUC of every label and their unweighted mean (macro) with bootstrap intervals; read like `multilabel_auroc`.

    y_true (n, L): 0, 1, or nan where a label is unknown (that case is left out for that label only).
    scores (n, L) for one model or (K, n, L). units (n,): clusters, drawn as a whole.
    A case is drawn with all its labels, so that the macro mean and its interval carry their correlation. A resample
    that lacks a class of some label has no macro mean; such resamples are left out and counted, and above one in ten
    there is no interval. strata can keep the classes of one rare label, not those of several.
    strata, n_boot, method, level as in `bootstrap`. Each score is sorted once; a resample costs O(n) per model and
    label, "bca" as much again for every cluster.
    Raises ValueError as `multilabel_auroc` and `bootstrap` do.
    """
    check_choice("method", method, METHODS)
    level, seed = check_level(level), check_seed(seed)
    truth = real_array("y_true", y_true, ndim=(2,), allow_nan=True)
    stacked = real_array("scores", scores, ndim=(2, 3))
    stacked = stacked[None] if stacked.ndim == 2 else stacked
    if truth.size == 0 or stacked.shape[1:] != truth.shape or len(stacked) == 0:
        raise ValueError(f"scores must have shape (n, L) or (K, n, L) with (n, L) = {truth.shape}, got {stacked.shape}")
    n, n_labels = truth.shape
    clusters = make_clusters(n, units, strata)
    known = ~np.isnan(truth) if truth.dtype.kind == "f" else np.ones(truth.shape, dtype=bool)
    curves: list[list[_WeightedAUC | None]] = [[] for _ in stacked]
    notes = []
    for label in range(n_labels):
        rows = known[:, label]
        positive = binary_labels(f"y_true[:, {label}]", truth[rows, label]) if rows.any() else np.zeros(0, dtype=bool)
        for of_model, score in zip(curves, stacked, strict=True):
            of_model.append(_WeightedAUC(positive, score[rows, label]) if positive.size else None)
        unknown = f"{int((~rows).sum())} cases with unknown label left out" * (not rows.all())
        notes.append(join_notes(missing_class(positive) if positive.size else "no case with a known label", unknown))
    places = [None if known[:, label].all() else np.flatnonzero(known[:, label]) for label in range(n_labels)]

    def measure(counts: FloatArray) -> FloatArray:
        weights = counts.astype(np.int64)[:, clusters.codes]  # once for all labels: sums of whole numbers are faster
        result = np.full((len(counts), len(curves), n_labels), math.nan)
        for label, rows in enumerate(places):
            of_label = weights if rows is None else weights[:, rows]
            for k, of_model in enumerate(curves):
                if (curve := of_model[label]) is not None:
                    result[:, k, label] = curve(of_label)
        return result.reshape(len(counts), -1)

    resampled = resample(measure, clusters, width=PIECES * n, n_boot=n_boot, method=method, level=level, seed=seed)
    aucs = resampled.values.reshape(len(curves), n_labels)
    return BootstrapMultilabelAUROC(
        aucs=aucs,
        macro=aucs.mean(axis=1),
        replicates=resampled.replicates.reshape(-1, len(curves), n_labels),
        n_pos=tuple(int((truth[:, label] == 1).sum()) for label in range(n_labels)),
        n_neg=tuple(int((truth[:, label] == 0).sum()) for label in range(n_labels)),
        notes=tuple(notes),
        resampled=resampled,
    )


@dataclass(frozen=True, eq=False)
class BootstrapMultilabelAUROC:
    """AUCs of K models for L labels: aucs (K, L), macro (K,), replicates (n_boot, K, L).

    n_pos, n_neg, notes: one entry a label.
    """

    aucs: FloatArray
    macro: FloatArray
    replicates: FloatArray = field(repr=False)
    n_pos: tuple[int, ...]
    n_neg: tuple[int, ...]
    notes: tuple[str, ...]
    resampled: Resampled = field(repr=False)

    @property
    def covariance(self) -> FloatArray:
        """Covariance (K * L, K * L) of the resamples, in the order of aucs.ravel()."""
        return self.resampled.covariance

    def estimate(self, i: int = 0, label: int | None = None) -> Estimate:
        """AUC of model i for one label, or its macro mean when no label is named."""
        return self.resampled.estimate(self._contrast(i, label), **self._about(label))

    def compare(self, i: int, j: int, label: int | None = None, *, rule: Rule = "centred") -> Comparison:
        """Paired difference, model i minus j, for one label or of the macro means; rule as in `bootstrap_p_value`."""
        first, second = self._contrast(i, label), self._contrast(j, label)
        return self.resampled.compare(first, second, rule=rule, **self._about(label))

    def _contrast(self, i: int, label: int | None) -> FloatArray:
        contrast = np.zeros(self.aucs.shape)
        i = check_index("i", i, len(self.aucs))
        if label is None:
            contrast[i] = 1.0 / len(self.notes)
        else:
            contrast[i, check_index("label", label, len(self.notes))] = 1.0
        return contrast.ravel()

    def _about(self, label: int | None) -> dict[str, Any]:
        if label is None:
            return {"note": join_notes(*(f"label {k}: {note}" for k, note in enumerate(self.notes) if note))}
        label = check_index("label", label, len(self.notes))
        return {"note": self.notes[label], "n_pos": self.n_pos[label], "n_neg": self.n_neg[label]}
