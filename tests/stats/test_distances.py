"""Distances decided in single precision: the answers of double precision on close calls, copies, outliers, scales."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from medrepro.stats import _distances
from medrepro.stats._distances import BLOCK, blocks, points, reach


def sets(seed: int, n: int = 60, m: int = 45, d: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), 1.1 * rng.normal(size=(m, d))


def at_most(x, y, bound):
    found = np.zeros((len(x), len(y)), dtype=bool)
    for block in blocks(x, y):
        found[block.rows, block.columns] = block.at_most(bound[block.rows, None])
    return found


@pytest.mark.parametrize("kind", ["continuous", "whole numbers", "copies", "outlier", "large", "small", "one feature"])
@pytest.mark.parametrize("size", [7, BLOCK])
def test_reach_and_balls_are_those_of_double_precision(monkeypatch, kind, size):
    monkeypatch.setattr(_distances, "BLOCK", size)
    for seed in range(8):
        a, b = sets(seed, d=1 if kind == "one feature" else 7)
        if kind == "whole numbers":
            a, b = a.round(), b.round()
        if kind == "copies":
            a, b = np.repeat(a[:6], 10, axis=0), np.repeat(a[:9], 5, axis=0)
        if kind == "outlier":
            a[3] *= 1e6
        scale = {"large": 1e160, "small": 1e-160}.get(kind, 1.0)
        x, y = points(a * scale, b * scale)
        within = np.sort(cdist(a, a, "sqeuclidean"), axis=1)
        back = np.sum((a - a.mean(axis=0)) ** 2, axis=1).max() / x.norms.max()  # undoes the scaling
        for k in (1, 4):
            found = reach(x, k)
            rounding = 1e-12 * max(np.sum(a**2, axis=1))
            np.testing.assert_allclose(found * back, within[:, k], rtol=1e-9, atol=rounding)
            margin = 1e-9 * within[:, [k]] + 4 * rounding
            between = cdist(a, b, "sqeuclidean")
            decided = np.abs(between - within[:, [k]]) > margin
            assert np.array_equal(at_most(x, y, found)[decided], (between <= within[:, [k]])[decided])


def test_a_point_on_the_boundary_is_inside():
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3)
    moved = np.add(grid[::-1], [1.0, 0.0, 0.0])
    x, y = points(grid, moved)
    inside = at_most(x, y, reach(x, 1))
    assert np.array_equal(inside, cdist(grid, moved) <= 1.0)
    assert inside.any()


def test_the_error_bound_of_single_precision_holds():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(80, 900)) * np.exp(rng.normal(size=(80, 1))), rng.normal(size=(70, 900))
    x, y = points(a, b)
    for block in blocks(x, y):
        exact, _ = block.exact()
        off = np.abs(block.distance - exact).max()
        assert 0 < off < block.error


def test_the_error_bound_matters(monkeypatch):
    """Without it, single precision decides wrongly where distances are close."""
    a = 1.0 + 1e-4 * np.random.default_rng(1).normal(size=(300, 3))
    a[0] = 50.0  # far away: the others differ in digits that single precision does not hold
    x, y = points(a, a[1:] + 1e-6)
    bound = np.full(len(a), np.median(np.concatenate([b.exact()[0].ravel() for b in blocks(x, y)])))
    exact = np.concatenate([b.exact()[0] for b in blocks(x, y)])
    assert np.array_equal(at_most(x, y, bound), exact <= bound[:, None])
    wrong = np.concatenate([block.distance <= bound[0] for block in blocks(x, y)]) != (exact <= bound[:, None])
    assert wrong.sum() > 100


def test_no_matrix_of_all_distances_is_held():
    rng = np.random.default_rng(0)
    x, _ = points(rng.normal(size=(4000, 5)), rng.normal(size=(2, 5)))
    tracemalloc.start()
    reach(x, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6 < 4 * 4000**2
