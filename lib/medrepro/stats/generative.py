"""How close generated images are to real ones: distances between sets of features, and MS-SSIM of two images.

Features are (n, d), one row an image, from any encoder; values of different encoders cannot be compared. Rows must be
independent: with several images a patient, pass one a patient or one mean a patient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.special import stdtrit

from ._distances import blocks, points, reach
from ._inputs import FloatArray, check_level, check_resamples, check_seed, real_array
from .resampling import bootstrap_estimate
from .results import Estimate

WANG_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli & Bovik 2003, from fine to coarse
BLOCK = 4_000_000  # numbers in a block of distances or kernel values: 32 MB


def frechet_distance(features_a: ArrayLike, features_b: ArrayLike) -> float:
    """Squared Frechet distance between normal distributions fitted to two sets of features (n, d) and (m, d).

    |mean_a - mean_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) (Dowson & Landau 1982; Heusel et al. 2017, equation 6),
    covariances with n - 1. With centred features S_a = A'A and S_b = B'B, the trace of the root is the sum of the
    singular values of A B': exact for singular covariances (n <= d), where a matrix square root is not. A and B are
    replaced by their triangular factors where they have more rows than columns.
    The estimate is biased upwards for small n (Chong & Forsyth 2020): compare only sets of equal size.
    Raises ValueError on fewer than 2 rows, other numbers of columns and values that are not finite.
    """
    a, b = _features(features_a, features_b)
    shift = a.mean(axis=0) - b.mean(axis=0)
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = shift @ shift + np.vdot(root_a, root_a) + np.vdot(root_b, root_b) - 2.0 * overlap
    return max(0.0, float(distance))


def _covariance_root(features: FloatArray) -> FloatArray:
    """R (min(n, d), d) with R'R the covariance."""
    centred = (features - features.mean(axis=0)) / math.sqrt(len(features) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    return cast(FloatArray, np.linalg.qr(centred, mode="r"))  # NumPy's types know no mode that returns R alone


def kernel_inception_distance(
    features_a: ArrayLike, features_b: ArrayLike, *, n_subsets: int = 200, level: float = 0.95, seed: int
) -> Estimate:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / d + 1)^3 (Binkowski et al. 2018), all rows.

    Two samples of one distribution give values on both sides of 0. The interval holds the quantiles of the same
    estimate on `n_subsets` random halves of both sets, drawn without replacement: the spread of a half around the
    whole is that of the whole around the truth (half-sampling; Politis & Romano 1994 at half the size). Near 0 it is
    wider than needed. The usual "mean and standard deviation over 100 subsets of 1000" describes samples of 1000.
    features: (n, d) and (m, d). Raises ValueError on fewer than 4 rows and as `frechet_distance` does.
    """
    level = check_level(level)
    n_subsets = check_resamples("n_subsets", n_subsets)
    a, b = _features(features_a, features_b, minimum=4)
    rng = np.random.default_rng(check_seed(seed))
    # Row 0 takes every image, the others half of them: one pass over the kernel serves all subsets.
    chosen_a, chosen_b = _halves(len(a), n_subsets, rng), _halves(len(b), n_subsets, rng)
    size_a, size_b = chosen_a.sum(axis=1), chosen_b.sum(axis=1)
    within_a = _kernel_sums(a, a, chosen_a, chosen_a) - chosen_a @ _kernel(np.sum(a * a, axis=1), a.shape[1])
    within_b = _kernel_sums(b, b, chosen_b, chosen_b) - chosen_b @ _kernel(np.sum(b * b, axis=1), a.shape[1])
    between = _kernel_sums(a, b, chosen_a, chosen_b)
    values = within_a / (size_a * (size_a - 1)) + within_b / (size_b * (size_b - 1)) - 2.0 * between / (size_a * size_b)
    found = bootstrap_estimate(float(values[0]), values[1:], n=len(a) + len(b), unit="image", level=level, seed=seed)
    return replace(found, method="unbiased MMD, quantiles of random halves")


def kernel_distance_of_blocks(
    features_a: ArrayLike, features_b: ArrayLike, *, block: int = 100, level: float = 0.95, seed: int
) -> Estimate:
    """`kernel_inception_distance` as the mean over disjoint blocks, with its interval from the variance between them.

    Both sets are shuffled and cut into blocks of `block` rows; each pair of blocks gives an unbiased estimate, and
    value +- t * SD / sqrt(blocks) is their interval (B-test; Zaremba, Gretton & Blaschko, NIPS 2013). It uses less of
    the data than all pairs do and is wider, but takes n * block kernel values instead of n * m, and covers near 0 too.
    Rows beyond the last whole block of the smaller set are left out.
    features: (n, d) and (m, d). Raises ValueError unless 2 <= block <= min(n, m) / 2, and as `frechet_distance` does.
    """
    level = check_level(level)
    a, b = _features(features_a, features_b, minimum=4)
    size = check_resamples("block", block)
    count = min(len(a), len(b)) // size
    if count < 2:
        raise ValueError(f"block must be at most half the rows of the smaller set ({min(len(a), len(b))}), got {block}")
    rng = np.random.default_rng(check_seed(seed))
    width, used = a.shape[1], count * size
    x, y = (rows[rng.permutation(len(rows))[:used]].reshape(count, size, width) for rows in (a, b))
    values = np.empty(count)
    for i, (one, other) in enumerate(zip(x, y, strict=True)):
        within = [_kernel(part @ part.T, width) for part in (one, other)]
        pairs = sum(float(kernel.sum() - np.trace(kernel)) for kernel in within) / (size * (size - 1))
        values[i] = pairs - 2.0 * float(_kernel(one @ other.T, width).mean())
    value = float(values.mean())
    half = float(stdtrit(count - 1, 0.5 + level / 2) * values.std(ddof=1)) / math.sqrt(count)
    return Estimate(
        value,
        value - half,
        value + half,
        level,
        n=count,
        unit="block",
        method="unbiased MMD of blocks, t",
        seed=seed,
        note=f"blocks of {size} images of each set",
    )


def _kernel(products: FloatArray, width: int) -> FloatArray:
    return (products / width + 1.0) ** 3


def _halves(n: int, n_subsets: int, rng: np.random.Generator) -> FloatArray:
    """Membership (1 + n_subsets, n): everything, then random halves (the smaller half where n is odd)."""
    chosen = np.zeros((1 + n_subsets, n))
    chosen[0] = 1.0
    for row in chosen[1:]:
        row[rng.permutation(n)[: n // 2]] = 1.0
    return chosen


def _kernel_sums(a: FloatArray, b: FloatArray, chosen_a: FloatArray, chosen_b: FloatArray) -> FloatArray:
    """Sum of the kernel over all pairs in which both images are chosen, for each subset."""
    total = np.zeros(len(chosen_a))
    for rows in _blocks(len(a), len(b)):
        total += np.sum((chosen_a[:, rows] @ _kernel(a[rows] @ b.T, a.shape[1])) * chosen_b, axis=1)
    return total


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares in [0, 1]: of generated images inside the real manifold, of real images inside the generated one."""

    precision: float
    recall: float


