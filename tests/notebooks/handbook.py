"""Handbook pages as tests see them: their stored run, the tables in it, and the tables they are expected to show."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from pytest_notebook.nb_regression import NBRegressionFixture

from medrepro.study.chapters import load_chapter
from medrepro.study.runner import Job, run_jobs
from medrepro.study.store import RunStore

TESTS = Path(__file__).resolve().parent.parent
TABLE = "application/vnd.medrepro.table+json"


def executed_page(page: str) -> nbformat.NotebookNode:
    """The page's run, executed if no stored run fits; raises what ended it."""
    chapter = load_chapter(page)
    outcome = run_jobs([Job(chapter, chapter.resolve())], RunStore())[0]
    if outcome.error:
        raise outcome.error
    assert outcome.run is not None
    return nbformat.read(outcome.run.notebook, as_version=4)


def tables_of(notebook: nbformat.NotebookNode) -> dict[str, Any]:
    """{cell id: table} of an executed notebook."""
    shown = [
        (cell.id, json.loads(json.dumps(output.data[TABLE])))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if TABLE in output.get("data", {})
    ]
    tables = dict(shown)
    assert len(tables) == len(shown), "a cell shows two tables, and its id can name only one"
    return tables


def expected_tables(page: str) -> dict[str, Any]:
    return json.loads((TESTS / "expected" / f"{page}.json").read_text(encoding="utf-8"))


def entry(page: str, table: str, row: Any, column: str) -> Any:
    """One expected entry: by the id of the cell that shows the table, the row's name and the column's name."""
    shown = expected_tables(page)[table]
    return shown["data"][shown["index"].index(row)][shown["columns"].index(column)]


def compare(executed: nbformat.NotebookNode, tables: dict[str, Any], path: Path, patch: pytest.MonkeyPatch) -> None:
    """Let pytest-notebook compare a run with a reference: the page without outputs, filled with these tables.

    Raises NBRegressionError where a table differs, is missing or is one too many; other outputs are not compared.
    The run is a stored one (`patch` hands it over), so that a page is executed once for book and tests.
    """
    nbformat.write(_with_tables(executed, tables), path)
    shown = _with_tables(executed, tables_of(executed))
    patch.setattr("pytest_notebook.nb_regression.execute_notebook", lambda *a, **k: _Executed(shown))
    ignored = ("/cells/*/execution_count", "/cells/*/metadata", "/metadata")
    NBRegressionFixture(exec_notebook=True, diff_ignore=ignored, diff_use_color=False).check(str(path))


def _with_tables(executed: nbformat.NotebookNode, tables: dict[str, Any]) -> nbformat.NotebookNode:
    """The notebook with these tables as its only outputs."""
    made = copy.deepcopy(executed)
    for cell in made.cells:
        if cell.cell_type == "code":
            table = tables.get(cell.id)
            cell.outputs = [] if table is None else [nbformat.v4.new_output("display_data", data={TABLE: table})]
    return made


class _Executed:
    """What pytest-notebook gets back from a run."""

    exec_error, resources, has_coverage = None, {}, False

    def __init__(self, notebook: nbformat.NotebookNode) -> None:
        self.notebook = notebook
