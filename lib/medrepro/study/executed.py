"""Executed notebooks, whoever executed them: their ledger, their order, their errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .chapters import read_notebook
from .errors import InputError
from .ledger import BUNDLE_FORMAT, BUNDLE_MIME


def ledger_bundle(path: Path) -> dict[str, Any]:
    """The estimates that the displayed verdict table left in a notebook.

    Raises InputError when there is none, when it is of another version, or when cells were run out of order, since
    then the numbers need not come from the code that is shown.
    """
    notebook = read_notebook(path)
    check_order(notebook, path.name)
    bundle = find_bundle(notebook)
    if bundle is None:
        raise InputError(f"{path.name}: no verdict table; run all cells, the one with ledger.table() too")
    if bundle.get("format") != BUNDLE_FORMAT:
        raise InputError(
            f"{path.name}: its ledger has format {bundle.get('format')}, this version reads {BUNDLE_FORMAT}"
        )
    return bundle


def find_bundle(notebook: Mapping[str, Any]) -> dict[str, Any] | None:
    """The last verdict bundle among the outputs; None when no verdict table was displayed."""
    found = None
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            bundle = output.get("data", {}).get(BUNDLE_MIME)
            if bundle and bundle.get("shows") == "verdicts":
                found = bundle
    return found


def check_order(notebook: Mapping[str, Any], name: str) -> None:
    """InputError unless every code cell ran once, from top to bottom, in one kernel, without an error."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    counts = [cell.get("execution_count") for cell in cells]
    for position, count in enumerate(counts, start=1):
        if count is None:
            raise InputError(f"{name}: code cell {position} was not run; restart the kernel and run all cells")
        if count != position:
            raise InputError(
                f"{name}: code cell {position} ran as number {count}: cells ran out of order or twice; "
                "restart the kernel and run all cells"
            )
    for position, cell in enumerate(cells, start=1):
        for output in cell.get("outputs", ()):
            if output.get("output_type") == "error":
                raise InputError(f"{name}: code cell {position} ended with {output['ename']}: {output['evalue']}")
