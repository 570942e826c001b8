"""Distances between feature sets, MS-SSIM: matrix square roots, torch-fidelity, torchmetrics, prdc, MONAI, theory."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.metrics import MultiScaleSSIMMetric
from scipy import linalg, ndimage
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from medrepro.stats import generative as gen

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "generative.json").read_text())
STORED = {case["name"]: case for case in REFERENCE["sets"]}
PICTURES = {case["name"]: case for case in REFERENCE["pictures"]}
SETS = [gen.frechet_distance, gen.improved_precision_recall, gen.density_coverage]


def features(seed, n=60, m=50, d=6, shift=0.5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)), rng.normal(size=(m, d)) + shift


# ---------------------------------------------------------------- Frechet distance


def by_matrix_square_root(a, b):
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(cov_a @ cov_b)
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root.real)


@pytest.mark.parametrize("seed", range(4))
def test_frechet_distance_matches_the_matrix_square_root(seed):
    a, b = features(seed)
    assert gen.frechet_distance(a, b) == pytest.approx(by_matrix_square_root(a, b), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(8, 12), (8, 60), (60, 8)])
def test_frechet_distance_is_exact_for_fewer_rows_than_columns(n, m):
    a, b = features(3, n, m, d=30)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(cov_a)
    root_a = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    root = np.sqrt(np.clip(np.linalg.eigvalsh(root_a @ cov_b @ root_a), 0, None)).sum()
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * root
    assert gen.frechet_distance(a, b) == pytest.approx(expected, rel=1e-5)


@given(st.integers(0, 1000), st.sampled_from([3, 40]))
def test_frechet_distance_is_symmetric_and_blind_to_rotation_and_a_common_shift(seed, d):
    a, b = features(seed, 15, 20, d)
    turn = linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    once = gen.frechet_distance(a, b)
    assert gen.frechet_distance(b, a) == pytest.approx(once, rel=1e-9)
    assert gen.frechet_distance(a @ turn + 7, b @ turn + 7) == pytest.approx(once, rel=1e-9)
    assert gen.frechet_distance(a, a + 2) == pytest.approx(4 * d, rel=1e-6)
    assert gen.frechet_distance(a, a) == pytest.approx(0, abs=1e-8 * np.sum(a**2))


@pytest.mark.parametrize("name", STORED)
def test_frechet_distance_equals_that_of_other_programs(name):
    """To 1e-8 of sixty digits; of matrix roots in double precision only where the covariances have full rank."""
    case = STORED[name]
    found, theirs = gen.frechet_distance(case["a"], case["b"]), case["frechet"]
    if "mpmath" in theirs:
        assert found == pytest.approx(theirs["mpmath"], rel=1e-8, abs=1e-8)
    singular = name.startswith("fewer rows")
    for program in ("torch-fidelity", "torchmetrics"):
        assert found == pytest.approx(theirs[program], rel=1e-7 if singular else 1e-8, abs=1e-8)


def test_matrix_roots_of_other_programs_lose_digits_where_rows_are_fewer_than_features():
    """What "exact for n < d" buys: roots of eigenvalues that should be 0 add up, ours are singular values."""
    case = STORED["fewer rows than features, one"]
    exact = case["frechet"]["mpmath"]
    assert abs(gen.frechet_distance(case["a"], case["b"]) - exact) < 1e-10 * exact
    assert all(abs(case["frechet"][program] - exact) > 1e-9 * exact for program in ("torch-fidelity", "torchmetrics"))


# ---------------------------------------------------------------- kernel distance


@pytest.mark.parametrize("name", STORED)
def test_kernel_distance_equals_that_of_other_programs(name):
    case = STORED[name]
    rows = case["mmd"]["n"]
    a, b = np.array(case["a"])[:rows], np.array(case["b"])[:rows]
    # Far from the origin kernel values of 1e18 are subtracted from each other: digits are lost in every program.
    lost = 1e-15 * np.mean((np.sum(a * a, axis=1) / a.shape[1] + 1) ** 3)
    for program in ("torch-fidelity", "torchmetrics"):
        found = gen.kernel_inception_distance(a, b, n_subsets=2, seed=0).value
        assert found == pytest.approx(case["mmd"][program], rel=1e-8, abs=1e-8 + lost)


def unbiased_mmd(a, b):
    def kernel(x, y):
        return polynomial_kernel(x, y, degree=3, gamma=1 / a.shape[1], coef0=1)

    n, m = len(a), len(b)
    within = [(kernel(x, x).sum() - np.trace(kernel(x, x))) / (len(x) * (len(x) - 1)) for x in (a, b)]
    return sum(within) - 2 * kernel(a, b).sum() / (n * m)


def test_kernel_distance_matches_scikit_learns_kernel_in_any_blocks(monkeypatch):
    a, b = features(1)
    found = gen.kernel_inception_distance(a, b, seed=0)
    assert found.value == pytest.approx(unbiased_mmd(a, b), rel=1e-10)
    assert found.low < found.value < found.high
    assert (found.n, found.unit) == (110, "image")
    monkeypatch.setattr(gen, "BLOCK", 130)
    again = gen.kernel_inception_distance(a, b, seed=0)
    np.testing.assert_allclose([again.low, again.high], [found.low, found.high], rtol=1e-10)


def test_kernel_distance_takes_its_interval_from_halves():
    a, b = features(2, 9, 8)
    rng = np.random.default_rng(5)
    first = [rng.permutation(9)[:4] for _ in range(30)]
    second = [rng.permutation(8)[:4] for _ in range(30)]
    values = [unbiased_mmd(a[i], b[j]) for i, j in zip(first, second, strict=True)]
    found = gen.kernel_inception_distance(a, b, n_subsets=30, seed=5)
    np.testing.assert_allclose([found.low, found.high], np.quantile(values, [0.025, 0.975]), rtol=1e-9)


def test_kernel_distance_is_unbiased_and_its_interval_covers():
    rng, covered, values = np.random.default_rng(0), 0, []
    # d = 1, kernel (xy + 1)^3: the features are 1, x, x^2, x^3 with weights 1, 3, 3, 1; moments of N(0, 1), N(1, 1).
    truth = 3 * (1 - 0) ** 2 + 3 * (2 - 1) ** 2 + (4 - 0) ** 2
    for seed in range(150):
        found = gen.kernel_inception_distance(
            rng.normal(1, 1, (80, 1)), rng.normal(0, 1, (100, 1)), n_subsets=100, seed=seed
        )
        values.append(found.value)
        covered += found.low <= truth <= found.high
    assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(150)
    assert covered >= 125  # a true coverage of 0.90 would miss this about once in 400 runs


def test_blocks_of_one_size_give_the_mean_and_spread_of_their_own_distances():
    a, b = features(4, 47, 60)
    rng = np.random.default_rng(3)
    rows_a, rows_b = rng.permutation(47)[:40].reshape(4, 10), rng.permutation(60)[:40].reshape(4, 10)
    values = [unbiased_mmd(a[i], b[j]) for i, j in zip(rows_a, rows_b, strict=True)]
    found = gen.kernel_distance_of_blocks(a, b, block=10, seed=3)
    half = 3.182446305284263 * np.std(values, ddof=1) / 2  # t with 3 degrees of freedom, from R's qt(0.975, 3)
    assert (found.value, found.high - found.value) == pytest.approx((np.mean(values), half), rel=1e-9)
    assert (found.n, found.unit, found.note) == (4, "block", "blocks of 10 images of each set")


def test_distance_of_blocks_is_unbiased_and_its_interval_covers_where_nothing_differs():
    rng = np.random.default_rng(1)
    found = [gen.kernel_distance_of_blocks(*rng.normal(size=(2, 120, 3)), block=12, seed=s) for s in range(200)]
    values = np.array([e.value for e in found])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(200)
    # 190 expected with a standard deviation of 3
    assert sum(e.low <= 0 <= e.high for e in found) >= 178


# ---------------------------------------------------------------- manifolds


def by_neighbours(x, y, k):
    """Whether each row of y (m,) lies in each ball (n, m) around rows of x."""
    radius = NearestNeighbors(n_neighbors=k).fit(x).kneighbors()[0][:, -1]
    distance = np.sqrt(((x[:, None] - y[None]) ** 2).sum(axis=2))
    return distance <= radius[:, None] * (1 + 1e-9) + 1e-9


@given(st.integers(0, 1000), st.integers(1, 5), st.booleans())
def test_manifold_measures_match_scikit_learns_neighbours_with_ties(seed, k, tied):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(20, 2)), rng.normal(0.5, 1, size=(15, 2))
    if tied:
        x, y = np.round(2 * x), np.round(2 * y)
    found, inside = gen.improved_precision_recall(x, y, k=k), by_neighbours(x, y, k)
    assert found.precision == pytest.approx(inside.any(axis=0).mean())
    assert found.recall == pytest.approx(by_neighbours(y, x, k).any(axis=0).mean())
    found = gen.density_coverage(x, y, k=k)
    assert found.density == pytest.approx(inside.sum() / (k * 15))
    assert found.coverage == pytest.approx(inside.any(axis=1).mean())


@pytest.mark.parametrize(("name", "k"), [(name, int(k)) for name in STORED for k in STORED[name]["manifold"]])
def test_manifold_measures_equal_those_of_prdc(name, k):
    """prdc leaves a point on the boundary outside, the papers and medrepro inside: with such points ours is larger."""
    case = STORED[name]
    theirs, a, b = case["manifold"][str(k)], np.array(case["a"]), np.array(case["b"])
    found = {**vars(gen.improved_precision_recall(a, b, k=k)), **vars(gen.density_coverage(a, b, k=k))}
    for measure, value in found.items():
        if theirs["boundary"]:
            assert value >= theirs[measure] - 1e-12, measure
        else:
            assert value == pytest.approx(theirs[measure], abs=1e-12), measure


def test_blocks_change_nothing(monkeypatch):
    x, y = features(4)
    whole = gen.improved_precision_recall(x, y), gen.density_coverage(x, y)
    monkeypatch.setattr(gen, "BLOCK", 7 * 60)
    assert (gen.improved_precision_recall(x, y), gen.density_coverage(x, y)) == whole


def test_a_copy_of_the_real_images_is_perfect_even_far_from_the_origin():
    x = np.random.default_rng(0).normal(1e4, 1, size=(40, 8))
    assert gen.improved_precision_recall(x, x[::-1]) == gen.PrecisionRecall(1.0, 1.0)
    assert gen.density_coverage(x, x[::-1]).coverage == 1.0


def test_one_mode_dropped_lowers_recall_and_coverage_and_far_images_have_no_precision():
    rng = np.random.default_rng(0)
    modes = rng.normal(size=(200, 4)) + np.repeat([[0], [50]], 100, axis=0)
    one_mode = rng.normal(size=(200, 4))
    assert 0.3 < gen.improved_precision_recall(modes, one_mode).recall <= 0.5
    assert 0.3 < gen.density_coverage(modes, one_mode).coverage <= 0.5
    assert gen.improved_precision_recall(modes, one_mode - 500) == gen.PrecisionRecall(0.0, 0.0)
    assert gen.density_coverage(modes, one_mode - 500) == gen.DensityCoverage(0.0, 0.0)


def test_equal_distributions_give_the_expected_coverage_and_density():
    rng, n, m, k = np.random.default_rng(1), 60, 40, 3
    found = [gen.density_coverage(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)), k=k) for _ in range(200)]
    expected = 1 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
    coverage = np.array([f.coverage for f in found])
    assert abs(coverage.mean() - expected) < 4 * coverage.std() / math.sqrt(200)
    density = np.array([f.density for f in found])
    assert abs(density.mean() - 1) < 4 * density.std() / math.sqrt(200)


# ---------------------------------------------------------------- MS-SSIM


def pair(shape, seed=0, noise=0.1):
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(rng.random(shape), 2)
    image = (image - image.min()) / (image.max() - image.min())
    return image, np.clip(image + noise * rng.normal(size=shape), 0, 1)


@pytest.mark.parametrize(
    ("shape", "weights"),
    [((176, 200), gen.WANG_WEIGHTS), ((67, 51), (0.4, 0.3, 0.3)), ((30, 25, 27), (0.5, 0.5)), ((23, 40), (1.0,))],
)
def test_ms_ssim_matches_monai(shape, weights):
    a, b = pair(shape)
    metric = MultiScaleSSIMMetric(len(shape), data_range=1.0, kernel_size=11, kernel_sigma=1.5, weights=weights)
    theirs = metric(*(torch.from_numpy(image)[None, None] for image in (a, b))).item()
    assert gen.ms_ssim(a, b, data_range=1.0, weights=weights) == pytest.approx(theirs, abs=2e-5)


def picture(shape, phase, grain):
    """As in tests/reference/generative.py."""
    grid = np.meshgrid(*[np.arange(n, dtype=float) for n in shape], indexing="ij")
    wave = sum(np.sin(g * (0.11 + 0.07 * i) + phase * (i + 1)) for i, g in enumerate(grid)) / len(shape)
    noise = np.sin(sum(g * (12.9898 + 65.2 * i) for i, g in enumerate(grid)) + phase) * 43758.5453
    return 0.5 + 0.4 * wave + grain * (noise - np.floor(noise) - 0.5)


@pytest.mark.parametrize("name", PICTURES)
def test_ms_ssim_equals_that_of_other_programs_in_two_and_three_dimensions(name):
    """To 1e-8 of scikit-image in double precision; MONAI and pytorch-msssim compute in single, where small variances
    are differences of large numbers. torchmetrics has another convention (mirrored borders) and is only stored."""
    case = PICTURES[name]
    a, b = (picture(case["shape"], p, g) for p, g in zip(case["phases"], case["grains"], strict=True))
    found, theirs = gen.ms_ssim(a, b, data_range=1.0, weights=case["weights"]), case["ms-ssim"]
    for program, tolerance in (("scikit-image", 1e-8), ("monai", 1e-4), ("pytorch-msssim", 1e-4)):
        if program in theirs:
            assert found == pytest.approx(theirs[program], abs=tolerance), program


@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_ms_ssim_is_symmetric_bounded_and_blind_to_units(seed, unit):
    a, b = pair((24, 30), seed)
    once = gen.ms_ssim(a, b, data_range=1.0, weights=(0.5, 0.5))
    assert 0 <= once < 1
    assert gen.ms_ssim(b, a, data_range=1.0, weights=(0.5, 0.5)) == pytest.approx(once, rel=1e-12)
    assert gen.ms_ssim(unit * a, unit * b, data_range=unit, weights=(0.5, 0.5)) == pytest.approx(once, rel=1e-9)
    assert gen.ms_ssim(a, a, data_range=1.0, weights=(0.5, 0.5)) == pytest.approx(1.0, abs=1e-12)


def test_ms_ssim_of_two_constant_images_is_their_luminance_alone():
    a, b = np.full((22, 22), 0.2), np.full((22, 22), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert gen.ms_ssim(a, b, data_range=1.0, weights=(0.5, 0.25)) == pytest.approx(expected**0.25)


def test_ms_ssim_falls_with_noise_and_an_inverted_image_is_zero():
    a, _ = pair((64, 64))
    noisy = [gen.ms_ssim(a, pair((64, 64), noise=s)[1], data_range=1.0, weights=(0.5, 0.5)) for s in (0.05, 0.2, 0.8)]
    assert noisy[0] > noisy[1] > noisy[2]
    assert gen.ms_ssim(a, 1 - a, data_range=1.0, weights=(0.5, 0.5)) == 0.0


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize("measure", [*SETS, lambda a, b: gen.kernel_inception_distance(a, b, seed=0)])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((9, 2)), "must have as many columns as .* \\(3\\), got 2"),
        (np.zeros((1, 3)), r"must have shape \(n, d\) with n >= "),
        (np.zeros(9), "must have 2 dimension"),
        (np.full((9, 3), math.nan), "must not hold nan"),
        (np.full((9, 3), math.inf), "must hold finite numbers"),
        (np.full((9, 3), "x"), "must hold real numbers"),
    ],
)
def test_bad_features_are_named(measure, bad, message):
    with pytest.raises(ValueError, match=message):
        measure(np.zeros((9, 3)), bad)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: gen.improved_precision_recall(x, x[:4], k=4), "k must be a whole number from 1 to 3"),
        (lambda x: gen.density_coverage(x, x, k=0), "k must be a whole number from 1 to 8"),
        (lambda x: gen.density_coverage(x, x, k=1.5), "k must be a whole number"),
        (lambda x: gen.kernel_inception_distance(x, x, n_subsets=1, seed=0), "n_subsets must be a whole number >= 2"),
        (lambda x: gen.kernel_inception_distance(x, x, seed=-1), "seed must be a whole number"),
        (lambda x: gen.kernel_distance_of_blocks(x, x, block=5, seed=0), r"block must be at most half .* \(9\), got 5"),
        (lambda x: gen.kernel_distance_of_blocks(x, x, block=1, seed=0), "block must be a whole number >= 2"),
        (lambda x: gen.kernel_inception_distance(x, x, level=95, seed=1), "level must be between"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0).normal(size=(9, 3)))


@pytest.mark.parametrize(
    ("a", "b", "settings", "message"),
    [
        (np.zeros((20, 20)), np.zeros((20, 21)), {}, "image_b must have the shape of image_a"),
        (np.zeros((20, 20)), np.zeros((20, 20)), {}, "image_a must have sides of at least 22 for 2 scales"),
        (np.zeros(20), np.zeros(20), {}, "image_a must have 2 or 3 dimension"),
        (np.zeros((22, 22)), np.full((22, 22), math.nan), {}, "image_b must not hold nan"),
        (np.zeros((22, 22)), np.full((22, 22), math.inf), {}, "image_b must hold finite"),
        (np.zeros((22, 22)), np.zeros((22, 22)), {"data_range": 0}, "data_range must be a positive number"),
        (np.zeros((22, 22)), np.zeros((22, 22)), {"data_range": "1"}, "data_range must be a positive number"),
        (np.zeros((22, 22)), np.zeros((22, 22)), {"weights": ()}, "weights must be positive numbers"),
        (np.zeros((22, 22)), np.zeros((22, 22)), {"weights": (1, -1)}, "weights must be positive numbers"),
    ],
)
def test_bad_images_are_named(a, b, settings, message):
    with pytest.raises(ValueError, match=message):
        gen.ms_ssim(a, b, **{"data_range": 1.0, "weights": (0.5, 0.5), **settings})
