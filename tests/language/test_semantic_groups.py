"""Grouping of answers by meaning: order, direction, entropies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrepro.language.entailment import OracleJudge, StringJudge
from medrepro.language.semantic_groups import (
    group_all,
    group_answers,
    majority_answers,
    order_effect,
    rand_agreement,
    semantic_entropies,
    string_entropies,
)
from medrepro.phantoms.radiology_terms import QUESTIONS, all_phrases, equivalent

Q = QUESTIONS["abnormality"]
some_answers = st.lists(st.sampled_from(all_phrases("abnormality")), min_size=1, max_size=15)


class Table:
    """Entails what its table of ordered pairs says, and remembers what it was asked."""

    name = "table"

    def __init__(self, *pairs):
        self.pairs, self.asked = set(pairs), []

    def entails(self, asked):
        self.asked += [(a, b) for _, a, b in asked]
        return np.array([(a, b) in self.pairs for _, a, b in asked], dtype=bool)


def both(a, b):
    return ((a, b), (b, a))


@given(some_answers)
def test_the_oracle_groups_exactly_the_equivalent_answers(answers):
    labels = group_answers(Q, answers, OracleJudge())
    for i, a in enumerate(answers):
        for j, b in enumerate(answers):
            assert (labels[i] == labels[j]) == equivalent(a, b)


@given(some_answers)
def test_one_direction_never_makes_more_groups_and_meaning_never_more_than_wording(answers):
    two_way = group_answers(Q, answers, OracleJudge())
    assert group_answers(Q, answers, OracleJudge(), bidirectional=False).max() <= two_way.max()
    assert semantic_entropies([two_way])[0] <= string_entropies([answers])[0]


@given(some_answers)
def test_asking_all_pairs_at_once_gives_the_same_groups(answers):
    np.testing.assert_array_equal(group_all([Q], [answers], OracleJudge())[0], group_answers(Q, answers, OracleJudge()))


def test_both_directions_are_needed_and_the_new_answer_is_asked_first():
    judge = Table(("simple cyst", "cyst"))
    assert group_answers(Q, ["cyst", "simple cyst"], judge).tolist() == [0, 1]
    assert judge.asked == [("simple cyst", "cyst"), ("cyst", "simple cyst")]
    assert group_answers(Q, ["cyst", "simple cyst"], judge, bidirectional=False).tolist() == [0, 0]
    assert group_answers(Q, ["simple cyst", "cyst"], judge, bidirectional=False).tolist() == [0, 1]


def test_only_the_first_member_of_a_group_is_compared():
    """b joins a, c says the same as b but not as a: it is left alone, in this order."""
    judge = Table(*both("a", "b"), *both("b", "c"))
    assert group_answers(Q, ["a", "b", "c"], judge).tolist() == [0, 0, 1]
    assert group_answers(Q, ["b", "a", "c"], judge).tolist() == [0, 0, 0]


def test_the_largest_group_is_tried_first():
    judge = Table(*both("x", "a"), *both("x", "b"))
    assert group_answers(Q, ["a", "b", "b", "x"], judge).tolist() == [0, 1, 1, 1]
    assert group_answers(Q, ["a", "b", "x"], judge).tolist() == [0, 1, 0]


def test_equal_texts_are_not_asked():
    judge = Table()
    assert group_answers(Q, ["a", "a", "a"], judge).tolist() == [0, 0, 0]
    assert judge.asked == []
    with pytest.raises(ValueError, match="answers must hold at least one text"):
        group_answers(Q, [], judge)


def test_thresholds_lie_just_below_an_even_split_into_two_and_four():
    two, four = [0] * 8 + [1] * 8, list(range(4)) * 4
    entropies = semantic_entropies([two, four, [0] * 15, range(15)])
    np.testing.assert_allclose(entropies, [math.log10(2), math.log10(4), 0, math.log10(15)], atol=1e-5)
    assert 0.3 < entropies[0] < 0.3011
    assert 0.6 < entropies[1] < 0.6021
    assert semantic_entropies([two], base=2)[0] == 1


@given(st.permutations([0] * 12 + [1] * 2 + [2]))
def test_equal_group_sizes_give_bitwise_equal_entropies(labels):
    assert semantic_entropies([labels])[0] == semantic_entropies([[0] + [1] * 2 + [2] * 12])[0]


def test_order_matters_for_a_judge_that_is_not_transitive_and_not_for_the_oracle():
    judge = Table(*both("a", "b"), *both("b", "c"))
    effect = order_effect([Q], [["a", "b", "c"]], judge, n_orders=30, seed=0)
    assert effect.spread[0] > 0.2
    assert effect.changed(0.1).tolist() == [True]
    assert len(judge.asked) == len(set(judge.asked)) == 6
    phrases = [list(all_phrases("abnormality"))[:15]]
    assert order_effect([Q], phrases, OracleJudge(), n_orders=5, seed=0).spread[0] == 0
    with pytest.raises(ValueError, match="n_orders must be >= 1, got 0"):
        order_effect([Q], phrases, judge, n_orders=0, seed=0)


def test_the_majority_answer_is_the_commonest_wording_of_the_largest_group():
    answers = ["cyst", "mass", "tumour", "tumour", "neoplasm", "cyst", "cyst"]
    groups = group_answers(Q, answers, OracleJudge())
    assert majority_answers([answers], [groups]) == ["tumour"]


def test_agreement_with_the_truth_is_one_for_equal_groupings_and_falls_with_split_groups():
    rng = np.random.default_rng(0)
    samples = [list(rng.choice(all_phrases("abnormality"), 15)) for _ in range(30)]
    truth = group_all([Q] * 30, samples, OracleJudge())
    relabelled = [labels.max() - labels for labels in truth]
    assert rand_agreement(relabelled, truth, n_boot=50, seed=0).value == 1
    split = rand_agreement(group_all([Q] * 30, samples, StringJudge()), truth, n_boot=50, seed=0)
    assert split.value < 0.9
    assert split.n == 30
    with pytest.raises(ValueError, match="equally many, >= 1, got 1 and 2"):
        rand_agreement(truth[:1], truth[:2], seed=0)
