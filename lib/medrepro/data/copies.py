"""Copies of an image inside a set, exact and near, and the groups they make.

A film that is there twice must not be in training and test, whatever its id says. Where patients are not published,
groups of near copies are the best unit there is; it is a lower bound for what belongs together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def pixel_hashes(images: Iterable[ArrayLike]) -> NDArray[np.str_]:
    """SHA-256 of the shape, type and pixels of each image: equal only for exact copies."""
    made = []
    for image in images:
        pixels = np.ascontiguousarray(image)
        made.append(hashlib.sha256(f"{pixels.shape} {pixels.dtype}\n".encode() + pixels.tobytes()).hexdigest())
    return np.array(made, dtype=str)


def repeats(values: ArrayLike) -> NDArray[np.bool_]:
    """True for each row whose value was there before; the sum is the number of surplus copies."""
    column = np.asarray(values)
    return ~np.isin(np.arange(len(column)), np.unique(column, return_index=True)[1])


def near_copies(images: NDArray, *, size: int = 16, limit: float = 0.98) -> NDArray[np.int64]:
    """Pairs (P, 2) of rows, first < second, whose images are nearly the same.

    images (N, H, W): reduced to size x size by block means (H and W must be multiples of it), less their mean; a pair
    counts when the cosine of the two is above `limit`. A constant image is near to none.
    Raises ValueError when the sizes do not divide.
    """
    if images.ndim != 3 or images.shape[1] % size or images.shape[2] % size:
        raise ValueError(f"images must be (N, H, W) with H and W multiples of {size}, got {images.shape}")
    n, height, width = images.shape
    blocks = images.reshape(n, size, height // size, size, width // size).mean((2, 4), dtype=np.float64)
    vectors = blocks.reshape(n, -1) - blocks.mean((1, 2))[:, None]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-9)
    return np.argwhere(np.triu(vectors @ vectors.T > limit, 1))


def linked_groups(*keys: ArrayLike, pairs: ArrayLike | None = None) -> NDArray[np.int64]:
    """Number of the group (0 ..., by first row) of each row: rows are linked by an equal value of any key, or a pair.

    keys: one or more arrays (N,). pairs: (P, 2) row numbers. Links are followed through others.
    """
    n = len(np.asarray(keys[0]))
    rows = np.arange(n)
    links = [np.stack([rows, first_of_group(rows, key)], axis=1) for key in keys]
    if pairs is not None and len(np.asarray(pairs)):
        links.append(np.asarray(pairs, dtype=np.int64))
    ends = np.concatenate(links)
    graph = coo_array((np.ones(len(ends), dtype=np.int8), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, first, label = np.unique(label, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[label]


def first_of_group(names: ArrayLike, groups: ArrayLike) -> NDArray:
    """For each row, the name that the first row of its group has."""
    _, first, group = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    return np.asarray(names)[first][group]
