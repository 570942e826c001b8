"""Who is ahead, and does that depend on how it is measured: ranks with their intervals, and slopes between columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..stats.results import Estimate
from .palette import cues

Ranks = Mapping[str, Mapping[str, Estimate]]


def plot_rank_slopes(ranks: Ranks, *, xlabel: str = "", ax: Any = None) -> Any:
    """Rank of each arm in several columns, 1 on top, joined by lines; returns the Axes.

    ranks: column (a weighting, a network) to {arm to the Estimate of its rank}; every column holds the same arms.
    Bars are the intervals of the ranks; names stand at both ends, in the order of the first and last column.
    Raises ValueError when columns hold different arms or there are none.
    """
    arms = _same_arms(ranks)
    if ax is None:
        _, ax = plt.subplots(figsize=(2.6 + 1.5 * len(ranks), 0.9 + 0.42 * len(arms)), layout="constrained")
    style, middle = cues(arms), (len(arms) - 1) / 2
    columns = list(ranks)
    for place, arm in enumerate(arms):
        # A small shift keeps the intervals of one column apart.
        across = np.arange(len(columns)) + 0.05 * (place - middle)
        found = [ranks[column][arm] for column in columns]
        value, low, high = (np.array([getattr(e, part) for e in found]) for part in ("value", "low", "high"))
        ax.plot(across, value, label=arm, markersize=7, linewidth=1.6, **style[arm])
        ax.vlines(across, low, high, color=style[arm]["color"], linewidth=2.4, alpha=0.35)
    _write_names(ax, ranks[columns[0]], arms, -0.3, "right", style)
    _write_names(ax, ranks[columns[-1]], arms, len(columns) - 0.7, "left", style)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_xlim(-1.5, len(columns) + 0.5)
    ax.set_yticks(range(1, len(arms) + 1))
    ax.set_ylim(len(arms) + 0.5, 0.5)
    ax.set(xlabel=xlabel, ylabel="rank (1 = best)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_rank_intervals(
    ranks: Mapping[str, Estimate],
    *,
    groups: Sequence[Sequence[str]] = (),
    xlabel: str = "rank (1 = best)",
    ax: Any = None,
) -> Any:
    """Arms from best to worst, each rank with its interval; returns the Axes.

    groups: sets of arms that could not be told apart (from corrected paired comparisons, `indistinct_groups`); each is
    a grey bar at the right, like the bars of a critical-difference diagram.
    Raises ValueError for an arm in groups that has no rank.
    """
    if not ranks:
        raise ValueError("ranks must hold at least one arm, got none")
    order = sorted(ranks, key=lambda arm: (ranks[arm].value, arm))
    unknown = [arm for group in groups for arm in group if arm not in ranks]
    if unknown:
        raise ValueError(f"groups must name arms of ranks, got {unknown[0]!r}")
    if ax is None:
        _, ax = plt.subplots(figsize=(6.2, 0.9 + 0.36 * len(order)), layout="constrained")
    style = cues(ranks)
    for row, arm in enumerate(order):
        estimate = ranks[arm]
        ax.hlines(row, estimate.low, estimate.high, color=style[arm]["color"], linewidth=2.2)
        ax.plot(estimate.value, row, color=style[arm]["color"], marker=style[arm]["marker"], markersize=7)
    right = len(order) + 0.5
    for k, group in enumerate(groups):
        rows = [order.index(arm) for arm in group]
        ax.vlines(right + 0.25 * (k + 1), min(rows) - 0.25, max(rows) + 0.25, color="0.45", linewidth=4)
    ax.set_yticks(range(len(order)), order)
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.set_xlim(0.5, right + 0.25 * (len(groups) + 1))
    ax.set_xticks(range(1, len(order) + 1))
    ax.set_xlabel(xlabel)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def indistinct_groups(
    order: Sequence[str], p_values: Mapping[tuple[str, str], float], level: float = 0.95
) -> list[list[str]]:
    """Largest runs of arms in `order` of which no two differ at this level; runs of one arm are left out.

    p_values: (arm, arm), in either order, to the p value of their difference, corrected for the number of pairs. A
    missing or undefined p value separates nothing. Runs are of neighbours in the order, as in Demsar (JMLR 2006).
    """

    def apart(a: str, b: str) -> bool:
        return p_values.get((a, b), p_values.get((b, a), 1.0)) < 1 - level

    runs: list[list[str]] = []
    for start in range(len(order)):
        end = start
        while end + 1 < len(order) and not any(apart(order[k], order[end + 1]) for k in range(start, end + 1)):
            end += 1
        run = list(order[start : end + 1])
        if len(run) > 1 and not (runs and set(run) <= set(runs[-1])):
            runs.append(run)
    return runs


def ranks_table(ranks: Ranks) -> pd.DataFrame:
    """The numbers behind the figures: one row an arm, for each column its rank with interval as text."""
    arms = _same_arms(ranks)
    rows = {arm: {c: f"{e[arm].value:g} [{e[arm].low:g}, {e[arm].high:g}]" for c, e in ranks.items()} for arm in arms}
    return pd.DataFrame.from_dict(rows, orient="index")


def _same_arms(ranks: Ranks) -> list[str]:
    if not ranks or not next(iter(ranks.values())):
        raise ValueError("ranks must hold at least one column with at least one arm, got none")
    arms = list(next(iter(ranks.values())))
    for column, found in ranks.items():
        if set(found) != set(arms):
            raise ValueError(f"ranks[{column!r}] must hold the arms {', '.join(arms)}, got {', '.join(found)}")
    return arms


def _write_names(
    ax: Any, column: Mapping[str, Estimate], arms: Sequence[str], x: float, align: str, style: Mapping[str, Any]
) -> None:
    """Names beside a column, moved apart where ranks are tied."""
    order = sorted(arms, key=lambda arm: (column[arm].value, arms.index(arm)))
    for place, arm in enumerate(order, start=1):
        ax.text(x, place, arm, ha=align, va="center", fontsize=9, color=style[arm]["color"])
