"""Learning curves and cost curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter, ScalarFormatter
from numpy.typing import ArrayLike

from ..stats.results import Estimate
from .palette import cues


def plot_learning_curves(
    curves: Mapping[str, Mapping[int, Estimate]],
    *,
    xlabel: str = "training bags (log scale)",
    ylabel: str = "AUROC on the test bags",
    lines: Mapping[str, float] | None = None,
    ax: Any = None,
) -> Any:
    """Arm to {number of training bags: Estimate}: points with intervals, arms side by side; returns the Axes."""
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    style = cues(curves)
    middle = (len(curves) - 1) / 2
    for index, (name, curve) in enumerate(curves.items()):
        # Arms share the same sizes: a small shift keeps their intervals apart.
        n = np.array(list(curve)) * 1.02 ** (index - middle)
        value, low, high = (np.array([getattr(e, part) for e in curve.values()]) for part in ("value", "low", "high"))
        ax.errorbar(n, value, [value - low, high - value], label=name, capsize=3, markersize=6, **style[name])
    for index, (name, y) in enumerate((lines or {}).items()):
        ax.axhline(y, color="0.45", linestyle=("--", ":", "-.")[index % 3], linewidth=1, label=name, zorder=0)
    ax.set_xscale("log")
    sizes = sorted({n for curve in curves.values() for n in curve})
    ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return ax


def plot_cost(
    n_tokens: Sequence[int],
    cost: Mapping[str, ArrayLike],
    *,
    ylabel: str,
    slopes: Mapping[str, float] | None = None,
    xlabel: str = "patches in the bag",
    ax: Any = None,
) -> Any:
    """Cost against bag length on logarithmic axes, the final slope in the legend; returns the Axes.

    cost: model to (len(n_tokens),), nan where it was not measured. slopes: model to slope; when left out, that of
    the last two lengths.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(5.2, 4.0), layout="constrained")
    style = cues(cost)
    n = np.asarray(n_tokens, dtype=float)
    for name, values in cost.items():
        y = np.asarray(values, dtype=float)
        known = ~np.isnan(y)
        if slopes and name in slopes:
            slope = slopes[name]
        else:
            slope = float(np.diff(np.log(y[known]))[-1] / np.diff(np.log(n[known]))[-1])
        ax.plot(n[known], y[known], label=f"{name}: final slope {slope:.2f}", markersize=5, **style[name])
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set_xticks(n, [f"{int(x):,}" for x in n], rotation=45)
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(True, which="major", color="0.9", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8)
    return ax
