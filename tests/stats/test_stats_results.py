"""The result types: printing, limits, tables and back."""

import json
import math

import pytest

from medrepro.stats import Comparison, Estimate


def test_estimate_prints_the_clinical_form():
    assert str(Estimate(0.938, 0.9187, 0.9612, n=651)) == "0.94 [0.92, 0.96], n = 651"
    assert str(Estimate(0.0123, -0.004, 0.03, n=1200, unit="patient")).endswith("n = 1,200 patients")
    assert str(Estimate(math.nan, math.nan, math.nan)).startswith("nan [nan, nan]")


def test_comparison_prints_small_and_undefined_p():
    difference = Estimate(0.1, 0.05, 0.15, n=10)
    assert str(Comparison(difference, 5, 1e-7, -7, "z")).endswith("p < 0.001")
    assert str(Comparison(difference, 2, 0.0456, -1.3, "z")).endswith("p = 0.046")
    assert str(Comparison(difference, math.nan, math.nan, math.nan, "z")).endswith("p undefined")


def test_estimate_survives_json():
    rows = [
        Estimate(0.5, 0.4, 0.6, 0.9, 12, "patient", "bootstrap", 1000, 3, "a note", 5, 7),
        Estimate(math.inf, 1.0, math.inf, n=3),
        Estimate(-2.0, -math.inf, 0.0, n=3),
    ]
    for row in rows:
        assert Estimate.from_dict(json.loads(json.dumps(row.to_dict(), allow_nan=False))) == row
    undefined = Estimate.from_dict(Estimate(math.nan, math.nan, math.nan, note="why").to_dict())
    assert undefined.undefined
    assert undefined.note == "why"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"value": 0, "low": 1, "high": 0}, "low must be <= high"),
        ({"value": 0, "low": 0, "high": 0, "level": 95}, "level must be between 0 and 1"),
        ({"value": 0, "low": 0, "high": 0, "n": -1}, "n must be >= 0"),
    ],
)
def test_impossible_estimates_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Estimate(**fields)
