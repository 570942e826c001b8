"""Expected tables of the page on reader agreement against other software."""

from __future__ import annotations

import json
from functools import partial

import pytest
from handbook import TESTS, entry

REFERENCE = json.loads((TESTS / "reference" / "reader_agreement.json").read_text(encoding="utf-8"))
cell = partial(entry, "reader_agreement")


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
