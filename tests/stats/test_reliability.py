"""Krippendorff's alpha and the ICC: published examples, psych, brute force, clusters, undefined cases."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrepro.stats import bootstrap, icc, krippendorff_alpha, pairwise_kappa

NAN = math.nan
SCALES = ("nominal", "ordinal", "interval")
OTHERS = json.loads((Path(__file__).parents[1] / "reference" / "agreement.json").read_text())
SETS = ("four raters", "complete", "two raters")

# Krippendorff (2011): 12 units, 4 observers, missing values. Published: nominal 0.743, ordinal 0.815,
# interval 0.849.
KRIPPENDORFF_2011 = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
).T

# Shrout & Fleiss (1979), table 2: 6 targets, 4 judges. Published: 0.17, 0.29, 0.71 and 0.44, 0.62, 0.91.
SHROUT_FLEISS_1979 = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def brute_force_alpha(ratings, scale):
    """Alpha from all pairs of pairable values, as the definition says."""
    rows = [row[~np.isnan(row)] for row in np.asarray(ratings, dtype=float)]
    rows = [row for row in rows if row.size >= 2]
    pooled = np.concatenate(rows)

    def apart(p, q):
        if scale == "nominal":
            return float(p != q)
        if scale == "interval":
            return (p - q) ** 2
        low, high = min(p, q), max(p, q)
        between = np.count_nonzero((pooled >= low) & (pooled <= high))
        return (between - (np.count_nonzero(pooled == p) + np.count_nonzero(pooled == q)) / 2) ** 2 * (p != q)

    observed = sum(sum(apart(p, q) for p in row for q in row) / (row.size - 1) for row in rows) / pooled.size
    expected = sum(apart(p, q) for p in pooled for q in pooled) / (pooled.size * (pooled.size - 1))
    return 1 - observed / expected if expected > 0 else NAN


@pytest.mark.parametrize(("scale", "published"), zip(SCALES, (0.743, 0.815, 0.849), strict=True))
def test_alpha_matches_krippendorffs_example(scale, published):
    found = krippendorff_alpha(KRIPPENDORFF_2011, level_of_measurement=scale, seed=0)
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.n == 11
    assert "1 subject with fewer than two ratings left out" in found.note


@given(
    st.lists(
        st.lists(st.sampled_from([1.0, 2.0, 3.0, 5.0, NAN]), min_size=3, max_size=3), min_size=2, max_size=8
    ).filter(lambda rows: any(np.count_nonzero(~np.isnan(row)) >= 2 for row in rows)),
    st.sampled_from(SCALES),
)
def test_alpha_matches_brute_force(rows, scale):
    ours = krippendorff_alpha(rows, level_of_measurement=scale, n_boot=2, seed=0).value
    assert ours == pytest.approx(brute_force_alpha(rows, scale), abs=1e-10, nan_ok=True)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("scale", SCALES)
def test_alpha_matches_the_krippendorff_package(name, scale):
    ratings = np.array(OTHERS[name]["ratings"], dtype=float)
    found = krippendorff_alpha(ratings, level_of_measurement=scale, n_boot=2, seed=0)
    assert found.value == pytest.approx(OTHERS[name]["alpha"][scale], abs=1e-12)
    if scale == "nominal":
        assert found.value == pytest.approx(OTHERS[name]["irrCAC"]["krippendorff"][0], abs=1e-11)


@pytest.mark.parametrize("scale", SCALES)
def test_alpha_bootstrap_over_clusters_equals_the_general_bootstrap(scale):
    rng = np.random.default_rng(0)
    ratings = np.clip(rng.integers(1, 5, (24, 1)) + rng.integers(-1, 2, (24, 3)), 1, 5).astype(float)
    units = np.arange(24) // 2
    fast = krippendorff_alpha(ratings, level_of_measurement=scale, units=units, n_boot=40, method="bca", seed=1)
    slow = bootstrap(lambda r: brute_force_alpha(r, scale), ratings, units=units, n_boot=40, method="bca", seed=1)
    np.testing.assert_allclose([fast.low, fast.value, fast.high], [slow.low, slow.value, slow.high], rtol=1e-9)
    assert (fast.n, fast.unit) == (12, "cluster")


def test_interval_alpha_ignores_shift_and_scale_even_far_from_zero():
    rng = np.random.default_rng(0)
    ratings = rng.normal(size=(30, 1)) + 0.5 * rng.normal(size=(30, 3))
    near, far = (krippendorff_alpha(r, level_of_measurement="interval", seed=0) for r in (ratings, 1e6 + 3 * ratings))
    np.testing.assert_allclose([far.low, far.value, far.high], [near.low, near.value, near.high], rtol=1e-6)


def test_ordinal_alpha_depends_on_order_only():
    ratings = KRIPPENDORFF_2011
    stretched = krippendorff_alpha(np.exp(ratings), level_of_measurement="ordinal", seed=0)
    assert stretched.value == krippendorff_alpha(ratings, level_of_measurement="ordinal", seed=0).value
    names = np.array(["none", "mild", "moderate", "severe", "critical"], dtype=object)
    words = [[None if math.isnan(v) else names[int(v) - 1] for v in row] for row in ratings]
    by_name = krippendorff_alpha(words, level_of_measurement="ordinal", categories=list(names), seed=0)
    assert by_name.value == stretched.value


def test_nominal_alpha_approaches_pairwise_kappa_as_ratings_grow():
    rng = np.random.default_rng(0)
    ratings = np.where(rng.random((2000, 3)) < 0.6, rng.integers(0, 3, (2000, 1)), rng.integers(0, 3, (2000, 3)))
    alpha = krippendorff_alpha(ratings, level_of_measurement="nominal", seed=0)
    kappa = pairwise_kappa(ratings, seed=0)
    n = ratings.size
    assert 1 - alpha.value == pytest.approx((1 - kappa.value) * (n - 1) / n, rel=1e-10)
    np.testing.assert_allclose([alpha.low, alpha.high], [kappa.low, kappa.high], atol=2e-3)


@pytest.mark.parametrize("scale", SCALES)
def test_alpha_of_equal_ratings_is_nan(scale):
    found = krippendorff_alpha([[2, 2], [2, 2]], level_of_measurement=scale, seed=0)
    assert found.undefined
    assert "all ratings are equal" in found.note


@pytest.mark.parametrize("scale", SCALES)
def test_resamples_of_equal_ratings_are_left_out_not_rounded_into_a_number(scale):
    ratings = np.repeat([[0.1], [0.23], [0.37], [0.71]], 3, axis=1) / 3
    found = krippendorff_alpha(ratings, level_of_measurement=scale, seed=0)
    assert "of 1000 resamples, which are left out" in found.note
    assert (found.low, found.high) == pytest.approx((1, 1))


def test_perfect_agreement_is_one():
    assert krippendorff_alpha([[1, 1], [2, 2], [3, 3]], level_of_measurement="ordinal", seed=0).value == 1


# ---------------------------------------------------------------- ICC


def test_icc_matches_shrout_and_fleiss():
    for average, published in ((False, (0.17, 0.29, 0.71)), (True, (0.44, 0.62, 0.91))):
        for form, value in zip((1, 2, 3), published, strict=True):
            assert icc(SHROUT_FLEISS_1979, form=form, average=average).value == pytest.approx(value, abs=5e-3)


def test_icc_and_intervals_match_psych(from_r):
    r = from_r["icc"]
    assert r["type"] == ["ICC1", "ICC2", "ICC3", "ICC1k", "ICC2k", "ICC3k"]
    for k in range(6):
        for level, suffix in ((0.95, ""), (0.9, "_90")):
            found = icc(r["ratings"], form=k % 3 + 1, average=k >= 3, level=level)
            expected = [r["low" + suffix][k], r["value"][k], r["high" + suffix][k]]
            np.testing.assert_allclose([found.low, found.value, found.high], expected, rtol=1e-8)


@pytest.mark.parametrize("name", SETS[1:])
def test_icc_matches_pingouin(name):
    for average, suffix in ((False, "1"), (True, "k")):
        for form, kind in zip((1, 2, 3), ("1", "A", "C"), strict=True):
            value = icc(OTHERS[name]["ratings"], form=form, average=average).value
            assert value == pytest.approx(OTHERS[name]["icc"][f"ICC({kind},{suffix})"], abs=1e-12)


@pytest.mark.parametrize("form", [1, 2, 3])
@pytest.mark.parametrize("average", [False, True])
def test_icc_bootstrap_over_clusters_equals_the_general_bootstrap(form, average):
    ratings = np.random.default_rng(0).normal(size=(20, 1)) + np.random.default_rng(1).normal(size=(20, 3))
    units = np.arange(20) // 2
    fast = icc(ratings, form=form, average=average, units=units, n_boot=50, method="bca", seed=0)
    slow = bootstrap(
        lambda r: icc(r, form=form, average=average).value, ratings, units=units, n_boot=50, method="bca", seed=0
    )
    np.testing.assert_allclose([fast.low, fast.value, fast.high], [slow.low, slow.value, slow.high], rtol=1e-8)


@pytest.mark.parametrize("form", [1, 2, 3])
def test_icc_ignores_shift_and_scale(form):
    data = np.array(SHROUT_FLEISS_1979, dtype=float)
    near, far = icc(data, form=form), icc(-2 * data + 1e6, form=form)
    np.testing.assert_allclose([far.low, far.value, far.high], [near.low, near.value, near.high], rtol=1e-6)


def test_consistency_ignores_rater_offsets_and_agreement_does_not():
    data = np.array(SHROUT_FLEISS_1979, dtype=float)
    moved = data + np.array([0, 5, -5, 10])
    assert icc(moved, form=3).value == pytest.approx(icc(data, form=3).value)
    assert icc(moved, form=2).value < icc(data, form=2).value


def test_degenerate_icc_is_explained():
    assert "all ratings are equal" in icc([[1, 1], [1, 1]], form=2).note
    assert icc([[1, 2]], form=1).undefined
    perfect = icc([[1, 1], [2, 2], [3, 3]], form=2)
    assert (perfect.low, perfect.value, perfect.high) == (1, 1, 1)
    assert "no residual variance" in perfect.note
    offset = icc([[1, 2], [2, 3], [4, 5]], form=2)
    assert 0 < offset.value < 1
    assert math.isnan(offset.low)
    assert "no residual variance" in offset.note


@pytest.mark.parametrize("form", [1, 2])
def test_icc_interval_covers_the_truth(form):
    """400 data sets of 15 subjects and 4 raters, true ICC 0.5; Monte Carlo error 0.011."""
    rng = np.random.default_rng(form)
    covered = 0
    for _ in range(400):
        ratings = rng.normal(size=(15, 1)) + rng.normal(size=(15, 4)) * (1 if form == 1 else math.sqrt(0.5))
        if form == 2:
            ratings += rng.normal(size=4) * math.sqrt(0.5)
        estimate = icc(ratings, form=form)
        covered += estimate.low <= 0.5 <= estimate.high
    assert covered / 400 == pytest.approx(0.95, abs=0.035)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: krippendorff_alpha([[1, 2]], level_of_measurement="ratio", seed=0), "level_of_measurement must be"),
        (lambda: krippendorff_alpha([1, 2], level_of_measurement="nominal", seed=0), "ratings must have shape"),
        (lambda: krippendorff_alpha([[1, np.inf]], level_of_measurement="interval", seed=0), "ratings must be finite"),
        (lambda: krippendorff_alpha([["a", "b"]], level_of_measurement="interval", seed=0), "real numbers"),
        (lambda: krippendorff_alpha([["a", "b"]], level_of_measurement="ordinal", seed=0), "categories must give"),
        (lambda: krippendorff_alpha([[1, NAN]], level_of_measurement="nominal", seed=0), "two ratings"),
        (lambda: krippendorff_alpha([[1, 2]], level_of_measurement="nominal", seed=None), "seed must be"),
        (lambda: krippendorff_alpha([[NAN, NAN]], level_of_measurement="ordinal", seed=0), "at least one rating"),
        (lambda: krippendorff_alpha([[1], [2]], level_of_measurement="ordinal", seed=0), "R >= 2"),
        (lambda: icc([[1, NAN], [2, 2]], form=1), "ratings must not hold nan"),
        (lambda: icc([[1, 2], [2, 2]], form=4), "form must be one of 1, 2, 3"),
        (lambda: icc([[1, 2], [2, 2]], form="2"), "form must be one of"),
        (lambda: icc([[1], [2]], form=1), "ratings must have shape"),
        (lambda: icc([[1, 2], [2, np.inf]], form=1), "ratings must be finite"),
        (lambda: icc([[1, 2], [2, 2]], form=1, units=[1, 2]), "units need n_boot and seed"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
