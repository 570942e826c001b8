"""Expected tables of the page on generated images against other software."""

from __future__ import annotations

import json
from functools import partial

import pytest
from handbook import TESTS, entry, expected_tables

REFERENCE = json.loads((TESTS / "reference" / "generative_page.json").read_text(encoding="utf-8"))
cell = partial(entry, "generative")
ROUNDED = 6e-5  # the page stores four digits
SETS = list(REFERENCE["judged"])


def value(shown):
    """The value of an entry, with or without an interval."""
    return shown[0] if isinstance(shown, list) else shown


@pytest.mark.parametrize("n", [25, 50, 100, 200, 500])
def test_expected_distances_by_number_equal_those_of_torch_fidelity(n):
    for column, theirs in REFERENCE["by number"][str(n)].items():
        assert cell("q1-table", n, column) == pytest.approx(theirs, abs=ROUNDED), column


@pytest.mark.parametrize("name", SETS)
def test_expected_measures_of_each_set_equal_those_of_torch_fidelity_prdc_and_monai(name):
    columns = expected_tables("generative")["q2"]["columns"]
    for column in columns:
        tolerance = 1e-4 if "MS-SSIM" in column else ROUNDED  # MONAI computes in single precision
        assert value(cell("q2", name, column)) == pytest.approx(REFERENCE["judged"][name][column], abs=tolerance), (
            column
        )


@pytest.mark.parametrize("name", SETS)
def test_expected_copy_checks_equal_those_of_scikit_learns_neighbours(name):
    for column in ("nearer to the training set [95 %]", "distance to training / to unseen"):
        assert value(cell("q3", name, column)) == pytest.approx(REFERENCE["judged"][name][column], abs=ROUNDED), column


@pytest.mark.parametrize("name", REFERENCE["trap"])
def test_expected_papers_equal_those_of_torch_fidelity(name):
    distance, floor = REFERENCE["trap"][name]
    assert cell("trap", name, "Fréchet distance") == pytest.approx(distance, abs=ROUNDED)
    assert cell("trap", name, "real against real, same number") == pytest.approx(floor, abs=ROUNDED)
    assert cell("trap", name, "excess") == pytest.approx(distance - floor, abs=2 * ROUNDED)


@pytest.mark.parametrize("k", [1, 5, 20, 100])
def test_expected_smallest_of_k_agrees_with_order_statistics(k):
    """2,000 choices against the exact expectation, whose spread is at most that of one checkpoint."""
    found = cell("best", k, "smallest of k, as reported")
    assert found == pytest.approx(
        REFERENCE["smallest of k"][str(k)], abs=4 * REFERENCE["spread of equal checkpoints"] / 2000**0.5
    )


def test_what_the_page_says_of_its_tables_is_in_them():
    distance = {name: cell("q2", name, "Fréchet") for name in SETS}
    kernel = {name: cell("q2", name, "KID [95 %]")[0] for name in SETS}
    lost, narrow = "no 7, 8, 9", "little variety"
    assert distance["copies of the training set"] < distance["real, spare"]
    assert (distance[narrow] > distance[lost], kernel[narrow] > kernel[lost]) == (True, False)
    assert cell("trap", "paper B: no 7, 8, 9, 500 images", "excess") > cell(
        "trap", "paper A: fair, 50 images", "excess"
    )
    assert cell("q1-table", 25, "Fréchet, real, spare") > cell("q1-table", 500, "Fréchet, blurred")
    assert cell("q1-table", 25, "Fréchet, fair") < cell("q1-table", 25, "Fréchet, real, spare")
    assert cell("best", 100, "the same checkpoint, new images") > 1.2 * cell("best", 100, "smallest of k, as reported")
