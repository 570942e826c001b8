"""Slides as grids of tiles: tissue, heat map, outline of the recorded tumour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from numpy.typing import NDArray

_TISSUE_COLOURS = ("#F2D7D9", "#F7F3C9", "#B9C7E4", "#C9B29B", "#B2182B", "#542788", "#1B7837")
_TISSUE_NAMES = ("stroma", "fat", "lymphocytes", "look-alike", "tumour type 1", "tumour type 2", "tumour type 3")


def plot_tissue(coords: NDArray[np.integer], tissue: NDArray[np.integer], *, title: str = "", ax: Any = None) -> Any:
    """Tissue code of every tile of one slide, a letter on the tumour tiles as second cue; returns the Axes."""
    ax = ax or plt.subplots(figsize=(3, 3), layout="constrained")[1]
    image, (row0, column0) = _grid(coords, tissue)
    ax.imshow(image, cmap=ListedColormap(_TISSUE_COLOURS), norm=BoundaryNorm(np.arange(-0.5, 7.5), 7))
    for (row, column), kind in zip(coords, tissue, strict=True):
        if kind >= 3:
            ax.text(column - column0, row - row0, " abc"[kind - 3] if kind > 3 else "·", ha="center", va="center",
                    color="white" if kind > 3 else "black", fontsize=7)  # fmt: skip
    ax.set_title(title, fontsize=9)
    ax.axis("off")
    return ax


def tissue_legend(figure: Any, n_types: int = 2) -> None:
    """A legend of the tissues below the figure."""
    names = [*_TISSUE_NAMES[:4], *(f"{_TISSUE_NAMES[4 + k]} ({'abc'[k]})" for k in range(n_types))]
    pairs = zip(_TISSUE_COLOURS, names, strict=False)
    marks = [plt.Line2D([], [], marker="s", linestyle="", color=colour, label=name) for colour, name in pairs]
    figure.legend(handles=marks, loc="outside lower center", ncols=3, fontsize=8, frameon=False)


def plot_heat_map(
    coords: NDArray[np.integer],
    weight: NDArray[np.floating],
    evidence: NDArray[np.bool_],
    *,
    title: str = "",
    ax: Any = None,
) -> Any:
    """Attention weight of every tile as its rank in the slide, the recorded mask outlined; returns the Axes.

    Ranks, since the AUC that scores the map sees nothing else: 0 is the least attended tile, 1 the most.
    """
    ax = ax or plt.subplots(figsize=(3, 3), layout="constrained")[1]
    rank = np.argsort(np.argsort(weight)) / max(1, len(weight) - 1)
    image, _ = _grid(coords, rank)
    marked, _ = _grid(coords, evidence.astype(float))
    ax.imshow(image, cmap="cividis", vmin=0, vmax=1)
    _outline(ax, np.nan_to_num(marked) > 0)
    ax.set_title(title, fontsize=9)
    ax.axis("off")
    return ax


def plot_heat_maps(slides: Sequence[dict[str, Any]], *, columns: int = 4) -> Any:
    """Several heat maps with one colour bar; slides: keyword arguments of `plot_heat_map`. Returns the Axes array."""
    rows = -(-len(slides) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.0 * columns, 2.3 * rows), layout="constrained", squeeze=False)
    for ax in axes.flat[len(slides) :]:
        ax.axis("off")
    for ax, slide in zip(axes.flat, slides, strict=False):
        plot_heat_map(**slide, ax=ax)
    bar = figure.colorbar(axes.flat[0].images[0], ax=axes, shrink=0.8, aspect=30)
    bar.set_label("rank of attention in the slide", fontsize=8)
    return axes


def _grid(coords: NDArray[np.integer], values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.integer]]:
    """Values on the smallest grid that holds the slide, nan where there is no tile; and the grid's origin."""
    origin = coords.min(axis=0)
    place = coords - origin
    image = np.full(tuple(place.max(axis=0) + 1), np.nan)
    image[place[:, 0], place[:, 1]] = values
    return image, origin


def _outline(ax: Any, marked: NDArray[np.bool_]) -> None:
    """A white line with a black core along the border of the marked tiles."""
    padded = np.pad(marked, 1)
    segments = []
    for row, column in np.argwhere(padded[1:, :] != padded[:-1, :]):  # borders between a tile and the one below
        segments.append(((column - 1.5, column - 0.5), (row - 0.5, row - 0.5)))
    for row, column in np.argwhere(padded[:, 1:] != padded[:, :-1]):
        segments.append(((column - 0.5, column - 0.5), (row - 1.5, row - 0.5)))
    for colour, width in (("white", 3.0), ("#D00000", 1.4)):
        for x, y in segments:
            ax.plot(x, y, color=colour, linewidth=width, solid_capstyle="round")
