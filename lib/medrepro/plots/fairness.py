"""Figures of privacy and fairness: a metric against epsilon, and who pays for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator

from ..stats.results import Comparison, Estimate
from .forest import plot_forest
from .palette import cues

INFINITY_LABEL = "none\n(ε = ∞)"


def plot_by_epsilon(
    curves: Mapping[str, Mapping[float, Estimate]],
    *,
    ylabel: str = "AUROC",
    reported: Mapping[str, Mapping[float, float]] | None = None,
    band: str | None = None,
    ax: Any = None,
) -> Any:
    """Estimates against the privacy budget, with intervals; returns the Axes.

    curves: name to {epsilon: Estimate}; epsilon = inf (no privacy) gets a tick of its own behind a break of the
    logarithmic axis. reported: the paper's values of a curve, as hollow diamonds of its colour. band: the curve whose
    interval at inf is drawn across the whole axis. Undefined estimates are left out.
    Raises ValueError when there is no epsilon, or one is not above 0.
    """
    budgets = {float(e) for curve in (*curves.values(), *(reported or {}).values()) for e in curve}
    if not budgets or not all(e > 0 for e in budgets):
        raise ValueError(f"curves must hold budgets epsilon > 0, got {sorted(budgets)}")
    if ax is None:
        _, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    finite = sorted(e for e in budgets if math.isfinite(e))
    low, high = (finite[0], finite[-1]) if finite else (1.0, 1.0)
    gap = max(3.0, (high / low) ** 0.3)  # room for the break, in proportion to the axis
    end = high * gap

    def place(epsilon: float) -> float:
        return epsilon if math.isfinite(epsilon) else end

    style = cues(curves)
    middle = (len(curves) - 1) / 2
    for index, (name, curve) in enumerate(curves.items()):
        shift = (1 + 0.12 * math.log10(end / low)) ** ((index - middle) / 3)  # curves share budgets
        known = [(place(float(e)) * shift, curve[e]) for e in sorted(curve) if not curve[e].undefined]
        x = np.array([at for at, _ in known])
        value, lower, upper = (np.array([getattr(e, part) for _, e in known]) for part in ("value", "low", "high"))
        private = x < high * math.sqrt(gap)
        shared = {**style[name], "capsize": 3, "markersize": 6}
        errors = np.array([value - lower, upper - value])
        # Two pieces: no line runs across the break.
        ax.errorbar(x[private], value[private], errors[:, private], label=name, **shared)
        ax.errorbar(x[~private], value[~private], errors[:, ~private], **{**shared, "linestyle": "none"})
        if name == band and (~private).any():
            ax.axhspan(lower[~private][0], upper[~private][0], color=style[name]["color"], alpha=0.12, linewidth=0)
        for number, (epsilon, y) in enumerate((reported or {}).get(name, {}).items()):
            ax.plot(place(float(epsilon)) * shift, y, "D", color=style[name]["color"], markerfacecolor="none",
                    label=f"{name}, reported in the paper" if number == 0 else None)  # fmt: skip
    ax.set_xscale("log")
    ticks = _ticks([float(e) for curve in curves.values() for e in curve], finite)
    names = [f"{e:g}" for e in ticks]
    if any(math.isinf(e) for e in budgets):
        ticks, names = [*ticks, end], [*names, INFINITY_LABEL]
        _mark_break(ax, high * math.sqrt(gap), math.log10(end / low * gap**0.8))
    ax.set_xticks(ticks, names)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(low / gap**0.4, (end if any(math.isinf(e) for e in budgets) else high) * gap**0.4)
    ax.set(xlabel="privacy budget ε (log scale; smaller is more private)", ylabel=ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=9)
    return ax


def plot_amplification(
    changes: Mapping[str, Comparison | Estimate],
    *,
    margin: float | None = None,
    xlabel: str = "change of the gap (points of AUROC); right: the group falls further behind",
    highlight: Sequence[str] = (),
    ax: Any = None,
) -> Any:
    """Forest of amplifications in points (hundredths), the margin of equivalence shaded; returns the Axes.

    changes: label to the amplification, as `Audit.amplification` gives it. margin: in the same unit as the changes
    (0.02 is two points). highlight: labels in colour, such as the planted control.
    """
    estimates = {name: _points(c.difference if isinstance(c, Comparison) else c) for name, c in changes.items()}
    if ax is None:
        _, ax = plt.subplots(figsize=(7.2, 0.6 + 0.36 * len(estimates)), layout="constrained")
    if margin is not None:
        ends, name = (-100 * margin, 100 * margin), f"margin of ±{100 * margin:g} points"
        ax.axvspan(*ends, color="0.9", zorder=-1, linewidth=0, label=name)
    return plot_forest(estimates, xlabel=xlabel, lines={"no change": 0.0}, highlight=highlight, ax=ax)


def describe_by_epsilon(curves: Mapping[str, Mapping[float, Estimate]], *, what: str = "AUROC") -> str:
    """The figure of `plot_by_epsilon` in words: every curve from the smallest budget to no privacy."""
    sentences = [
        f"{name}: " + ", ".join(f"{_spelled(curve[e])} {_budget(float(e))}" for e in sorted(curve)) + "."
        for name, curve in curves.items()
    ]
    return " ".join([f"{what} against the privacy budget.", *sentences])


def describe_amplification(changes: Mapping[str, Comparison | Estimate]) -> str:
    """The figure of `plot_amplification` in words."""
    points = {name: _points(c.difference if isinstance(c, Comparison) else c) for name, c in changes.items()}
    rows = ", ".join(f"{name} {_spelled(e, digits=1)}" for name, e in points.items())
    return f"Change of the gap in points, positive where the group falls further behind: {rows}."


def _points(estimate: Estimate) -> Estimate:
    return replace(estimate, value=100 * estimate.value, low=100 * estimate.low, high=100 * estimate.high)


def _spelled(estimate: Estimate, digits: int = 3) -> str:
    if estimate.undefined:
        return "undefined"
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _budget(epsilon: float) -> str:
    return f"at epsilon {epsilon:g}" if math.isfinite(epsilon) else "without privacy"


def _ticks(ours: Sequence[float], budgets: Sequence[float]) -> list[float]:
    """Budgets to be named on the axis, ours before others: none so near to another that their names would touch."""
    kept: list[float] = []
    for epsilon in (*sorted(e for e in ours if math.isfinite(e)), *budgets):
        if all(max(epsilon / other, other / epsilon) >= 1.3 for other in kept):
            kept.append(epsilon)
    return sorted(kept)


def _mark_break(ax: Any, at: float, decades: float) -> None:
    """Two slanted strokes across the axis, which ends there."""
    for shift in (-0.006, 0.006):
        ax.plot([at * 10 ** (shift * decades)], [0], marker=[(-0.5, -1), (0.5, 1)], markersize=10, color="black",
                transform=ax.get_xaxis_transform(), clip_on=False, linestyle="none")  # fmt: skip
