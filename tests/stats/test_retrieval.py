"""Recall at k over random pools: all pools listed, R's and scipy's hypergeometric distribution, properties."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from medrepro.stats import bootstrap
from medrepro.stats.retrieval import recall_at_k, recall_by_query

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "retrieval.json").read_text())


def over_all_pools(row, right, k, pool, ties="random"):
    """Every pool, and for equal similarities every place of the right item among them."""
    hits = []
    for others in itertools.combinations([i for i in range(len(row)) if i != right], pool - 1):
        closer = sum(row[i] > row[right] for i in others)
        tied = sum(row[i] == row[right] for i in others)
        places = {"random": range(tied + 1), "best": [0], "worst": [tied]}[ties]
        hits.append(np.mean([closer + place < k for place in places]))
    return np.mean(hits)


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=7).flatmap(
        lambda row: st.tuples(st.just(row), st.integers(0, len(row) - 1), st.integers(1, len(row)))
    ),
    st.integers(1, 7),
    st.sampled_from(["random", "best", "worst"]),
)
def test_expectation_matches_a_list_of_all_pools_with_ties(case, k, ties):
    row, right, pool = case
    k = min(k, pool)
    found = recall_by_query([row], [right], k=k, pool=pool, ties=ties)
    assert found[0] == pytest.approx(over_all_pools(row, right, k, pool, ties), abs=1e-12)


@pytest.mark.parametrize("ties", ["random", "best", "worst"])
@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda c: f"{len(c['similarity'][0])}-{c['pool']}-{c['k']}")
def test_expectation_matches_the_hypergeometric_distribution_of_r(case, ties):
    found = recall_by_query(case["similarity"], case["correct"], k=case["k"], pool=case["pool"], ties=ties)
    np.testing.assert_allclose(found, case["recall"][ties], rtol=1e-8, atol=1e-10)


def test_expectation_matches_scipys_hypergeometric_distribution_in_a_large_gallery():
    rng = np.random.default_rng(0)
    similarity, correct = rng.normal(size=(50, 5000)), rng.integers(0, 5000, 50)
    similarity[np.arange(50), correct] += 2
    closer = (similarity > similarity[np.arange(50), correct][:, None]).sum(axis=1)
    for k, pool in ((1, 100), (10, 1000), (5, 5000)):
        expected = hypergeom.cdf(k - 1, 4999, closer, pool - 1)
        np.testing.assert_allclose(
            recall_by_query(similarity, correct, k=k, pool=pool), expected, rtol=1e-8, atol=1e-12
        )


def test_a_pool_of_the_whole_gallery_is_plain_recall():
    rng = np.random.default_rng(1)
    similarity, correct = rng.normal(size=(40, 30)), rng.integers(0, 30, 40)
    first = np.argsort(-similarity, axis=1)[:, :5]
    expected = (first == correct[:, None]).any(axis=1).astype(float)
    np.testing.assert_allclose(recall_by_query(similarity, correct, k=5, pool=30), expected, atol=1e-9)


def test_a_collapsed_encoder_has_the_recall_of_chance():
    similarity = np.ones((8, 200))
    assert recall_by_query(similarity, np.arange(8), k=10, pool=100) == pytest.approx(0.1)
    assert recall_by_query(similarity, np.arange(8), k=10, pool=100, ties="best") == pytest.approx(1.0)
    assert recall_by_query(similarity, np.arange(8), k=10, pool=100, ties="worst") == pytest.approx(0.0)


@given(st.integers(0, 1000), st.integers(2, 12), st.integers(1, 12))
def test_recall_rises_with_k_falls_with_the_pool_and_ignores_monotone_transforms(seed, pool, k):
    rng = np.random.default_rng(seed)
    similarity, correct = rng.integers(0, 6, (9, 12)) / 2, rng.integers(0, 12, 9)
    k = min(k, pool)
    found = recall_by_query(similarity, correct, k=k, pool=pool)
    assert np.all((found >= 0) & (found <= 1))
    np.testing.assert_allclose(recall_by_query(np.exp(similarity), correct, k=k, pool=pool), found)
    if k < pool:
        assert np.all(recall_by_query(similarity, correct, k=k + 1, pool=pool) >= found - 1e-12)
        assert np.all(recall_by_query(similarity, correct, k=k, pool=pool - 1) >= found - 1e-12)
    else:
        np.testing.assert_allclose(found, 1)


def test_interval_resamples_queries_in_clusters():
    rng = np.random.default_rng(2)
    similarity, correct = rng.normal(size=(60, 40)), rng.integers(0, 40, 60)
    patient = np.arange(60) // 3
    each = recall_by_query(similarity, correct, k=3, pool=20)
    for units, n, unit in ((None, 60, "query"), (patient, 20, "cluster")):
        found = recall_at_k(similarity, correct, k=3, pool=20, units=units, n_boot=100, seed=4)
        slow = bootstrap(np.mean, each, units=units, n_boot=100, seed=4)
        np.testing.assert_allclose([found.value, found.low, found.high], [slow.value, slow.low, slow.high], rtol=1e-12)
        assert (found.n, found.unit) == (n, unit)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"similarity": np.ones(4)}, "similarity must have 2 dimension"),
        ({"similarity": np.full((2, 4), math.nan)}, "similarity must not hold nan"),
        ({"similarity": np.ones((0, 4)), "correct": []}, "similarity must have shape"),
        ({"correct": [0]}, "correct must hold one whole number for each of 2 queries"),
        ({"correct": [0.0, 1.0]}, "correct must hold one whole number"),
        ({"correct": [0, 4]}, "correct must lie between 0 and 3, got 0 to 4"),
        ({"correct": [-1, 0]}, "correct must lie between 0 and 3"),
        ({"pool": 5}, "pool must be a whole number from 1 to 4, got 5"),
        ({"pool": 2.0}, "pool must be a whole number"),
        ({"k": 0}, "k must be a whole number from 1 to 3"),
        ({"k": 4}, "k must be a whole number from 1 to 3"),
        ({"ties": "none"}, "ties must be one of 'random', 'best', 'worst'"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"similarity": np.ones((2, 4)), "correct": [0, 1], "k": 1, "pool": 3, **changes}
    with pytest.raises(ValueError, match=message):
        recall_by_query(**arguments)
    with pytest.raises(ValueError, match=message):
        recall_at_k(**arguments, seed=0)
