"""Show a figure with its text alternative, its caption and the table behind it."""

from __future__ import annotations

import base64
from html import escape
from io import BytesIO
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display

from ..data.cohort_rules import FIGURE_MIME

_DOTS_PER_INCH = 160
_CSS_PER_INCH = 96  # the picture is shown at its size in inches and stays sharp on dense screens
_ROWS_SHOWN = 200


def show(
    figure_or_axes: Any, *, alt: str, caption: str = "", table: pd.DataFrame | None = None, aggregate: bool = False
) -> None:
    """Display a matplotlib figure as a picture that can be read without seeing it, and close it.

    figure_or_axes: a Figure, an Axes, or anything whose `figure` or `get_figure` leads to one.
    alt: what the figure shows, in words, result included. caption: shown below; plain text.
    table: the numbers behind the figure, folded below it; of a longer one the first 200 rows.
    aggregate: True when no single case can be seen; a run on a protected cohort keeps only such figures.
    Raises ValueError when alt is empty or repeats the caption, and TypeError when there is no figure.

    One HTML output serves JupyterLab, which ignores the alt text of PNG outputs, and the book, which moves the picture
    into a file of its own.
    """
    alt, caption = " ".join(alt.split()), " ".join(caption.split())
    if not alt:
        raise ValueError("alt must say in words what the figure shows, got an empty text")
    if alt == caption:
        raise ValueError("alt must not repeat the caption: it stands in for the picture")
    figure = _figure(figure_or_axes)
    html = figure_html(figure, alt=alt, caption=caption, table=table)
    # Closed, else the inline backend shows the same figure a second time, without a text.
    plt.close(figure)
    about = {"aggregate": bool(aggregate)}
    display({"text/html": html, "text/plain": f"(figure: {alt})", FIGURE_MIME: about}, raw=True)


def figure_html(figure: Any, *, alt: str, caption: str = "", table: pd.DataFrame | None = None) -> str:
    """The figure as HTML with the picture inside; equal figures give equal text."""
    # White on purpose, also on a dark page: colours and black axes were chosen for it.
    png = BytesIO()
    figure.savefig(
        png,
        format="png",
        dpi=_DOTS_PER_INCH,
        bbox_inches="tight",
        facecolor="white",
        metadata={"Software": None},
        pil_kwargs={"optimize": True},
    )
    data = png.getvalue()
    width = round(int.from_bytes(data[16:20], "big") * _CSS_PER_INCH / _DOTS_PER_INCH)
    height = round(int.from_bytes(data[20:24], "big") * _CSS_PER_INCH / _DOTS_PER_INCH)
    picture = (
        f'<img alt="{escape(alt)}" width="{width}" height="{height}" '
        'style="background:#fff;max-width:100%;height:auto" '
        f'src="data:image/png;base64,{base64.b64encode(data).decode()}">'
    )
    text = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="mr-figure">{picture}{text}{_table_html(table)}</figure>'


def _table_html(table: pd.DataFrame | None) -> str:
    if table is None:
        return ""
    cut = f", first {_ROWS_SHOWN} of {len(table):,} rows" if len(table) > _ROWS_SHOWN else ""
    rows_are_named = not isinstance(table.index, pd.RangeIndex)
    html = table.head(_ROWS_SHOWN).to_html(
        index=rows_are_named, border=0, classes="mr-data", float_format="{:.4g}".format
    )
    return (
        f'<details><summary>The numbers behind this figure{cut}</summary><div class="mr-scroll">{html}</div></details>'
    )


def _figure(shown: Any) -> Any:
    """The whole figure: the root of an Axes, a subfigure or a seaborn grid."""
    figure = shown
    for _ in range(3):
        inner = getattr(figure, "figure", None)
        if inner is None or inner is figure:
            break
        figure = inner
    if not hasattr(figure, "savefig"):
        raise TypeError(f"expected a matplotlib Figure or Axes, got {type(shown).__name__}")
    return figure
