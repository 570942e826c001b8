"""Bags of real histology tiles (PathMNIST at 224 pixels): virtual slides whose tumour tiles are known.

Training and validation tiles come from one centre, test tiles from another; patients are not published. As with
report bags, tiles are dealt into blocks and a bag takes its tiles from one block, so that blocks are the units.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import DataError
from .fetch import locate
from .manifests import load

TISSUES = (
    "adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa",
    "cancer-associated stroma", "colorectal adenocarcinoma epithelium",
)  # fmt: skip
MUCOSA, STROMA, TUMOUR = 6, 7, 8
Split = Literal["train", "val", "test"]
Task = Literal["tumour", "stroma"]
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class TileBags:
    """Virtual slides: one entry a bag.

    features: (n_i, d) float32 arrays, a row a tile. labels (n,). tile: (n_i,) row numbers of the tiles in the array
    that was given. evidence: (n_i,) bool, the tiles that make the label. block (n,): the independent unit.
    """

    features: list[NDArray[np.float32]]
    labels: NDArray[np.int64]
    tile: list[NDArray[np.int64]]
    evidence: list[NDArray[np.bool_]]
    block: NDArray[np.int64]
    task: str

    def __len__(self) -> int:
        return len(self.labels)


def read_tiles(
    split: Split, per_class: int, *, seed: int, path: Path | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (m, 224, 224, 3) and tissues (m,) of up to per_class tiles of each class, in the order of the file.

    Rows are read one block after the other from the archive, so that memory holds the chosen tiles and never the
    whole 13 GB. path: pathmnist_224.npz; found and verified when left out, and then also counted.
    Raises DataError when the archive is not of the expected layout.
    """
    source = Path(path) if path is not None else locate("pathmnist_224")
    try:
        with zipfile.ZipFile(source) as archive:
            with archive.open(f"{split}_labels.npy") as stream:
                count, shape, dtype = _header(stream, source)
                tissues = np.frombuffer(stream.read(), dtype=dtype).reshape(count, *shape)[:, 0].astype(np.int64)
            expected = load("pathmnist_224").counts[split] if path is None else count
            if count != expected or tissues.min() < 0 or tissues.max() >= len(TISSUES):
                raise DataError(f"pathmnist_224: {count} {split} tiles in {source}, expected {expected}")
            chosen = _choose(tissues, per_class, np.random.default_rng(seed))
            with archive.open(f"{split}_images.npy") as stream:
                images = _read_rows(stream, chosen, count, source)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise DataError(f"pathmnist_224: {source} is not the expected archive: {error}") from None
    return images, tissues[chosen]


