"""Entropy of answers: R's vegan, scipy, values by hand, the grouping inequality."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from medrepro.stats.entropy import discrete_semantic_entropy, string_entropy

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "retrieval.json").read_text())["entropies"]
answers = st.lists(st.sampled_from(["yes", "Yes", "no", "no ", "maybe", ""]), min_size=1, max_size=30)


def test_entropy_matches_values_by_hand():
    assert discrete_semantic_entropy([0, 0, 1, 1]) == pytest.approx(math.log(2))
    assert discrete_semantic_entropy([0, 0, 1, 1], base=2) == pytest.approx(1.0)
    assert discrete_semantic_entropy(["a", "a", "a", "b"], base=2) == pytest.approx(2 - 0.75 * math.log2(3))
    assert string_entropy(["No.", "no.", "No."], base=2) == pytest.approx(math.log2(3) - 2 / 3)


@pytest.mark.parametrize("name", REFERENCE)
def test_entropy_matches_vegan_of_r(name):
    case = REFERENCE[name]
    assert discrete_semantic_entropy(case["answers"]) == pytest.approx(case["nats"], abs=1e-12)
    assert discrete_semantic_entropy(case["answers"], base=2) == pytest.approx(case["bits"], abs=1e-12)
    assert string_entropy([str(a) for a in case["answers"]]) == pytest.approx(case["nats"], abs=1e-12)


def test_one_meaning_has_no_entropy_and_all_different_have_the_most():
    assert discrete_semantic_entropy(["effusion"] * 7) == 0.0
    assert math.copysign(1.0, discrete_semantic_entropy([3])) == 1.0
    assert discrete_semantic_entropy(range(10)) == pytest.approx(math.log(10))


@given(answers, st.sampled_from([2, math.e, 10]))
def test_entropy_matches_scipy_and_ignores_order_and_labels(drawn, base):
    counts = np.unique(drawn, return_counts=True)[1]
    found = string_entropy(drawn, base=base)
    assert found == pytest.approx(entropy(counts, base=base), abs=1e-12)
    assert 0 <= found <= math.log(len(drawn), base) + 1e-12
    assert string_entropy([f"the {answer}" for answer in reversed(drawn)], base=base) == pytest.approx(found)


@given(answers)
def test_grouping_by_meaning_never_raises_the_entropy(drawn):
    assert discrete_semantic_entropy([answer.strip().lower() for answer in drawn]) <= string_entropy(drawn) + 1e-12


def test_strings_that_differ_after_a_null_character_or_in_blanks_are_different():
    assert string_entropy(["a", "a\x00"]) == pytest.approx(math.log(2))
    assert string_entropy(["a", "a "]) == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: discrete_semantic_entropy([]), "meanings must have shape"),
        (lambda: discrete_semantic_entropy([[0, 1]]), r"meanings must have shape \(n,\)"),
        (lambda: discrete_semantic_entropy([0.0, math.nan]), "meanings must not have missing values, got 1 of 2"),
        (lambda: discrete_semantic_entropy(["a", None]), "meanings must not have missing values"),
        (lambda: discrete_semantic_entropy([0, 1], base=1), "base must be a number above 1, got 1"),
        (lambda: discrete_semantic_entropy([0, 1], base=math.nan), "base must be a number above 1"),
        (lambda: string_entropy([]), "answers must hold at least one string"),
        (lambda: string_entropy("yes"), "answers must be a sequence of strings, got 'yes'"),
        (lambda: string_entropy(["yes", 1]), "answers must be a sequence of strings"),
        (lambda: string_entropy(["yes"], base="2"), "base must be a number above 1, got '2'"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
