"""The rules for protected cohorts, in one place: what may stay in a run, and where its text may be sent.

A cohort is protected when its manifest says `credentialed` or `private`, or when the study's rung is `cohort`. A run on
it keeps only aggregates: the ledger, tables, and figures that are declared to show no single patient. Images, rows,
text, paths and tracebacks never reach the disk; groups of fewer than ten are suppressed; language models are asked only
on the same machine.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import urlsplit

from . import manifests
from .errors import DataError

PROTECTED_ACCESS = ("credentialed", "private")
SMALLEST_CELL = 10
WITHHELD = "withheld: protected cohort"

LEDGER_MIME = "application/vnd.medrepro.ledger+json"
TABLE_MIME = "application/vnd.medrepro.table+json"
FIGURE_MIME = "application/vnd.medrepro.figure+json"

_ACTIVE = "MEDREPRO_PROTECTED"
_SMALL = f"< {SMALLEST_CELL}"


def protects(names: Iterable[str]) -> bool:
    """True when one of these data sets is credentialed or private."""
    return any(manifests.load(name).access in PROTECTED_ACCESS for name in names)


def environment(protected: bool) -> dict[str, str]:
    """What a kernel is told, so that `active` answers inside it."""
    return {_ACTIVE: "1" if protected else ""}


def active() -> bool:
    """True inside the run of a protected cohort."""
    return os.environ.get(_ACTIVE) == "1"


def require_local(endpoint: str) -> None:
    """DataError unless the endpoint is on this machine, inside a protected run; elsewhere any endpoint is allowed.

    A client that follows redirects must ask again for each address.
    """
    if active() and not _is_local(endpoint):
        where = urlsplit(endpoint).hostname or endpoint
        raise DataError(f"endpoint {where}: a protected cohort may only be sent to this machine (127.0.0.1, localhost)")


def _is_local(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def suppress_estimate(row: Mapping[str, Any]) -> dict[str, Any]:
    """An estimate's row; undefined, with the reason, when it rests on fewer than ten units or cases of a class."""
    small = [name for name in ("n", "n_pos", "n_neg") if _is_small(row.get(name))]
    if not small:
        return dict(row)
    hidden = dict.fromkeys(("value", "low", "high", *small))
    return {**row, **hidden, "n": 0, "note": f"fewer than {SMALLEST_CELL}: suppressed"}


def suppress_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table {columns, index, data} without small cells.

    A row is a group: where it holds a count from 1 to 9, the count becomes '< 10' and its other numbers are withheld.
    Where a row of totals would give the count away, the smallest other row is suppressed too.
    """
    data = [list(row) for row in table["data"]]
    hidden = {i for i, row in enumerate(data) if any(_is_small(cell) for cell in row)}
    hidden |= _given_away(data, hidden)
    for i in hidden:
        data[i] = [_SMALL if _is_small(cell) else WITHHELD if _is_numeric(cell) else cell for cell in data[i]]
    return {**table, "data": data}


def _given_away(data: list[list[Any]], hidden: set[int]) -> set[int]:
    """Rows that must go too, because a total and the other rows would reveal the one hidden row of a column."""
    more: set[int] = set()
    for column in range(len(data[0]) if data else 0):
        counts = {i: row[column] for i, row in enumerate(data) if type(row[column]) is int}
        for total in counts:
            parts = [i for i in counts if i != total]
            if len(parts) > 1 and sum(counts[i] for i in parts) == counts[total]:
                lost = [i for i in parts if i in hidden | more]
                if len(lost) == 1:
                    more.add(min((i for i in parts if i not in lost), key=lambda i: counts[i]))
    return more


def protect_notebook(notebook: Any, private_paths: Iterable[str] = ()) -> None:
    """Take everything but aggregates out of a notebook's outputs, in place; running it again changes nothing.

    notebook: a notebook as nested mappings. private_paths: folders whose names are blotted out wherever they stand.
    """
    blot = [path for path in private_paths if len(path) > 1]
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        cell.pop("attachments", None)
        cell["source"] = blot_paths(cell["source"], blot)
        if cell["cell_type"] == "code":
            cell["outputs"] = [_publishable(output, blot) for output in cell.get("outputs", ())]


def blot_paths(value: Any, paths: Iterable[str]) -> Any:
    """The same text, list or mapping with these paths replaced in every text."""
    if isinstance(value, str):
        for path in paths:
            value = value.replace(path, "(data)")
        return value
    if isinstance(value, dict):
        return type(value)({key: blot_paths(item, paths) for key, item in value.items()})
    if isinstance(value, list):
        return [blot_paths(item, paths) for item in value]
    return value


def _publishable(output: Any, blot: list[str]) -> Any:
    kind = type(output)
    if output["output_type"] == "error":
        return kind({"output_type": "error", "ename": output["ename"], "evalue": WITHHELD, "traceback": []})
    data = output.get("data", {})
    if LEDGER_MIME in data:  # the ledger suppresses small estimates itself
        kept = {mime: data[mime] for mime in (LEDGER_MIME, "text/html") if mime in data}
    elif TABLE_MIME in data:
        table = suppress_table(data[TABLE_MIME])
        kept = {TABLE_MIME: table, "text/html": _table_html(table, data.get("text/html", ""))}
    elif data.get(FIGURE_MIME, {}).get("aggregate") is True:
        html = re.sub(r"<details>.*?</details>", "", data["text/html"], flags=re.DOTALL)
        kept = {FIGURE_MIME: data[FIGURE_MIME], "text/html": html}
    else:
        kept = {"text/plain": f"({WITHHELD})"}
    made = {"output_type": "display_data", "data": blot_paths(kept, blot), "metadata": {}}
    return kind(made)


def _table_html(table: Mapping[str, Any], shown: str) -> str:
    """The suppressed table; the caption of the shown one is kept."""
    caption = re.search(r"<caption>.*?</caption>", shown, flags=re.DOTALL)
    head = "".join(f"<th>{escape(str(name))}</th>" for name in ["", *table["columns"]])
    body = "".join(
        f"<tr><th>{escape(str(name))}</th>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>"
        for name, row in zip(table["index"], table["data"], strict=True)
    )
    top = caption.group() if caption else ""
    return f'<table class="mr-data">{top}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(cell: Any) -> str:
    if isinstance(cell, list):
        return escape(f"{cell[0]} [{cell[1]}, {cell[2]}]" if len(cell) == 3 else str(cell))
    return "–" if cell is None else escape(str(cell))


def _is_small(value: Any) -> bool:
    return type(value) is int and 0 < value < SMALLEST_CELL


def _is_numeric(value: Any) -> bool:
    return isinstance(value, int | float | list) and not isinstance(value, bool)
