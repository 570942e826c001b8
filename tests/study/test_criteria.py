"""Every verdict rule at its boundary."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrepro.stats.results import Estimate
from medrepro.study.criteria import Check, Criterion, parse_criterion
from medrepro.study.errors import InputError


def interval(low: float, high: float, level: float = 0.95) -> Estimate:
    return Estimate((low + high) / 2, low, high, level=level, n=10, unit="patient")


@pytest.mark.parametrize(
    ("op", "bound", "low", "high", "status"),
    [
        ("greater", 0.0, 0.1, 0.2, "holds"),
        ("greater", 0.0, 0.0, 0.2, "undecided"),  # bound touched from above: 0 is not greater than 0
        ("greater", 0.0, -0.2, 0.0, "fails"),  # no value of the interval is greater than 0
        ("greater", 0.0, -0.2, -0.1, "fails"),
        ("greater", 0.0, -0.1, 0.1, "undecided"),
        ("greater", -0.02, -0.019, 0.01, "holds"),
        ("greater", -0.02, -0.02, 0.01, "undecided"),
        ("less", 1.2, 1.0, 1.19, "holds"),
        ("less", 1.2, 1.0, 1.2, "undecided"),
        ("less", 1.2, 1.2, 1.3, "fails"),
        ("less", 1.2, 1.1, 1.3, "undecided"),
        ("within", (-0.03, 0.03), -0.03, 0.03, "holds"),  # ends included
        ("within", (-0.03, 0.03), -0.031, 0.0, "undecided"),
        ("within", (-0.03, 0.03), 0.03, 0.05, "undecided"),
        ("within", (-0.03, 0.03), 0.0301, 0.05, "fails"),
        ("within", (-0.03, 0.03), -0.05, -0.0301, "fails"),
        ("within", (-0.03, 0.03), -0.05, 0.05, "undecided"),
        ("greater", 0.0, 0.1, math.inf, "holds"),
        ("greater", 0.0, -math.inf, math.inf, "undecided"),
    ],
)
def test_the_whole_interval_decides(op, bound, low, high, status):
    criterion = Criterion("", "q", op, bound)
    value = low if math.isinf(high) else (low + high) / 2
    assert criterion.judge(Estimate(0.0 if math.isinf(value) else value, low, high))[0] == status


@pytest.mark.parametrize(
    "estimate",
    [
        Estimate(math.nan, math.nan, math.nan, note="one class only"),
        Estimate(0.9, math.nan, 0.95),
        Estimate(0.9, 0.8, math.nan),
    ],
)
def test_nan_is_undecided_and_says_why(estimate):
    status, reason = Criterion("", "q", "greater", 0.0).judge(estimate)
    assert status == "undecided"
    assert reason.startswith("undefined")
    assert estimate.note in reason


def test_an_interval_without_width_is_undecided_even_far_from_the_bound():
    assert Criterion("", "q", "greater", 0.0).judge(interval(1.0, 1.0)) == ("undecided", "the interval has no width")


def test_an_interval_of_another_level_decides_nothing():
    status, reason = Criterion("", "q", "greater", 0.0, level=0.975).judge(interval(0.5, 0.6))
    assert status == "undecided"
    assert "level 0.95" in reason
    assert "0.975" in reason


@given(st.floats(-5, 5), st.floats(0.001, 5), st.floats(-5, 5))
def test_greater_and_less_mirror_each_other(low, width, bound):
    above = Criterion("", "q", "greater", bound).judge(interval(low, low + width))[0]
    mirrored = Criterion("", "q", "less", -bound).judge(interval(-low - width, -low))[0]
    assert above == mirrored


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("AUC > 0.5", "must be a mapping"),
        ({"quantity": "q", "op": "greater"}, "lacks 'bound'"),
        ({"quantity": "q", "op": "above", "bound": 0}, "unknown op 'above'"),
        ({"quantity": "q", "op": "greater", "bound": "0"}, "bound must be a finite number"),
        ({"quantity": "q", "op": "greater", "bound": True}, "bound must be a finite number"),
        ({"quantity": "q", "op": "greater", "bound": math.nan}, "bound must be a finite number"),
        ({"quantity": "q", "op": "within", "bound": 0.1}, r"must be \[low, high\]"),
        ({"quantity": "q", "op": "within", "bound": [0.1, -0.1]}, r"must be \[low, high\]"),
        ({"quantity": "q", "op": "greater", "bound": 0, "level": 95}, "level must be between 0 and 1"),
        ({"quantity": "q", "op": "greater", "bound": 0, "margin": 1}, "unknown key of a criterion 'margin'"),
        ({"all": [{"id": "a", "quantity": "q", "op": "greater", "bound": 0}]}, "at least two parts"),
        ({"all": [{"quantity": "q", "op": "less", "bound": 0}] * 2}, "needs an id of its own"),
        ({"check": "x", "op": "less"}, "a check has no other keys"),
    ],
)
def test_a_wrong_criterion_is_named(raw, message):
    with pytest.raises(InputError, match=message):
        parse_criterion(raw, "34_ccan: claim C1")


def test_a_family_overrides_the_level_of_every_part():
    raw = {"all": [{"id": i, "quantity": "q", "op": "greater", "bound": 0} for i in "ab"]}
    assert [part.level for part in parse_criterion(raw, "x", level=0.99)] == [0.99, 0.99]
    assert parse_criterion({"check": "a count"}, "x") == (Check("", "a count"),)
