"""Figures of several sites: who was trained where and tested where, and what joining brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..stats.results import Estimate
from .palette import COLOURS, cues


def plot_site_matrix(matrix: pd.DataFrame, *, value: str = "AUROC", signed: bool = False, ax: Any = None) -> Any:
    """Heat map with its values written in: rows are where a model was trained, columns where it was tested.

    A model tested at its own site stands in a frame. signed: differences, on a diverging scale centred at 0. Missing
    values are left white and marked with a dash. Returns the Axes.
    """
    rows, columns = matrix.shape
    if ax is None:
        _, ax = plt.subplots(figsize=(1.8 + 0.85 * columns, 0.9 + 0.42 * rows), layout="constrained")
    values = matrix.to_numpy(dtype=float)
    known = values[np.isfinite(values)]
    if signed:
        most = float(np.abs(known).max()) if known.size else 1.0
        scale = {"cmap": "PuOr", "vmin": -(most or 1.0), "vmax": most or 1.0}
    else:
        # From chance upwards, so that shades mean the same in every figure; below it all are dark.
        scale = {"cmap": "cividis", "vmin": 0.5, "vmax": 1.0}
    image = ax.imshow(values, aspect="auto", **scale)
    for row in range(rows):
        for column in range(columns):
            number = values[row, column]
            text = "–" if not np.isfinite(number) else f"{number:+.2f}" if signed else f"{number:.2f}"
            ax.text(column, row, text, ha="center", va="center", fontsize=9, color=_ink(image, number))
            if matrix.index[row] == matrix.columns[column]:
                frame = plt.Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, linewidth=1.6)
                frame.set_edgecolor(_ink(image, number))
                ax.add_patch(frame)
    ax.set_xticks(range(columns), list(map(str, matrix.columns)))
    ax.set_yticks(range(rows), list(map(str, matrix.index)))
    ax.set_xlabel(matrix.columns.name or "tested at")
    ax.set_ylabel(matrix.index.name or "trained at")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.06, pad=0.03)
    bar.set_label(value, fontsize=9)
    return ax


def plot_site_differences(
    groups: Mapping[str, Mapping[str, Estimate]],
    *,
    xlabel: str,
    summary: Estimate | None = None,
    summary_name: str = "mean over sites",
    ax: Any = None,
) -> Any:
    """Forest of paired differences, grouped by target site; several estimates of a site lie side by side.

    groups: site to name of the comparison to Estimate. Comparisons keep their colour and marker over all sites.
    summary: drawn as a diamond below. Undefined estimates keep their row. Returns the Axes.
    """
    styles = cues(name for group in groups.values() for name in group)
    heights = [len(group) for group in groups.values()]
    total = sum(heights) + len(groups) - 1 + (1.6 if summary is not None else 0)
    if ax is None:
        _, ax = plt.subplots(figsize=(7.2, 1.0 + 0.27 * total), layout="constrained")
    ax.axvline(0.0, color="0.45", linestyle="--", linewidth=1, zorder=0)
    row, ticks, labels = 0.0, [], []
    for site, group in groups.items():
        ticks.append(row + (len(group) - 1) / 2)
        labels.append(f"{site} (n = {max(e.n for e in group.values()):,})")
        for name, estimate in group.items():
            _interval(ax, row, estimate, styles[name], name)
            row += 1
        row += 1
    if summary is not None:
        _diamond(ax, row, summary)
        ticks.append(row)
        labels.append(summary_name)
        row += 1
    ax.set_yticks(ticks, labels)
    ax.set_ylim(row - 0.3, -0.8)
    ax.set_xlabel(xlabel)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    if len(styles) > 1:
        marks = [plt.Line2D([], [], color=s["color"], marker=s["marker"], label=name) for name, s in styles.items()]
        ax.legend(handles=marks, fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    return ax


def plot_gain_by_size(sizes: Sequence[int], gains: Mapping[str, Estimate], *, ylabel: str, ax: Any = None) -> Any:
    """Gain of each site with its interval against its number of training cases (log axis); returns the Axes.

    sizes: in the order of gains. Raises ValueError when their numbers differ.
    """
    if len(sizes) != len(gains):
        raise ValueError(f"sizes must hold one number a gain ({len(gains)}), got {len(sizes)}")
    ax = ax or plt.subplots(figsize=(4.6, 3.2), layout="constrained")[1]
    ax.axhline(0.0, color="0.45", linestyle="--", linewidth=1, zorder=0)
    for size, (name, gain) in zip(sizes, gains.items(), strict=True):
        if gain.undefined:
            continue
        ax.vlines(size, gain.low, gain.high, color=COLOURS[0], linewidth=1.6)
        ax.plot(size, gain.value, "o", color=COLOURS[0])
        ax.annotate(name, (size, gain.value), xytext=(5, 4), textcoords="offset points", fontsize=8)
    ax.set_xscale("log")
    ax.set_xticks(sorted(set(sizes)), [f"{size:,}" for size in sorted(set(sizes))])
    ax.minorticks_off()
    ax.margins(x=0.15)
    ax.set_xlabel("training cases of the site (log scale)")
    ax.set_ylabel(ylabel)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _interval(ax: Any, row: float, estimate: Estimate, style: dict[str, Any], name: str) -> None:
    if estimate.undefined:
        ax.text(
            0.02, row, f"{name}: undefined", transform=ax.get_yaxis_transform(), va="center", color="0.4", fontsize=8
        )
        return
    ax.hlines(row, estimate.low, estimate.high, color=style["color"], linewidth=1.6)
    ax.plot(estimate.value, row, style["marker"], color=style["color"])
    _number(ax, row, estimate)


def _diamond(ax: Any, row: float, estimate: Estimate) -> None:
    if estimate.undefined:
        ax.text(0.02, row, "undefined", transform=ax.get_yaxis_transform(), va="center", color="0.4", fontsize=8)
        return
    x = [estimate.low, estimate.value, estimate.high, estimate.value]
    ax.fill(x, [row, row - 0.35, row, row + 0.35], color="black")
    _number(ax, row, estimate)


def _number(ax: Any, row: float, estimate: Estimate) -> None:
    text = f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
    ax.text(1.01, row, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8)


def _ink(image: Any, number: float) -> str:
    """Black or white, whichever can be read on the shade of this number."""
    if not np.isfinite(number):
        return "black"
    red, green, blue, _ = image.cmap(image.norm(number))
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
