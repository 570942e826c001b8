"""Best of k: chosen on one set of cases, estimated on another, and by how much the first set flatters.

The best of k results is too good a number: of models that are equally good, the one with the luckiest cases is
chosen, and its luck is reported with it. The gap between the best and the worst is too large for the same reason.
Cases that took no part in the choice give an unbiased value and a valid interval for the model that was chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._inputs import FloatArray, check_choice, encode, join_notes
from .rank_bootstrap import FORMULAS, BootstrapRanks, bootstrap_ranks
from .resampling import Method
from .results import Comparison, Estimate
from .roc import check_index, paired_scores


def select_best(
    y_select: ArrayLike,
    scores_select: ArrayLike,
    y_test: ArrayLike,
    scores_test: ArrayLike,
    *,
    metric: str = "auroc",
    units_select: ArrayLike | None = None,
    units_test: ArrayLike | None = None,
    n_boot: int = 1000,
    method: Method = "percentile",
    level: float = 0.95,
    seed: int,
) -> BestOfK:
    """Choose the best of K models on the selection cases and estimate it on the test cases.

    y_select (n,), scores_select (K, n) and y_test (m,), scores_test (K, m): the same models in the same order.
    metric: "auroc" or "average_precision". units_select, units_test: clusters; identifiers may not occur in both.
    Intervals are bootstrapped (n_boot, method, level, seed as in `bootstrap`). Equal values: the first model is taken.
    Raises ValueError as `bootstrap_ranks` does, on different numbers of models, on units in both sets, and when the
    metric is undefined on the selection cases.
    """
    check_choice("metric", metric, tuple(FORMULAS))
    paired_scores(y_select, scores_select, names=("y_select", "scores_select"))
    paired_scores(y_test, scores_test, names=("y_test", "scores_test"))
    common: dict[str, Any] = {"n_boot": n_boot, "method": method, "level": level, "seed": seed}
    selection = bootstrap_ranks(y_select, scores_select, (metric,), units=units_select, **common)
    test = bootstrap_ranks(y_test, scores_test, (metric,), units=units_test, **common)
    if len(selection.values) != len(test.values):
        raise ValueError(
            f"scores_test must hold the {len(selection.values)} models of scores_select, got {len(test.values)}"
        )
    if units_select is not None and units_test is not None:
        _check_apart(units_select, units_test)
    values = selection.values[:, 0]
    if np.isnan(values).any():
        raise ValueError(f"{metric} is undefined on the selection cases: {selection.note}")
    replicates = selection.replicates[:, :, 0]
    replicates = replicates[~np.isnan(replicates).any(axis=1)]
    chosen = replicates.argmax(axis=1)
    lucky = np.take_along_axis(replicates, chosen[:, None], axis=1)[:, 0]
    return BestOfK(
        best=int(values.argmax()),
        worst=int(values.argmin()),
        metric=metric,
        share_chosen=np.bincount(chosen, minlength=values.size) / max(len(chosen), 1),
        optimism=float((lucky - values[chosen]).mean()) if len(chosen) else float("nan"),
        selection=selection,
        test=test,
    )


@dataclass(frozen=True, eq=False)
class BestOfK:
    """The model chosen on the selection cases, and what it reaches there and on the test cases.

    best, worst: places of the models with the largest and smallest value on the selection cases.
    share_chosen (K,): how often resamples of the selection cases choose each model.
    optimism: mean over those resamples of (value of the model chosen there, on that resample) - (its value on all
    selection cases), the bootstrap's estimate of how much the best of k flatters (Efron & Tibshirani, An Introduction
    to the Bootstrap, 1993, chapter 17). Too small where models are equally good: their observed values already differ
    by chance, which the resamples take for truth; with exactly equal models about 0.7 of the truth is found.
    """

    best: int
    worst: int
    metric: str
    share_chosen: FloatArray
    optimism: float
    selection: BootstrapRanks = field(repr=False)
    test: BootstrapRanks = field(repr=False)

    @property
    def on_selection(self) -> Estimate:
        """Value of the chosen model on the cases that chose it: not a result, see `note`."""
        estimate = self.selection.estimate(self.metric, self.best)
        note = f"chosen here as the best of {len(self.share_chosen)}: too high, and the interval does not allow for it"
        return replace(estimate, note=join_notes(estimate.note, note))

    @property
    def on_test(self) -> Estimate:
        """Value of the chosen model on cases that took no part in the choice."""
        return self.test.estimate(self.metric, self.best)

    @property
    def gap_on_test(self) -> Comparison:
        """Best minus worst, both named by the selection cases, on the test cases."""
        return self.test.compare(self.metric, self.best, self.worst)

    def lead_on_test(self, rival: int) -> Comparison:
        """The chosen model minus a named rival on the test cases."""
        return self.test.compare(self.metric, self.best, check_index("rival", rival, len(self.share_chosen)))


def _check_apart(units_select: ArrayLike, units_test: ArrayLike) -> None:
    first, second = (set(encode(np.asarray(units))[0]) for units in (units_select, units_test))
    both = first & second
    if both:
        raise ValueError(f"units_test must not occur in units_select, got {len(both)} units in both sets")
