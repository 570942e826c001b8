"""Expected tables of the page on ROC against R (pROC, glm, boot), from tests/reference/roc_pages.R."""

from __future__ import annotations

import json
from functools import partial

import pytest
from handbook import TESTS, entry, expected_tables

REFERENCE = json.loads((TESTS / "reference" / "roc_pages.json").read_text(encoding="utf-8"))["roc"]
SCORES = ("model", "diameter", "malignancy grade", "spiculation grade")
PAIRS = [f"{a} - {b}" for i, a in enumerate(SCORES) for b in SCORES[i + 1 :]]
DIGITS = 6e-5  # the page's tables hold four decimals
cell = partial(entry, "roc")


def test_the_same_nodules_were_counted():
    for part, expected in zip(("train", "validation", "test"), REFERENCE["counts"].values(), strict=True):
        assert [cell("counts", part, c) for c in ("patients", "nodules", "called malignant")] == expected


@pytest.mark.parametrize(("k", "score"), enumerate(SCORES))
def test_clustered_intervals_equal_obuchowskis_written_out_in_r(k, score):
    """The model is fitted anew by R's glm, so that its probabilities are checked too."""
    assert cell("auroc", score, "AUROC, DeLong") == pytest.approx(REFERENCE["auroc"][k], abs=DIGITS)
    assert cell("auroc", score, "logit scale") == pytest.approx(REFERENCE["logit"][k], abs=DIGITS)
    value, low, high = cell("auroc", score, "average precision")
    assert value == pytest.approx(REFERENCE["average_precision"][k], abs=DIGITS)
    assert low < value < high


@pytest.mark.parametrize("score", SCORES)
def test_bootstrap_over_patients_agrees_with_the_closed_form(score):
    value, low, high = cell("auroc", score, "AUROC, DeLong")
    # Quantiles of 1000 resamples: error of about 0.05 of the width in the tails.
    assert cell("auroc", score, "bootstrap") == pytest.approx([value, low, high], abs=0.1 * (high - low))


@pytest.mark.parametrize(("k", "pair"), enumerate(PAIRS))
def test_paired_differences_equal_those_of_r(k, pair):
    *difference, z = REFERENCE["pairs"][k]
    assert cell("pairs", pair, "AUROC difference") == pytest.approx(difference, abs=DIGITS)
    assert cell("pairs", pair, "z") == pytest.approx(z, abs=DIGITS)


@pytest.mark.parametrize("score", SCORES[1:])
def test_intervals_with_and_without_patients_equal_those_of_r(score):
    expected = REFERENCE["clustered"][score]
    assert cell("clusters", score, "nodules as patients") == pytest.approx(expected["naive"], abs=DIGITS)
    assert cell("clusters", score, "patients (Obuchowski)") == pytest.approx(expected["patients"], abs=DIGITS)


def test_labels_and_their_mean_agree_with_r():
    for name, value in REFERENCE["labels"].items():
        assert cell("labels", name, "AUROC, closed form")[0] == pytest.approx(value, abs=DIGITS)
    value, low, high = REFERENCE["macro"]  # the interval from 400 resamples of patients by R's boot
    for column in ("AUROC, closed form", "bootstrap"):
        found = cell("labels", "mean of the four", column)
        assert found[0] == pytest.approx(value, abs=DIGITS)
        assert found[1:] == pytest.approx([low, high], abs=0.12 * (high - low))


@pytest.mark.parametrize(("k", "score"), [(0, "model"), (1, "diameter")])
def test_operating_points_equal_a_search_in_r(k, score):
    columns = ("threshold from validation", "its sensitivity", "its specificity", "its PPV")
    found = [cell("operating", score, c) for c in columns]
    found = [f[0] if isinstance(f, list) else f for f in found]
    assert found == pytest.approx(REFERENCE["threshold"][score], abs=DIGITS)
    partial_area = cell("operating", score, "partial AUROC (spec. 0.9 to 1)")[0]
    assert partial_area == pytest.approx(REFERENCE["partial"][k], abs=DIGITS)
    assert cell("operating", score, "sensitivity at spec. 0.9")[0] == pytest.approx(REFERENCE["point"][k], abs=DIGITS)


def test_calibration_equals_that_of_glm():
    rows = {
        "Brier score of the model": "brier",
        "Brier score of predicting the training share": "brier_share",
        "expected calibration error, 10 bins": "ece",
        "calibration intercept": "intercept",
        "calibration slope": "slope",
    }
    for row, name in rows.items():
        assert cell("calibration", row, "test part")[0] == pytest.approx(REFERENCE[name], abs=DIGITS)


def test_what_the_text_says_about_the_trap_is_in_its_table():
    """With 20 patients: 0.16 of Youden's index, and an AUROC of 0.60 for pure chance."""
    assert round(cell("trap-table", 20, "J gained by luck"), 2) == 0.16
    assert round(cell("trap-table", 20, "AUROC of chance, turned round"), 2) == 0.60
    gains = [[cell("trap-table", n, c) for n in (20, 60, 180)] for c in ("J gained by luck", "AUROC gained by luck")]
    assert all(a > b > c > 0 for a, b, c in gains)
    # Of 400 studies: mean of |AUROC - 1/2| is sqrt(2 / pi) of its standard deviation, about 0.075 with 60 patients.
    assert cell("trap-table", 60, "AUROC of chance") == pytest.approx(0.5, abs=4 * 0.075 / 20)


def test_undefined_cases_hold_no_number_that_could_be_taken_for_one():
    rows = expected_tables("roc")["edges"]
    answers = dict(zip(rows["index"], rows["data"], strict=True))
    assert answers["no negative"][:3] == [None, None, None]
    assert answers["a single positive"][1:3] == [None, None]
    assert answers["score upside down"][0] == 0.0
    assert all(row[3] for row in answers.values())
