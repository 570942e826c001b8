"""Accuracy of the answers that are kept, against the share of questions that is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt

from ..stats.rejection import CoverageCurve, Rejection
from .palette import cues


def plot_risk_coverage(
    curves: Mapping[str, CoverageCurve],
    *,
    filters: Mapping[str, Rejection] | None = None,
    band: str | None = None,
    ax: Any = None,
) -> Any:
    """Accuracy-coverage curve of each score of uncertainty, for the same answers; returns the Axes.

    Random rejection is a grey band (central range) around the accuracy of all answers, the best possible curve a thin
    black line; both depend on the answers only and are those of the first curve, or of the one that `band` names.
    filters: thresholds to mark, label to `Rejection`, with the interval of accuracy.
    Raises ValueError when there is no curve or `band` is not among them.
    """
    if not curves:
        raise ValueError("curves must hold at least one curve, got none")
    if band is not None and band not in curves:
        raise ValueError(f"band must be one of {', '.join(curves)}, got {band!r}")
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.8), layout="constrained")
    base = curves[band or next(iter(curves))]
    ax.fill_between(base.coverage, base.random_low, base.random_high, color="0.87", linewidth=0,
                    label=f"random rejection, central {base.area.level:.0%}", zorder=0)  # fmt: skip
    ax.axhline(base.accuracy[-1], color="0.5", linewidth=1, linestyle=":", zorder=0)
    ax.plot(base.coverage, base.best, color="black", linewidth=1, label=f"best possible, area {base.best_area:.2f}")
    style = cues(curves)
    for name, curve in curves.items():
        cue = {k: v for k, v in style[name].items() if k != "marker"}
        ax.plot(curve.coverage, curve.accuracy, label=f"{name}, area {curve.area.value:.2f}", linewidth=1.8, **cue)
    for label, chosen in (filters or {}).items():
        if chosen.kept.undefined:
            continue
        x, kept = chosen.coverage.value, chosen.kept
        ax.errorbar(x, kept.value, [[kept.value - kept.low], [kept.high - kept.value]], fmt="o", color="black",
                    markerfacecolor="white", markersize=6, capsize=3, zorder=5)  # fmt: skip
        ax.annotate(label, (x, kept.value), xytext=(-6, -14), textcoords="offset points", ha="right",
                    fontsize=8)  # fmt: skip
    lowest = min(float(curve.accuracy.min()) for curve in curves.values())
    ax.set(xlim=(0, 1.01), ylim=(max(0.0, min(lowest, base.accuracy[-1]) - 0.2), 1.02))
    ax.set(xlabel="coverage (share of questions answered)", ylabel="accuracy of the answers kept")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)
    return ax
