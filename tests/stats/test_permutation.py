"""Permutation tests against R: coin's exact two-sample test and an enumeration of all sign flips; bad input."""

import json
import math
from pathlib import Path

import pytest

from medrepro.stats import permutation_test

R = json.loads((Path(__file__).parents[1] / "reference" / "rank_tests.json").read_text())["permutation"]


def test_two_samples_match_coins_exact_test():
    found = permutation_test(R["a"], R["b"], paired=False, seed=0)
    assert "all 1716 assignments" in found.method
    assert found.p_value == pytest.approx(R["two_samples"][0], rel=1e-12)


def test_pairs_match_all_sign_flips_in_r():
    found = permutation_test(R["a"], R["paired"], paired=True, seed=0)
    assert "all 128 assignments" in found.method
    assert found.p_value == pytest.approx(R["sign_flips"][0], rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: permutation_test([1, math.inf], [1, 2], paired=True, seed=0), "a must not hold infinite values"),
        (lambda: permutation_test([1, 2], [math.nan, 1], paired=False, seed=0), "b must not hold nan, got 1 of 2"),
        (lambda: permutation_test([], [1], paired=False, seed=0), "a must hold real numbers of shape"),
        (lambda: permutation_test([1], [2], paired=True, units=[1, 2], seed=0), "units must have as many cases"),
        (lambda: permutation_test([1], [2], paired=True, n_permutations=1, seed=0), "n_permutations must be"),
        (lambda: permutation_test([1], [2], paired=True, seed=-1), "seed must be a whole number"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
