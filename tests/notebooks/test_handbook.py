"""Every handbook page against its expected tables, by pytest-notebook; one changed number must fail."""

from __future__ import annotations

import copy

import pytest
from handbook import TESTS, compare, executed_page, expected_tables, tables_of
from pytest_notebook.nb_regression import NBRegressionError

from medrepro.data import DataError
from medrepro.study.chapters import handbook_chapters

PAGES = [chapter.id for chapter in handbook_chapters()]


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest):
    """(name, executed notebook, expected tables); skipped where the page's data cannot be had."""
    try:
        return request.param, executed_page(request.param), expected_tables(request.param)
    except DataError as error:
        pytest.skip(str(error))


def test_every_page_has_expected_tables():
    assert sorted(path.stem for path in (TESTS / "expected").glob("*.json")) == sorted(PAGES)


def test_a_page_shows_the_expected_tables(page, tmp_path, monkeypatch):
    _, executed, tables = page
    assert tables
    compare(executed, tables, tmp_path / "reference.ipynb", monkeypatch)


def test_one_changed_number_fails_in_every_table(page, tmp_path, monkeypatch):
    _, executed, tables = page
    for name in tables:
        wrong = copy.deepcopy(tables)
        assert _nudge(wrong[name]["data"]), f"{name} holds no number"
        with pytest.raises(NBRegressionError):
            compare(executed, wrong, tmp_path / "wrong.ipynb", monkeypatch)


def test_a_missing_and_a_new_table_fail(page, tmp_path, monkeypatch):
    _, executed, tables = page
    first = next(iter(tables))
    lost = copy.deepcopy(executed)
    next(cell for cell in lost.cells if cell.id == first).outputs = []
    with pytest.raises(NBRegressionError):
        compare(lost, tables, tmp_path / "lost.ipynb", monkeypatch)
    fewer = {name: table for name, table in tables.items() if name != first}
    with pytest.raises(NBRegressionError):
        compare(executed, fewer, tmp_path / "new.ipynb", monkeypatch)


def test_expected_tables_are_of_this_page(page):
    name, executed, tables = page
    assert sorted(tables_of(executed)) == sorted(tables), name


def _nudge(rows: list) -> bool:
    """Change the first number found by one part in a thousand, in place; False when there is none."""
    for i, value in enumerate(rows):
        if isinstance(value, list):
            if _nudge(value):
                return True
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            rows[i] = value * 1.001 + 0.0001
            return True
    return False


def test_the_nudge_reaches_numbers_inside_intervals():
    rows = [["a", [0.5, None]]]
    assert _nudge(rows)
    assert rows[0][1][0] == pytest.approx(0.5006)
    assert not _nudge([["a", None, True]])
