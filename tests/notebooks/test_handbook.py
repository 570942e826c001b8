"""Handbook pages against their expected tables.

Pages are stored without outputs. A reference notebook is built from the page and `tests/expected/PAGE.json`, and
pytest-notebook runs the page and compares the two; only the tables are compared.
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_output
from pytest_notebook.nb_regression import NBRegressionError, NBRegressionFixture

from medrepro.data import DataError, ensure
from medrepro.study.chapters import load_chapter

TESTS = Path(__file__).resolve().parent.parent
TABLE = "application/vnd.medrepro.table+json"
PAGE = "reader_agreement"
EXPECTED = json.loads((TESTS / "expected" / f"{PAGE}.json").read_text(encoding="utf-8"))
REFERENCE = json.loads((TESTS / "reference" / f"{PAGE}.json").read_text(encoding="utf-8"))


def with_tables(notebook, tables):
    """The notebook with these tables as outputs of their cells."""
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        if cell.id in tables:
            cell.outputs = [new_output("display_data", data={TABLE: tables[cell.id]})]
    return made


def compare(notebook, tables, path, *, execute):
    """Write the reference and let pytest-notebook compare the notebook, run anew or as it is, with it."""
    nbformat.write(with_tables(notebook, tables), path)
    silent = [f"/cells/{i}/outputs" for i, cell in enumerate(notebook.cells) if cell.id not in tables]
    fixture = NBRegressionFixture(
        exec_notebook=execute,
        exec_timeout=120,
        diff_ignore=("/cells/*/outputs/*/data/text", "/cells/*/execution_count", "/metadata", *silent),
        diff_use_color=False,
    )
    return fixture.check(str(path))


@pytest.fixture(scope="module")
def page():
    chapter = load_chapter(PAGE)
    try:
        ensure(chapter.data("embedded"))
    except DataError as error:
        pytest.skip(str(error))
    return nbformat.read(chapter.source, as_version=4)


@pytest.fixture(scope="module")
def outcome(page, tmp_path_factory):
    """The page, run and compared with the expected tables."""
    os.environ["OMP_NUM_THREADS"] = "1"
    return compare(page, EXPECTED, tmp_path_factory.mktemp("page") / "reference.ipynb", execute=True)


def test_the_page_gives_the_expected_tables(outcome):
    assert outcome.diff_filtered == []


def test_every_table_of_the_page_has_an_expectation(outcome):
    shown = [cell.id for cell in outcome.nb_final.cells for o in cell.get("outputs", []) if TABLE in o.get("data", {})]
    assert sorted(shown) == sorted(EXPECTED)


def test_one_changed_number_fails(page, outcome, tmp_path, monkeypatch):
    """The comparison of the run above, with one expected number off in its last digit."""
    tables = copy.deepcopy(EXPECTED)
    row = tables["q1"]["index"].index("malignancy")
    tables["q1"]["data"][row][3][0] += 0.0001
    monkeypatch.setattr("pytest_notebook.nb_regression.execute_notebook", lambda *a, **k: _Executed(outcome.nb_final))
    compare(page, EXPECTED, tmp_path / "right.ipynb", execute=True)
    with pytest.raises(NBRegressionError, match=r"0\.429"):
        compare(page, tables, tmp_path / "wrong.ipynb", execute=True)


def test_a_missing_table_fails(page, outcome, tmp_path, monkeypatch):
    lost = copy.deepcopy(outcome.nb_final)
    next(cell for cell in lost.cells if cell.id == "q3").outputs = []
    monkeypatch.setattr("pytest_notebook.nb_regression.execute_notebook", lambda *a, **k: _Executed(lost))
    with pytest.raises(NBRegressionError):
        compare(page, EXPECTED, tmp_path / "reference.ipynb", execute=True)


class _Executed:
    """What pytest-notebook gets back from a run."""

    exec_error, resources, has_coverage = None, {}, False

    def __init__(self, notebook):
        self.notebook = notebook


def cell(table, row, column):
    rows = EXPECTED[table]
    return rows["data"][rows["index"].index(row)][rows["columns"].index(column)]


@pytest.mark.parametrize("column", ["alpha", "kappa, random pair", "Fleiss' kappa, four", "ICC(1), four"])
@pytest.mark.parametrize("name", [name for name in REFERENCE if "alpha" in REFERENCE[name]])
def test_expected_coefficients_equal_those_of_other_software(name, column):
    if column in REFERENCE[name]:
        assert cell("q1", name, column)[0] == pytest.approx(REFERENCE[name][column], abs=6e-5)


@pytest.mark.parametrize("row", ["reader's grade", "diameter of the outline"])
def test_expected_aurocs_equal_those_of_other_software(row):
    assert cell("q4", row, "AUROC")[0] == pytest.approx(REFERENCE["AUROC"][row], abs=6e-5)


def test_expected_groups_equal_those_of_another_search():
    counts = {str(k): cell("detection", k, "nodules") for k in (1, 2, 3, 4)}
    assert counts == REFERENCE["nodules by readers"]


def test_expected_intervals_agree_with_a_bootstrap_that_copies_patients():
    """Two bootstraps with other draws, and DeLong's closed form with one: within a tenth of the width."""
    pairs = [
        (cell("q1", "malignancy", "alpha"), REFERENCE["alpha interval, malignancy"]),
        (cell("q4", "reader's grade", "AUROC"), REFERENCE["AUROC interval, reader's grade"]),
    ]
    for (_, low, high), other in pairs:
        assert (low, high) == pytest.approx(tuple(other), abs=0.1 * (high - low))
