"""Which distances between sets of features are at most some bound: exact answers, mostly from single precision.

Squared distances of two blocks of rows come out of one matrix product in single precision, which runs at twice the
speed of double precision. Its rounding error has a proven bound (Higham, Accuracy and Stability of Numerical
Algorithms, 2002, section 3.1, for any order of summation), and only comparisons closer than that are decided anew in
double precision. No matrix of distances larger than BLOCK x BLOCK is held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._inputs import BoolArray, FloatArray, IntArray

BLOCK = 512  # rows and columns of a block of distances: 1 MB in single precision
TIE = 1e-12  # relative to the squared norms: distances this close are equal, rounding separated them
CACHED = 2**15  # numbers in a working array: 256 kB
CLOSE = 0.02  # with a larger share of undecided comparisons a block is cheaper in double precision as a whole


class Points:
    """Rows (n, d), taken as (row - centre) * scale: their squared norms, and (x, 1, |x|^2) in single precision.

    In double precision they are made anew where they are needed, a few at a time.
    """

    def __init__(self, given: FloatArray, centre: FloatArray, scale: float) -> None:
        self.given, self.centre, self.scale = given, centre, scale
        n, d = given.shape
        self.norms = np.empty(n)
        self.single = np.ones((n, d + 2), dtype=np.float32)
        for start in range(0, n, BLOCK):
            part = slice(start, start + BLOCK)
            rows = self.rows(part)
            self.norms[part] = np.einsum("ij,ij->i", rows, rows)
            self.single[part, :-2] = rows
        self.single[:, -1] = self.norms

    def __len__(self) -> int:
        return len(self.given)

    def rows(self, which: slice) -> FloatArray:
        """Some rows (b, d) in double precision."""
        return (self.given[which] - self.centre) * self.scale

    def take(self, which: IntArray, out: FloatArray) -> FloatArray:
        """Single rows (p, d) in double precision, written into `out`."""
        np.take(self.given, which, axis=0, out=out, mode="clip")  # "clip", though nothing lies outside: no copy
        out -= self.centre
        out *= self.scale
        return out

    def left(self, rows: slice) -> NDArray[np.float32]:
        """(-2 x, |x|^2, 1), whose product with (y, 1, |y|^2) is the squared distance."""
        part = self.single[rows]
        return np.concatenate([-2 * part[:, :-2], part[:, -1:], part[:, -2:-1]], axis=1)


@dataclass(frozen=True)
class Block:
    """Squared distances (b, c) of rows of x to rows of y in single precision; no entry is off by more than `error`."""

    x: Points
    y: Points
    rows: slice
    columns: slice
    distance: NDArray[np.float32]
    error: float

    def turned(self) -> Block:
        """The same distances, of y to x."""
        return Block(self.y, self.x, self.columns, self.rows, np.ascontiguousarray(self.distance.T), self.error)

    def exact(self) -> tuple[FloatArray, FloatArray]:
        """The whole block (b, c) in double precision, and the difference that counts as a tie."""
        norms = self.x.norms[self.rows, None] + self.y.norms[self.columns]
        return norms - 2.0 * (self.x.rows(self.rows) @ self.y.rows(self.columns).T), TIE * norms

    def at_most(self, bound: FloatArray) -> BoolArray:
        """Where the distance is at most the bound, (b, 1) or (1, c), equal ones included."""
        margin = self.error + 2.0**-23 * np.abs(bound)  # the bounds are rounded to single precision too
        inside: BoolArray = self.distance <= (bound - margin).astype(np.float32)
        undecided = np.flatnonzero(inside != (self.distance <= (bound + margin).astype(np.float32)))
        if undecided.size > CLOSE * inside.size:
            distance, tie = self.exact()
            return np.asarray(distance <= bound + tie)
        i, j = np.divmod(undecided, inside.shape[1])
        distance, tie = squared_distances(self.x, self.y, i + self.rows.start, j + self.columns.start)
        inside[i, j] = distance <= np.broadcast_to(bound, inside.shape)[i, j] + tie
        return inside


def squared_distances(x: Points, y: Points, i: IntArray, j: IntArray) -> tuple[FloatArray, FloatArray]:
    """Squared distances (p,) of rows i of x to rows j of y in double precision, and what counts as a tie."""
    products, width = np.empty(len(i)), x.centre.size
    step = max(1, CACHED // width)
    first, second = np.empty((2, min(step, len(i)), width))  # used again and again: they stay in the cache
    for start in range(0, len(i), step):
        part = slice(start, min(start + step, len(i)))
        a, b = x.take(i[part], first[: part.stop - start]), y.take(j[part], second[: part.stop - start])
        np.einsum("pd,pd->p", a, b, out=products[part])
    norms = x.norms[i] + y.norms[j]
    return norms - 2.0 * products, TIE * norms


def points(*sets: FloatArray) -> list[Points]:
    """Sets of rows (n, d) about one centre, scaled to norms of at most 1 by a power of two, which changes no digit.

    Inner products lose digits far from the origin, and single precision has a smaller range.
    """
    centre = sets[0].mean(axis=0)
    largest = max(float(max((rows.max(axis=0) - centre).max(), (centre - rows.min(axis=0)).max())) for rows in sets)
    exponent = max(math.frexp(largest)[1] + math.ceil(math.log2(centre.size) / 2), -1000)
    return [Points(rows, centre, 2.0**-exponent) for rows in sets]


def blocks(x: Points, y: Points) -> Iterator[Block]:
    """All distances of x to y, block by block; of x to itself the blocks on and above the diagonal only.

    Blocks lie in the same memory: use one up before asking for the next.
    """
    memory = np.empty(BLOCK * BLOCK, dtype=np.float32)
    terms = x.single.shape[1] + 6  # products to add, and roundings on the way into single precision
    gamma = terms * 2.0**-24 / (1.0 - terms * 2.0**-24)
    for start_x in range(0, len(x), BLOCK):
        rows = slice(start_x, min(start_x + BLOCK, len(x)))
        left = x.left(rows)
        for start_y in range(start_x if x is y else 0, len(y), BLOCK):
            columns = slice(start_y, min(start_y + BLOCK, len(y)))
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            distance = memory[: shape[0] * shape[1]].reshape(shape)
            np.matmul(left, y.single[columns].T, out=distance)
            # |x|^2 + |y|^2 + 2 |x.y| is at most twice this; the last term stands for numbers too small to hold.
            largest = float(x.norms[rows].max() + y.norms[columns].max())
            yield Block(x, y, rows, columns, distance, (2.0 * gamma + TIE) * largest + 1e-34)


def reach(x: Points, k: int) -> FloatArray:
    """Squared distance (n,) of each row to its k-th nearest neighbour among the others, in double precision."""
    near = np.full(len(x), math.inf)  # the k-th smallest distance is not above
    pairs: list[tuple[IntArray, IntArray, FloatArray, FloatArray]] = []
    for block in blocks(x, x):
        if block.rows == block.columns:
            np.fill_diagonal(block.distance, math.inf)
            pairs.append(_candidates(block, k, near))
        else:
            pairs.append(_candidates(block, k, near))
            pairs.append(_candidates(block.turned(), k, near))
    i, j, least, most = (np.concatenate(part) for part in zip(*pairs, strict=True))
    possible = least <= _kth(i, most, len(x), k)[i]
    i, j = i[possible], j[possible]
    distance, _ = squared_distances(x, x, i, j)
    return _kth(i, distance, len(x), k)


def _kth(i: IntArray, values: FloatArray, n: int, k: int) -> FloatArray:
    """The k-th smallest (n,) of the values that belong to each i."""
    order = np.lexsort((values, i))
    first = np.searchsorted(i[order], np.arange(n))
    return np.asarray(values[order][first + k - 1])


def _candidates(block: Block, k: int, near: FloatArray) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Pairs i, j that may be among the k nearest of i, and the least and most their distance can be; lowers `near`."""
    distance, rows, width = block.distance, block.rows, block.distance.shape[1]
    if width > k:
        kth = np.partition(distance, k - 1, axis=1)[:, k - 1].astype(float)
        np.minimum(near[rows], kth + block.error, out=near[rows])
    limit = np.nextafter((near[rows] + block.error).astype(np.float32), np.float32(math.inf))
    places = np.flatnonzero((distance <= limit[:, None]) & (distance < math.inf))
    if places.size > CLOSE * distance.size and width > 2 * k:
        # Too many are as near as rounding can tell (copies): of exact distances k a row are enough.
        exact, _ = block.exact()
        exact[~np.isfinite(distance)] = math.inf
        i, j = np.repeat(np.arange(len(exact)), k), np.argpartition(exact, k - 1, axis=1)[:, :k].ravel()
        i, j = i[exact[i, j] < math.inf], j[exact[i, j] < math.inf]
        least = most = exact[i, j]
    else:
        i, j = np.divmod(places, width)
        found = distance[i, j].astype(float)
        least, most = found - block.error, found + block.error
    return i + rows.start, j + block.columns.start, least, most