def improved_precision_recall(real: ArrayLike, generated: ArrayLike, *, k: int = 3) -> PrecisionRecall:
    """Precision and recall of generated features against real ones (Kynkaanniemi et al. 2019, equations 1 and 2).

    A manifold is the union of balls around its images, each reaching to its k-th nearest neighbour in the same set
    (the image itself not counted, copies of it counted). A point on the boundary is inside.
    real (n, d), generated (m, d). Raises ValueError unless 1 <= k < n and m, and as `frechet_distance` does.
    """
    x, y = _features(real, generated, names=("real", "generated"))
    k = _neighbours(k, min(len(x), len(y)), "both sets")
    real_points, other_points = points(x, y)
    inside_real, inside_generated = np.zeros(len(y), dtype=bool), np.zeros(len(x), dtype=bool)
    reach_x, reach_y = reach(real_points, k), reach(other_points, k)
    for block in blocks(real_points, other_points):
        inside_real[block.columns] |= block.at_most(reach_x[block.rows, None]).any(axis=0)
        inside_generated[block.rows] |= block.at_most(reach_y[None, block.columns]).any(axis=1)
    return PrecisionRecall(float(inside_real.mean()), float(inside_generated.mean()))


@dataclass(frozen=True)
class DensityCoverage:
    """density >= 0, near 1 for equal distributions; coverage in [0, 1]."""

    density: float
    coverage: float


def density_coverage(real: ArrayLike, generated: ArrayLike, *, k: int = 5) -> DensityCoverage:
    """Density and coverage of generated features against real ones (Naeem et al. 2020, section 3).

    Balls as in `improved_precision_recall`, around real images only, boundary included. density: balls that hold a
    generated image, mean over these, divided by k. coverage: share of balls that hold one; for equal distributions
    its expectation is 1 - (n - 1) ... (n - k) / ((n + m - 1) ... (n + m - k)).
    real (n, d), generated (m, d). Raises ValueError unless 1 <= k < n, and as `frechet_distance` does.
    """
    x, y = _features(real, generated, names=("real", "generated"))
    k = _neighbours(k, len(x), "real")
    real_points, other_points = points(x, y)
    reach_x = reach(real_points, k)
    held, covered = 0, np.zeros(len(x), dtype=bool)
    for block in blocks(real_points, other_points):
        inside = block.at_most(reach_x[block.rows, None])
        held += int(np.count_nonzero(inside))
        covered[block.rows] |= inside.any(axis=1)
    return DensityCoverage(held / (k * len(y)), float(covered.mean()))


