"""Estimates one below the other with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from ..stats.results import Estimate
from .palette import COLOURS


def plot_forest(
    estimates: Mapping[str, Estimate],
    *,
    xlabel: str,
    lines: Mapping[str, float] | None = None,
    reported: Mapping[str, float] | None = None,
    highlight: Sequence[str] = (),
    ax: Any = None,
) -> Any:
    """Point and interval of each estimate, value written beside it; returns the Axes.

    estimates: label to Estimate, drawn from top to bottom. lines: vertical references (name to x), each with a line
    style of its own. reported: the paper's value of a label, as a hollow diamond. highlight: labels drawn filled and
    in colour, the others in black and hollow. Undefined estimates keep their row, marked "undefined".
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(7.2, 0.6 + 0.36 * len(estimates)), layout="constrained")
    styles = ("--", ":", "-.")
    for index, (name, x) in enumerate((lines or {}).items()):
        ax.axvline(x, color="0.45", linestyle=styles[index % 3], linewidth=1, label=name, zorder=0)
    for row, (name, estimate) in enumerate(estimates.items()):
        chosen = name in highlight
        colour = COLOURS[0] if chosen else "black"
        if estimate.undefined:
            ax.text(0.02, row, "undefined", transform=ax.get_yaxis_transform(), va="center", color="0.4")
            continue
        ax.hlines(row, estimate.low, estimate.high, color=colour, linewidth=2.2 if chosen else 1.4)
        face = colour if chosen else "white"
        ax.plot(estimate.value, row, "s" if chosen else "o", color=colour, markerfacecolor=face)
        if reported and name in reported:
            ax.plot(reported[name], row, "D", color=COLOURS[1], markerfacecolor="none", label="reported in the paper")
        text = f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
        ax.text(1.01, row, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.set_yticks(range(len(estimates)), list(estimates))
    ax.set_ylim(len(estimates) - 0.4, -0.6)
    ax.set_xlabel(xlabel)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    _, labels = ax.get_legend_handles_labels()
    if labels:
        handles = dict(zip(labels, ax.get_legend_handles_labels()[0], strict=True))
        ax.legend(handles.values(), handles.keys(), fontsize=8, frameon=False, loc="lower center",
                  bbox_to_anchor=(0.5, 1.0), ncols=3)  # fmt: skip
    return ax


def estimates_table(estimates: Mapping[str, Estimate]) -> pd.DataFrame:
    """The numbers behind a forest: one row an estimate."""
    columns = ("value", "low", "high", "level", "n", "unit")
    return pd.DataFrame([{"": name, **{c: getattr(e, c) for c in columns}} for name, e in estimates.items()])
