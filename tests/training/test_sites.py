"""Sites: parts that share no patient, draws that keep classes in proportion, sizes that are what was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from medrepro.training.sites import (
    PARTS,
    Cases,
    Site,
    check_sites,
    cut_site,
    cut_to_total,
    leave_out,
    pool_sites,
    split_site,
)
from tabular_sites import make_sites


def test_a_split_keeps_patients_together_and_labels_in_proportion():
    patients, y = np.repeat(np.arange(100), 2), np.repeat(np.arange(100) % 4 == 0, 2)
    shares = {"train": 0.5, "val": 0.2, "test": 0.3}
    site = split_site("s", np.zeros((200, 1)), y, patients, fractions=shares, seed=0)
    assert [len(getattr(site, part)) for part in PARTS] == [100, 40, 60]
    assert [getattr(site, part).y.mean() for part in PARTS] == pytest.approx([0.25] * 3, abs=0.04)


def test_a_patient_in_two_parts_is_refused():
    cases = make_sites()[0].train
    with pytest.raises(ValueError, match="site s: unit a0-3 is in train and in test, expected one part"):
        Site("s", cases, cases.subset([]), cases.subset([3]))


@pytest.mark.parametrize(
    ("x", "y", "units", "message"),
    [
        ([[1.0], [2.0]], [0, 1, 1], [0, 1], r"y must be \(2, K\), one row a case, got \(3, 1\)"),
        ([[1.0], [2.0]], [0, 2], [0, 1], "y must hold 0 and 1 only"),
        ([[1.0], [np.nan]], [0, 1], [0, 1], "x must be finite"),
        ([[1.0], [2.0]], [0, 1], [0], r"units must be \(2,\), one a case, got \(1,\)"),
    ],
)
def test_bad_cases_are_refused(x, y, units, message):
    with pytest.raises(ValueError, match=message):
        Cases(np.array(x), np.array(y), np.array(units))


def test_sites_must_have_different_names_one_shape_and_cases():
    sites = make_sites()
    with pytest.raises(ValueError, match="at least one site, got none"):
        check_sites([])
    with pytest.raises(ValueError, match="'a' is there 2 times"):
        check_sites([sites[0], sites[0]])
    wide = Cases(np.zeros((2, 9)), np.array([0, 1]), np.arange(2))
    with pytest.raises(ValueError, match="must share the shape of inputs and labels"):
        check_sites([sites[0], Site("w", wide, wide.subset([]), wide.subset([]))])
    with pytest.raises(ValueError, match="site b needs training and validation cases"):
        check_sites([Site("b", sites[0].train, sites[0].train.subset([]), sites[0].test)])


@pytest.mark.parametrize("n", [1, 7, 30, 60])
def test_a_cut_has_the_size_asked_for_and_classes_in_proportion(n):
    cut = cut_site(make_sites()[0], n, seed=0).train
    assert len(cut) == n
    assert abs(cut.y.sum() - n / 2) <= 1


def test_smaller_cuts_lie_in_larger_ones_and_other_seeds_draw_others():
    site = make_sites()[0]
    small, large, other = (set(cut_site(site, n, seed=s).train.units) for n, s in ((10, 0), (30, 0), (10, 1)))
    assert small < large
    assert small != other


def test_a_total_is_shared_evenly_as_far_as_sizes_allow():
    sites = make_sites([10, 40, 100, 100])
    assert [len(s.train) for s in cut_to_total(sites, 150, seed=0)] == [10, 40, 50, 50]
    assert [len(s.train) for s in cut_to_total(sites, 40, seed=0)] == [10] * 4
    assert sum(len(s.train) for s in cut_to_total(sites, 43, seed=0)) == 43
    assert [len(s.train) for s in cut_to_total(sites, 250, seed=0)] == [10, 40, 100, 100]
    with pytest.raises(ValueError, match=r"n_total must lie in 4 to 250 .*, got 251"):
        cut_to_total(sites, 251, seed=0)
    with pytest.raises(ValueError, match="n_train must lie in 1 to 10 at site a, got 11"):
        cut_site(sites[0], 11, seed=0)


def test_a_pool_holds_every_case_once_and_tells_patients_of_two_sites_apart():
    sites = [Site(name, *(Cases(np.full((3, 1), k), [0, 1, 0], np.arange(3) + 3 * i) for i in range(3)))
             for k, name in enumerate("ab")]  # fmt: skip
    pooled = pool_sites(sites[::-1])
    assert pooled.train.x[:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert len(set(pooled.everyone.units)) == 18


def test_leaving_out_a_site_leaves_the_others():
    assert [site.name for site in leave_out(make_sites(), "b")] == ["a", "c", "d"]
    with pytest.raises(ValueError, match="target must be one of a, b, c, d, got 'z'"):
        leave_out(make_sites(), "z")
