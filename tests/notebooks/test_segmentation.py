"""Expected tables of the page on segmentation against other software."""

from __future__ import annotations

import json
from functools import partial

import pytest
from handbook import TESTS, entry

REFERENCE = json.loads((TESTS / "reference" / "segmentation_page.json").read_text(encoding="utf-8"))
cell = partial(entry, "segmentation")
# Gaps of one outline in a hundred are closed by another rule of drawing a line: some voxels of some masks differ.
CLOSE = 2e-4
MEAN = "mean over nodules [95 %]"


@pytest.mark.parametrize("name", REFERENCE["agreement"])
def test_expected_agreement_equals_that_of_medpy_on_masks_of_scikit_image(name):
    theirs = REFERENCE["agreement"][name]
    value, low, high = cell("q1-table", name, MEAN)
    assert value == pytest.approx(theirs["mean"], abs=CLOSE)
    columns = ("5 % of nodules below", "median", "5 % of nodules above")
    assert [cell("q1-table", name, column) for column in columns] == pytest.approx(theirs["quantiles"], abs=5e-4)
    # Two bootstraps with other draws: within a tenth of the width.
    assert (low, high) == pytest.approx(tuple(theirs["interval"]), abs=0.1 * (high - low))


def test_monai_finds_the_same_distances():
    assert REFERENCE["largest difference of MONAI's distances"] < 1e-5


def test_expected_counts_equal_those_of_another_search():
    assert cell("loaded", "nodules outlined by four readers", "number") == REFERENCE["nodules"]
    assert cell("loaded", "patients", "number") == REFERENCE["patients"]


def test_expected_agreement_with_the_majority_equals_that_of_medpy():
    found = cell("ceiling", "a reader and the majority of the others", "mean Dice [95 %]")[0]
    assert found == pytest.approx(REFERENCE["one reader against the majority of the others"], abs=CLOSE)
    gain = cell("ceiling", "gain, paired by nodule", "mean Dice [95 %]")
    assert gain[0] == pytest.approx(found - cell("q1-table", "Dice", MEAN)[0], abs=2e-4)


@pytest.mark.parametrize("row", range(5))
def test_expected_agreement_by_size_equals_that_of_medpy(row):
    names = ["below 6 mm", "6 to 8 mm", "8 to 10 mm", "10 to 15 mm", "15 mm or more"]
    theirs = REFERENCE["by size"][row]
    assert cell("q2", names[row], "nodules") == theirs["nodules"]
    found = [cell("q2", names[row], column)[0] for column in ("Dice", "ASSD, mm", "HD95, mm")]
    assert found == pytest.approx(theirs["means"], abs=CLOSE)


def test_expected_mistakes_of_the_voxel_size_equal_those_of_medpy():
    rows = [
        "right: distance between slices, pixel, pixel",
        "thickness taken for the distance between slices",
        "no spacing given: voxels called millimetres",
        "order of axes reversed",
    ]
    found = [cell("trap-table", row, "mean HD95, “mm”")[0] for row in rows]
    assert found == pytest.approx(REFERENCE["voxel sizes"], abs=2e-3)


def test_expected_dice_of_slices_equals_that_of_medpy_under_every_rule():
    rows = [
        "both empty left out, one empty 0",
        "both empty 1, one empty 0 (this library)",
        "both empty 0, one empty 0",
        "any empty left out",
    ]
    assert [cell("empty-table", row, "mean Dice")[0] for row in rows] == pytest.approx(REFERENCE["slices"], abs=CLOSE)


def test_expected_effect_of_the_rule_of_filling_equals_that_of_scikit_image():
    theirs = REFERENCE["outline counted in"]
    for k, row in enumerate(("outline outside (rule of the collection)", "outline counted in")):
        assert cell("rule", row, "Dice")[0] == pytest.approx(theirs["every fourth"][k], abs=CLOSE)
        assert cell("rule", row, "median volume, mm³") == pytest.approx(theirs["median volumes"][k], rel=1e-3)
