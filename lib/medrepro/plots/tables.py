"""Tables of results: to read in the page, and exact for whoever compares two runs of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from IPython.display import display

from ..data.cohort_rules import TABLE_MIME
from ..stats.results import Estimate

_DIGITS = 4
_ONE_LINE = 24  # characters


def table(rows: Mapping[Any, Sequence[Any]], columns: Sequence[str], *, rows_are: str | None = None) -> pd.DataFrame:
    """A table from {name of the row: cells}; rows_are: what the rows are, shown above their names.

    A cell is an Estimate, a number, text, or None where nothing applies.
    """
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(columns), dtype=object).rename_axis(rows_are)


def spell(cell: Any) -> Any:
    """One cell as text: an estimate with its interval, a number at two digits, a dash where nothing applies."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, Estimate):
        return f"{cell.value:.2f} [{cell.low:.2f}, {cell.high:.2f}]"
    if isinstance(cell, float):
        return f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else cell


def show_table(frame: pd.DataFrame, caption: str) -> None:
    """Display a table: HTML to read, and its numbers at four digits behind it, an estimate as [value, low, high].

    frame: cells as in `table`. The numbers are compared with the expected ones by the tests of the handbook.
    """
    numbers = json.loads(frame.map(_exact).to_json(orient="split", double_precision=_DIGITS))
    # The rows' name goes into the corner: pandas would spend a line of the head on it.
    shown = frame.map(_unbroken).rename_axis(index=None, columns=frame.index.name)
    html = shown.to_html(classes="mr-data", border=0)
    html = html.replace("<thead>", f"<caption>{escape(caption, quote=False)}</caption><thead>", 1)
    html = f'<div class="mr-scroll">{html}</div>'
    display({"text/html": html, "text/plain": f"(table: {caption})", TABLE_MIME: numbers}, raw=True)


def _unbroken(cell: Any) -> Any:
    """A spelled cell; a short one, an interval for example, stays on one line."""
    text = spell(cell)
    return text.replace(" ", "\u00a0") if isinstance(text, str) and len(text) <= _ONE_LINE else text


def _exact(cell: Any) -> Any:
    if isinstance(cell, Estimate):
        return [None if math.isnan(x) else round(x, _DIGITS) for x in (cell.value, cell.low, cell.high)]
    return cell
