"""Target and classification functions: definitions, inversion, ties, and agreement with the authors' code."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medrepro.training.ordinal import (
    CLASS_FUNCTIONS,
    ENCODINGS,
    decode,
    encode,
    excluded_pairs,
    inversion,
    target_table,
    usable_functions,
)

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "ordinal.json").read_text())["encodings"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_targets_are_those_of_the_published_code(encoding):
    # The published tables are in single precision.
    np.testing.assert_allclose(target_table(encoding), REFERENCE[encoding]["targets"], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("function", CLASS_FUNCTIONS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_grades_are_those_of_the_published_code(encoding, function):
    theirs = REFERENCE[encoding]
    assert decode(theirs["targets"], encoding, function).tolist() == theirs["of the targets"][function]
    assert decode(theirs["outputs"], encoding, function).tolist() == theirs["of the outputs"][function]


def test_the_soft_progress_bar_is_half_at_its_own_grade():
    assert target_table("soft_progress_bar")[2].tolist() == [1, 1, 0.5, 0, 0]


def test_gaussian_targets_are_densities_and_not_probabilities():
    assert target_table("gaussian")[2].max() == pytest.approx(1 / math.sqrt(2 * math.pi))
    assert (target_table("gaussian").sum(axis=1) < 1).all()


@given(n=st.integers(2, 12), encoding=st.sampled_from(list(ENCODINGS)))
@settings(deadline=None)
def test_every_usable_function_gives_back_every_grade(n, encoding):
    functions = usable_functions(encoding, n)
    assert "l1_distance" in functions
    for function in functions:
        assert decode(encode(np.arange(n), encoding, n), encoding, function, n).tolist() == list(range(n))


@given(
    n=st.integers(2, 9),
    encoding=st.sampled_from(list(ENCODINGS)),
    seed=st.integers(0, 10_000),
)
@settings(deadline=None)
def test_a_usable_pair_survives_a_small_disturbance_of_the_outputs(n, encoding, seed):
    noise = np.random.default_rng(seed).uniform(-1e-4, 1e-4, target_table(encoding, n).shape)
    for function in usable_functions(encoding, n):
        assert decode(target_table(encoding, n) + noise, encoding, function, n).tolist() == list(range(n))


@given(
    outputs=st.lists(st.floats(-1e300, 1e300), min_size=5, max_size=5),
    function=st.sampled_from(["arg_max", "l1_distance", "dot_product"]),
)
@settings(deadline=None)
def test_any_finite_output_gets_a_grade_in_range(outputs, function):
    assert 0 <= decode(outputs, "gaussian", function) <= 4


def test_eleven_of_twenty_four_pairs_are_excluded_one_for_a_tie_only():
    pairs = excluded_pairs()
    assert {(p.encoding, p.class_function) for p in pairs if p.exact} == {("progress_bar", "dot_product")}
    assert len(pairs) == 11
    assert all(pair.reason for pair in pairs)


def test_the_sum_of_the_soft_progress_bar_merges_grades_by_rounding_halves_to_even():
    assert inversion("soft_progress_bar", "sum").decoded == (0, 2, 2, 4, 4)


def test_next_to_the_zero_target_the_dot_product_names_another_grade():
    assert inversion("progress_bar", "dot_product").exact
    assert decode([0.0, 0.0, 0.0, 0.0], "progress_bar", "dot_product") == 0
    assert decode([1e-6, 0.0, 0.0, 0.0], "progress_bar", "dot_product") == 1
    assert not inversion("progress_bar", "dot_product").usable


def test_ties_go_to_the_lowest_grade_and_outputs_outside_the_range_to_the_end():
    assert decode([[0.125], [7.0], [-7.0]], "continuous", "l1_distance").tolist() == [0, 4, 0]
    assert decode([[0.1, 0.7, 0.7, 0, 0]], "one_hot", "arg_max").tolist() == [1]
    assert decode([[-0.3, -0.2, -0.1, -0.5, -0.1]], "one_hot", "l1_distance").tolist() == [0]
    assert decode([[5, 5, 5, 5], [-5, 0, 0, 0]], "progress_bar", "sum").tolist() == [4, 0]


def test_leading_axes_are_kept():
    grades = np.arange(30).reshape(2, 3, 5) % 5
    vectors = encode(grades, "binary_number")
    assert vectors.shape == (2, 3, 5, 3)
    np.testing.assert_array_equal(decode(vectors, "binary_number", "l1_distance"), grades)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: target_table("thermometer"), "encoding must be one of one_hot"),
        (lambda: target_table("one_hot", 1), "n_grades must be a whole number >= 2, got 1"),
        (lambda: encode([0, 5], "one_hot"), "grades must lie in 0 to 4, got 0 to 5"),
        (lambda: encode([0.5], "one_hot"), "grades must be whole numbers"),
        (lambda: encode([math.nan], "one_hot"), "grades must be whole numbers"),
        (lambda: decode([1, 2], "one_hot", "arg_max"), r"outputs must be \(\.\.\., 5\) for one_hot, got \(2,\)"),
        (lambda: decode([math.nan] * 5, "one_hot", "arg_max"), "outputs must be finite, got 5"),
        (lambda: decode([0.0] * 5, "one_hot", "vote"), "class_function must be one of arg_max"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