def make_bags(
    features: ArrayLike,
    tissues: ArrayLike,
    n_bags: int,
    *,
    task: Task = "tumour",
    fraction: float = 0.05,
    tiles_per_bag: tuple[int, int] = (200, 1000),
    n_blocks: int = 20,
    seed: int,
) -> TileBags:
    """Virtual slides, half of them positive, in random order.

    features (m, d), tissues (m,): encoded tiles and their class. task "tumour": a positive slide holds `fraction`
    adenocarcinoma epithelium, at least one tile, and a negative one as much normal mucosa instead; both hold further
    mucosa as distractor. task "stroma": 2 * fraction cancer-associated stroma against fraction / 2.
    tiles_per_bag: smallest and largest size of a slide; tiles are drawn with replacement inside their block.
    Raises ValueError on shapes that do not fit, and when a block lacks a tissue that the task needs.
    """
    vectors, kind = np.asarray(features, dtype=np.float32), np.asarray(tissues)
    if vectors.ndim != 2 or kind.shape != (len(vectors),):
        raise ValueError(f"features must be (m, d) and tissues (m,), got {vectors.shape} and {kind.shape}")
    if task not in ("tumour", "stroma"):
        raise ValueError(f"task must be tumour or stroma, got {task!r}")
    if n_bags < 2 or n_bags % 2:
        raise ValueError(f"n_bags must be an even number >= 2, got {n_bags}")
    if not 0 < fraction < 0.5:
        raise ValueError(f"fraction must lie in (0, 0.5), got {fraction}")
    low, high = tiles_per_bag
    if not 2 <= low <= high:
        raise ValueError(f"tiles_per_bag must be two increasing sizes >= 2, got {tiles_per_bag}")
    rng = np.random.default_rng(seed)
    key = TUMOUR if task == "tumour" else STROMA
    order = np.argsort(kind, kind="stable")  # classes are dealt out evenly
    blocks = [order[start::n_blocks] for start in range(n_blocks)]
    pools = [_pools(block, kind, key) for block in blocks]
    if any(len(pool) == 0 for parts in pools for pool in parts):
        raise ValueError(f"tissues must hold at least {n_blocks} tiles of class {key}, {MUCOSA} and of others")

    features_of, labels, tile, evidence, where = [], [], [], [], []
    for label in rng.permutation(np.arange(n_bags) % 2):
        block, size = int(rng.integers(n_blocks)), int(rng.integers(low, high + 1))
        share = fraction * ((2 if label else 0.5) if task == "stroma" else (1 if label else 0))
        n_key = max(1, round(share * size)) if share else 0
        n_mucosa = max(1, round(fraction * size)) + (0 if label or task == "stroma" else max(1, round(fraction * size)))
        sizes = (n_key, n_mucosa, max(size - n_key - n_mucosa, 1))
        drawn = np.concatenate([rng.choice(p, k) for p, k in zip(pools[block], sizes, strict=True)])
        drawn = rng.permutation(drawn)
        features_of.append(vectors[drawn])
        labels.append(int(label))
        tile.append(drawn)
        evidence.append(kind[drawn] == key)
        where.append(block)
    return TileBags(features_of, np.array(labels), tile, evidence, np.array(where), task)


def _pools(block: NDArray[np.int64], kind: NDArray[np.int64], key: int) -> list[NDArray[np.int64]]:
    """Rows of the tissue that decides, of normal mucosa, and of what is neither (tumour is never mere background)."""
    of = kind[block]
    return [block[of == key], block[of == MUCOSA], block[(of != key) & (of != MUCOSA) & (of != TUMOUR)]]


def _choose(tissues: NDArray[np.int64], per_class: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if per_class < 1:
        raise ValueError(f"per_class must be >= 1, got {per_class}")
    rows = [np.flatnonzero(tissues == k) for k in range(len(TISSUES))]
    return np.sort(np.concatenate([rng.permutation(r)[:per_class] for r in rows]))


def _header(stream: IO[bytes], source: Path) -> tuple[int, Sequence[int], np.dtype]:
    """Rows, shape of a row and type of an array file, read without pickle."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if fortran or dtype.hasobject or not shape:
        raise DataError(f"pathmnist_224: {source} holds an array of another layout than expected")
    return shape[0], shape[1:], dtype


def _read_rows(stream: IO[bytes], rows: NDArray[np.int64], count: int, source: Path) -> NDArray[np.uint8]:
    n, shape, dtype = _header(stream, source)
    if n != count or dtype != np.uint8 or len(shape) != 3 or shape[2] != 3:
        raise DataError(
            f"pathmnist_224: images of {source} are {dtype} {(n, *shape)}, expected uint8 ({count}, H, W, 3)"
        )
    size = int(np.prod(shape))
    images = np.empty((len(rows), *shape), dtype=np.uint8)
    for start in range(0, int(rows[-1]) + 1, _ROWS_AT_ONCE):
        stop = min(start + _ROWS_AT_ONCE, n)
        content = stream.read((stop - start) * size)
        if len(content) != (stop - start) * size:
            raise DataError(f"pathmnist_224: {source} ends after row {start}")
        first, last = np.searchsorted(rows, [start, stop])
        images[first:last] = np.frombuffer(content, np.uint8).reshape(-1, *shape)[rows[first:last] - start]
    return images
