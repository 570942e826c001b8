"""Splits by patient: disjoint for every adapter and seed, in proportion, and independent of the order of rows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medrepro.data import DataError
from medrepro.data.splitting import assert_disjoint, folds_by_patient, published_split, split_by_patient
from tiny_image_sets import LOADERS

THIRDS = {"train": 0.7, "val": 0.1, "test": 0.2}
many_ids = st.lists(st.integers(0, 60).map(str), min_size=30, max_size=200).filter(lambda ids: len(set(ids)) >= 20)


@pytest.mark.parametrize("name", LOADERS)
def test_no_patient_of_any_adapter_is_on_two_sides(name, tmp_path):
    data = LOADERS[name](tmp_path)
    for seed in range(20):
        parts = split_by_patient(data, {"train": 0.5, "test": 0.5}, seed=seed)
        sides = [set(data.patient_id[rows]) for rows in parts.values()]
        assert not sides[0] & sides[1]
        assert sorted(np.concatenate(list(parts.values()))) == list(range(len(data)))
        folds = folds_by_patient(data, 2, seed=seed)
        assert all(len(set(folds[data.patient_id == patient])) == 1 for patient in set(data.patient_id))


@pytest.mark.parametrize("name", LOADERS)
def test_the_published_parts_of_any_adapter_share_no_patient(name, tmp_path):
    data = LOADERS[name](tmp_path)
    if (data.split == "").all():
        with pytest.raises(DataError, match="its publisher gives no parts"):
            published_split(data)
        return
    parts = published_split(data)
    counts = Counter(patient for rows in parts.values() for patient in set(data.patient_id[rows]))
    assert max(counts.values()) == 1
    assert (
        len(parts["test" if "test" in parts else "val"]) == (data.split == ("test" if "test" in parts else "val")).sum()
    )


@settings(max_examples=60, deadline=None)
@given(ids=many_ids, seed=st.integers(0, 2**32 - 1))
def test_splits_are_disjoint_complete_and_have_their_share_of_patients(ids, seed):
    patients = np.array(ids)
    parts = split_by_patient(patients, THIRDS, seed=seed)
    n = len(set(ids))
    for name, rows in parts.items():
        assert abs(len(set(patients[rows])) - THIRDS[name] * n) <= 1
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(ids)))
    assert_disjoint(parts, patients)


@settings(max_examples=40, deadline=None)
@given(ids=many_ids, seed=st.integers(0, 1000), order=st.randoms(use_true_random=False))
def test_equal_seeds_give_equal_splits_whatever_the_order_of_the_rows(ids, seed, order):
    strata = np.array([int(patient) % 3 for patient in ids])
    patients, rows = np.array(ids), list(range(len(ids)))
    order.shuffle(rows)
    one = split_by_patient(patients, THIRDS, seed=seed, stratify=strata)
    two = split_by_patient(patients[rows], THIRDS, seed=seed, stratify=strata[rows])
    assert all(set(patients[one[name]]) == set(patients[rows][two[name]]) for name in THIRDS)


def test_other_seeds_give_other_splits():
    patients = np.arange(200)
    tests = {tuple(split_by_patient(patients, THIRDS, seed=seed)["test"]) for seed in range(10)}
    assert len(tests) == 10


def test_every_patient_is_as_likely_to_be_tested():
    patients = np.repeat(np.arange(50), 3)
    strata = np.repeat(np.arange(50) < 10, 3)
    tested = np.zeros(50)
    for seed in range(2000):
        tested[np.unique(patients[split_by_patient(patients, THIRDS, seed=seed, stratify=strata)["test"]])] += 1
    # Binomial(2000, 0.2): standard deviation 17.9; 50 patients, so that 4.5 of them are never reached by chance.
    assert np.abs(tested - 400).max() < 80


def test_strata_are_dealt_in_proportion_even_when_one_is_rare():
    rare = np.arange(1000) < 40
    for seed in range(20):
        parts = split_by_patient(np.arange(1000), THIRDS, seed=seed, stratify=rare)
        for name, rows in parts.items():
            assert abs(rare[rows].sum() - 40 * THIRDS[name]) <= 2


def test_a_patient_with_two_classes_is_a_stratum_of_its_own():
    patients, labels = np.repeat(np.arange(300), 2), np.tile([0, 1], 300)
    labels[:200] = 0  # 100 patients have class 0 only
    parts = split_by_patient(patients, {"a": 0.5, "b": 0.5}, seed=0, stratify=labels)
    assert [abs((parts[name] < 200).sum() - 100) <= 2 for name in "ab"] == [True, True]


def test_folds_are_of_equal_size_in_patients():
    folds = folds_by_patient(np.repeat(np.arange(53), 2), 5, seed=1)
    assert sorted(Counter(folds.tolist()).values()) == [20, 20, 22, 22, 22]


def test_published_parts_that_share_a_patient_keep_the_test_part_whole(tmp_path):
    data = LOADERS["pneumoniamnist_rebuilt"](tmp_path)
    parts = published_split(data)
    assert {name: len(rows) for name, rows in parts.items()} == {"train": 7, "val": 4, "test": 4}
    assert 2 not in parts["train"]  # comes again in validation


def test_a_patient_on_two_sides_is_an_error():
    with pytest.raises(DataError, match="parts a and b share 1 patients, expected none"):
        assert_disjoint({"a": [0, 1], "b": [2]}, ["x", "y", "x"])


@pytest.mark.parametrize(
    ("data", "fractions", "message"),
    [
        (range(10), {"a": 0.5, "b": 0.6}, r"fractions must be > 0 with sum 1, got \{'a': 0.5, 'b': 0.6\}"),
        (range(10), {"a": 1.0, "b": 0.0}, "fractions must be > 0 with sum 1"),
        (range(10), {}, "fractions must be > 0 with sum 1"),
        (["x", "x"], {"a": 0.5, "b": 0.5}, "data must hold at least 2 patients for 2 parts, got 1"),
        (range(10), {"a": 0.99, "b": 0.01}, "fractions leave part 'b' without any of the 10 patients"),
        ([], {"a": 1.0}, "data must hold at least one patient, got none"),
        ([1.0, np.nan], {"a": 1.0}, r"data must be patient ids \(N,\) without missing ones"),
        (np.zeros((2, 2)), {"a": 1.0}, r"data must be patient ids \(N,\)"),
    ],
)
def test_a_wrong_split_is_named(data, fractions, message):
    with pytest.raises(ValueError, match=message):
        split_by_patient(np.array(data), fractions, seed=0)


def test_wrong_strata_and_folds_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"stratify must have shape \(3,\), got \(2,\)"):
        split_by_patient(np.arange(3), {"a": 1.0}, seed=0, stratify=[1, 2])
    with pytest.raises(ValueError, match="stratify must be one of finding, got 'other'"):
        split_by_patient(LOADERS["busi"](tmp_path), {"a": 1.0}, seed=0, stratify="other")
    with pytest.raises(ValueError, match=r"n_folds must lie in 2 to 3 \(patients\), got 4"):
        folds_by_patient(np.arange(3), 4, seed=0)


def test_missing_values_make_a_stratum():
    labels = pd.Series([1.0, np.nan] * 50)
    parts = split_by_patient(np.arange(100), {"a": 0.5, "b": 0.5}, seed=0, stratify=labels)
    assert labels.iloc[parts["a"]].isna().sum() == 25