def _blocks(n: int, width: int) -> list[slice]:
    step = max(1, BLOCK // width)
    return [slice(start, start + step) for start in range(0, n, step)]


def ms_ssim(
    image_a: ArrayLike, image_b: ArrayLike, *, data_range: float, weights: Sequence[float] = WANG_WEIGHTS
) -> float:
    """Multi-scale structural similarity of two images (H, W) or volumes (D, H, W) (Wang et al. 2003, equation 7).

    Means over the image of contrast-structure at each scale and of SSIM at the coarsest, raised to the weights and
    multiplied. Gaussian window of 11 voxels an axis with standard deviation 1.5, only where it fits inside the image;
    constants (0.01 range)^2 and (0.03 range)^2; a scale is halved by the mean of 2 x 2 (x 2) voxels, a last odd
    row dropped. A negative mean counts as 0. MONAI's values are these. Copies of the authors' MATLAB program differ:
    some lowpass about each voxel with mirrored borders, some leave the exponent of the coarsest scale out.
    data_range: largest minus smallest possible value, positive. weights: from fine to coarse, one a scale; give fewer
    for images with a side below 11 * 2^(scales - 1) (176 for the five of the paper).
    Returns a number in [0, 1]; 1.0 for equal images. Raises ValueError on images too small for the scales, unequal
    shapes and values that are not finite.
    """
    a, b = (real_array(name, image, ndim=(2, 3)).astype(float) for name, image in _named(image_a, image_b))
    if a.shape != b.shape:
        raise ValueError(f"image_b must have the shape of image_a {a.shape}, got {b.shape}")
    exponents = np.asarray(weights, dtype=float)
    if exponents.ndim != 1 or not exponents.size or not np.all(np.isfinite(exponents) & (exponents > 0)):
        raise ValueError(f"weights must be positive numbers, one a scale, got {weights!r}")
    real = isinstance(data_range, int | float | np.integer | np.floating) and not isinstance(data_range, bool)
    if not real or not 0 < data_range < math.inf:
        raise ValueError(f"data_range must be a positive number, got {data_range!r}")
    smallest = 11 * 2 ** (exponents.size - 1)
    if min(a.shape) < smallest:
        raise ValueError(
            f"image_a must have sides of at least {smallest} for {exponents.size} scales, got shape {a.shape}: "
            "give fewer weights"
        )
    for name, image in _named(a, b):
        if not np.isfinite(image).all():
            raise ValueError(f"{name} must hold finite numbers, got infinite values")
    value = 1.0
    for scale, exponent in enumerate(exponents, start=1):
        similarity, contrast = _ssim(a, b, float(data_range))
        part = similarity if scale == exponents.size else contrast
        value *= max(0.0, part) ** float(exponent)
        a, b = _halved(a), _halved(b)
    return min(1.0, value)


def _named(a: ArrayLike, b: ArrayLike) -> tuple[tuple[str, ArrayLike], tuple[str, ArrayLike]]:
    return ("image_a", a), ("image_b", b)


def _ssim(a: FloatArray, b: FloatArray, data_range: float) -> tuple[float, float]:
    """Means over the image of SSIM and of its contrast-structure part."""
    first, second = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_a, mean_b = _windowed(a), _windowed(b)
    variances = _windowed(a * a) + _windowed(b * b) - mean_a**2 - mean_b**2
    covariance = _windowed(a * b) - mean_a * mean_b
    contrast = (2 * covariance + second) / (variances + second)
    luminance = (2 * mean_a * mean_b + first) / (mean_a**2 + mean_b**2 + first)
    return float(np.mean(luminance * contrast)), float(np.mean(contrast))


def _windowed(image: FloatArray) -> FloatArray:
    """Gaussian mean about each voxel whose window of 11 fits inside the image."""
    window = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window /= window.sum()
    for axis in range(image.ndim):
        inside = (slice(None),) * axis + (slice(5, image.shape[axis] - 5),)
        image = ndimage.correlate1d(image, window, axis=axis, mode="nearest")[inside]
    return image


def _halved(image: FloatArray) -> FloatArray:
    for axis in range(image.ndim):
        lines = np.moveaxis(image, axis, 0)
        even = lines[: len(lines) // 2 * 2]
        image = np.moveaxis((even[::2] + even[1::2]) / 2.0, 0, axis)
    return image


def _features(
    first: ArrayLike, second: ArrayLike, *, names: tuple[str, str] = ("features_a", "features_b"), minimum: int = 2
) -> tuple[FloatArray, FloatArray]:
    checked: list[NDArray[np.float64]] = []
    for name, values in zip(names, (first, second), strict=True):
        array = real_array(name, values, ndim=(2,)).astype(float, copy=False)
        if len(array) < minimum or array.shape[1] == 0:
            raise ValueError(f"{name} must have shape (n, d) with n >= {minimum} and d >= 1, got shape {array.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} must hold finite numbers, got infinite values")
        checked.append(array)
    if checked[0].shape[1] != checked[1].shape[1]:
        raise ValueError(
            f"{names[1]} must have as many columns as {names[0]} ({checked[0].shape[1]}), got {checked[1].shape[1]}"
        )
    return checked[0], checked[1]


def _neighbours(k: int, n: int, of: str) -> int:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k < n:
        raise ValueError(f"k must be a whole number from 1 to {n - 1}, one less than the images of {of}, got {k!r}")
    return int(k)
