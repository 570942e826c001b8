"""Stand-in whole-slide images: tiles on a grid with features from tissue prototypes, and a tumour whose type matters.

What is planted, and where:

- Every slide holds one contiguous tumour. Its tiles share a malignant direction and carry a subtype direction, at the
  slide's own grade: position e_class + N(0, grade_sd^2) in the space of subtypes.
- Look-alikes, benign tiles scattered over the slide, carry subtype directions of any class without the malignant one.
  The slide's mean therefore says little of the class: the subtype must be read where malignancy is.
- Each slide has its own stain shift, the same for all of its tiles, and each tile has noise of its own.
- Task "neighbour": every slide holds both tumour types in equal amounts; the label is whether the two touch.

Since the grade varies between slides, even a reader who knows the mask cannot separate the classes fully:
`Slides.oracle` is that reader's score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Task = Literal["two_class", "three_class", "neighbour"]
TASKS = ("two_class", "three_class", "neighbour")
STROMA, FAT, LYMPHOCYTES, LOOK_ALIKE = range(4)
TUMOUR = 4  # tissue code of the first tumour type; the next types follow


@dataclass(frozen=True, eq=False)
class Slides:
    """S slides of up to N tiles, padded with zeros behind the last tile; tiles run row by row.

    features (S, N, 64) float32; mask (S, N): True for tiles; coords (S, N, 2): row and column; tissue (S, N): code
    of the prototype; tumour (S, N): the recorded mask; labels (S, K) 0 or 1: one column for two classes, one per class
    one-against-the-rest for three; oracle (S, K): score of a reader who knows mask, stain and prototypes.
    """

    features: NDArray[np.float32]
    mask: NDArray[np.bool_]
    coords: NDArray[np.int16]
    tissue: NDArray[np.int8]
    tumour: NDArray[np.bool_]
    labels: NDArray[np.float32]
    oracle: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, index: slice) -> Slides:
        return Slides(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def make_slides(
    n_slides: int,
    task: Task = "two_class",
    *,
    n_tiles: tuple[int, int] = (100, 300),
    tumour_fraction: float = 0.1,
    malignant: float = 4.0,
    subtype: float = 2.5,
    grade_sd: float = 0.5,
    look_alikes: float = 0.15,
    stain_sd: float = 0.4,
    noise_sd: float = 1.0,
    n_features: int = 64,
    signal_outside_mask: bool = False,
    seed: int,
) -> Slides:
    """Draw slides; classes are balanced and in random order.

    n_tiles: fewest and most tiles of a slide. tumour_fraction: mean share of tumour tiles, between 0.5 and 1.5 times
    as large in a slide. malignant, subtype: length of the two planted directions, in units of noise_sd = 1.
    grade_sd: spread of a slide's subtype position, what bounds the best AUC. look_alikes: mean share of benign tiles
    with a subtype direction. stain_sd: length per feature of a slide's shift.
    signal_outside_mask: the recorded mask is another, equally large region without any tumour (to plant the opposite
    of a heat map that finds the tumour).
    Raises ValueError when an argument is out of range.
    """
    _check(n_slides, task, n_tiles, tumour_fraction, look_alikes, n_features)
    rng = np.random.default_rng(seed)
    prototypes = _prototypes(n_features)  # the same tissue in every draw, whatever the seed
    n_classes = 3 if task == "three_class" else 2
    classes = rng.permutation(np.arange(n_slides) % n_classes)
    counts = rng.integers(n_tiles[0], n_tiles[1] + 1, size=n_slides)
    coords, mask = _tissue_outline(counts, n_tiles[1], rng)
    n_tumour = np.maximum(2, np.rint(counts * tumour_fraction * rng.uniform(0.5, 1.5, n_slides))).astype(int)
    if task == "neighbour":
        tumour, kind = _two_regions(coords, mask, n_tumour, touching=classes == 1, rng=rng)
    else:
        tumour = _region(coords, mask, n_tumour, rng)
        kind = np.broadcast_to(classes[:, None], mask.shape)
    # A generator of its own: the slides stay the same, only the recorded mask moves.
    decoy = np.random.default_rng([seed, 1])
    recorded = _region(coords, mask & ~tumour, n_tumour, decoy) if signal_outside_mask else tumour

    tissue = _background(coords, rng)
    look = rng.random(mask.shape) < (look_alikes * rng.uniform(0, 2, n_slides))[:, None]
    tissue = np.where(look, LOOK_ALIKE, tissue)
    tissue = np.where(tumour, TUMOUR + kind, tissue)

    # Positions in the space of subtypes: the slide's own grade in its tumour, a class drawn per tile in look-alikes.
    grade = grade_sd * rng.standard_normal((n_slides, n_classes))
    mixture = rng.dirichlet(np.ones(n_classes), size=n_slides)  # which classes this slide's look-alikes resemble
    drawn = (rng.random(mask.shape)[..., None] > mixture.cumsum(axis=1)[:, None, :]).sum(axis=2)
    eye = np.eye(n_classes)
    position = np.where(tumour[..., None], eye[kind] + grade[:, None, :], np.where(look[..., None], eye[drawn], 0.0))

    stain = stain_sd * rng.standard_normal((n_slides, 1, n_features))
    features = noise_sd * rng.standard_normal((*mask.shape, n_features), dtype=np.float32)
    features += stain.astype(np.float32)
    features += prototypes["tissue"][np.minimum(tissue, TUMOUR)] * np.float32(malignant)
    features += (subtype * position @ prototypes["subtypes"][:n_classes]).astype(np.float32)
    features *= mask[..., None]

    if task == "neighbour":
        labels, oracle = classes[:, None] == 1, -_gap(coords, tissue)[:, None]
    else:
        spread = grade_sd**2 + noise_sd**2 / (subtype**2 * n_tumour)
        signal = (features - stain) @ prototypes["subtypes"][:n_classes].T / subtype  # (S, N, K)
        found = (signal * tumour[..., None]).sum(axis=1) / n_tumour[:, None]
        oracle = _log_odds(found, spread[:, None])
        labels = classes[:, None] == np.arange(n_classes)
        if n_classes == 2:
            oracle, labels = oracle[:, 1:], labels[:, 1:]
    return Slides(
        features=features,
        mask=mask,
        coords=np.where(mask[..., None], coords, 0).astype(np.int16),
        tissue=np.where(mask, tissue, -1).astype(np.int8),
        tumour=recorded & mask,
        labels=labels.astype(np.float32),
        oracle=oracle.astype(np.float64),
    )


def _check(
    n_slides: int, task: str, n_tiles: tuple[int, int], tumour_fraction: float, look_alikes: float, n_features: int
) -> None:
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
    if n_slides < 1:
        raise ValueError(f"n_slides must be >= 1, got {n_slides}")
    if not 16 <= n_tiles[0] <= n_tiles[1]:
        raise ValueError(f"n_tiles must be (fewest, most) with 16 <= fewest <= most, got {n_tiles}")
    if not 0 < tumour_fraction <= 0.5:
        raise ValueError(f"tumour_fraction must be in (0, 0.5], got {tumour_fraction}")
    if not 0 <= look_alikes <= 0.5:
        raise ValueError(f"look_alikes must be in [0, 0.5], got {look_alikes}")
    if n_features < 8:
        raise ValueError(f"n_features must be >= 8, one for each planted direction, got {n_features}")


def _prototypes(n_features: int) -> dict[str, NDArray[np.float32]]:
    """Orthonormal directions: one per benign tissue (look-alikes have none), malignancy, and three subtypes."""
    basis, _ = np.linalg.qr(np.random.default_rng(20230511).standard_normal((n_features, 7)))
    directions = basis.T.astype(np.float32)
    tissue = np.zeros((TUMOUR + 1, n_features), dtype=np.float32)
    tissue[[STROMA, FAT, LYMPHOCYTES, TUMOUR]] = directions[:4]
    return {"tissue": tissue, "subtypes": directions[4:]}


def _tissue_outline(
    counts: NDArray[np.int_], most: int, rng: np.random.Generator
) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
    """An ellipse of `counts` cells on a square grid per slide: coords (S, most, 2) row by row, mask (S, most)."""
    side = int(np.ceil(1.6 * np.sqrt(most)))
    rows, columns = np.divmod(np.arange(side * side), side)
    aspect = np.exp(rng.uniform(-0.4, 0.4, len(counts)))[:, None]
    centre = (side - 1) / 2 + rng.uniform(-0.5, 0.5, (len(counts), 2))
    distance = aspect * (rows - centre[:, :1]) ** 2 + (columns - centre[:, 1:]) ** 2 / aspect
    inside = _smallest(distance, counts)
    cells = np.argsort(~inside, axis=1, kind="stable")[:, :most]  # cells of the tissue first, row by row
    mask = np.arange(most) < counts[:, None]
    return np.stack([rows[cells], columns[cells]], axis=-1), mask


def _smallest(distance: NDArray[np.floating], counts: NDArray[np.int_]) -> NDArray[np.bool_]:
    """True for the counts[s] smallest entries of each row."""
    rank = np.argsort(np.argsort(distance, axis=1, kind="stable"), axis=1, kind="stable")
    return rank < counts[:, None]


def _region(
    coords: NDArray[np.int_], allowed: NDArray[np.bool_], sizes: NDArray[np.int_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """The sizes[s] allowed tiles nearest to a random allowed tile of each slide, in an elliptic distance."""
    return _smallest(_distance(coords, allowed, rng), sizes)


def _distance(coords: NDArray[np.int_], allowed: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.floating]:
    centre = np.argmax(np.where(allowed, rng.random(allowed.shape), -1.0), axis=1)
    offset = coords - coords[np.arange(len(coords)), centre][:, None, :]
    aspect = np.exp(rng.uniform(-0.4, 0.4, len(coords)))[:, None]
    squared = aspect * offset[..., 0] ** 2 + offset[..., 1] ** 2 / aspect
    return np.where(allowed, squared + 1e-6 * rng.random(allowed.shape), np.inf)


def _two_regions(
    coords: NDArray[np.int_],
    mask: NDArray[np.bool_],
    sizes: NDArray[np.int_],
    *,
    touching: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[NDArray[np.bool_], NDArray[np.int_]]:
    """Two tumour types of half the size each, side by side or far apart: (any tumour, type of each tile)."""
    half = np.maximum(1, sizes // 2)
    distance = _distance(coords, mask, rng)
    first = _smallest(distance, half)
    # Side by side: the next ring around the first. Apart: as far away as the slide allows.
    beside = _smallest(np.where(first, np.inf, distance), half)
    far = _smallest(np.where(mask, -distance, np.inf), half)
    second = np.where(touching[:, None], beside, far)
    swap = rng.random(len(coords)) < 0.5  # which type lies inside is no clue
    return first | second, np.where(swap[:, None], first, second).astype(int)


def _gap(coords: NDArray[np.int_], tissue: NDArray[np.integer]) -> NDArray[np.floating]:
    """Smallest distance between tiles of the two tumour types of each slide, in tiles."""
    gaps = np.empty(len(coords))
    for index, (place, kind) in enumerate(zip(coords, tissue, strict=True)):
        a, b = place[kind == TUMOUR], place[kind == TUMOUR + 1]
        gaps[index] = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1).min())
    return gaps


def _background(coords: NDArray[np.int_], rng: np.random.Generator) -> NDArray[np.int_]:
    """Stroma, fat and lymphocytes in patches: each tile takes the tissue of the nearest of nine seeds."""
    low, high = coords.min(axis=1, keepdims=True), coords.max(axis=1, keepdims=True)
    seeds = low + rng.random((len(coords), 9, 2)) * (high - low)
    nearest = ((coords[:, :, None, :] - seeds[:, None]) ** 2).sum(axis=-1).argmin(axis=2)
    kinds = rng.choice([STROMA, FAT, LYMPHOCYTES], p=[0.5, 0.2, 0.3], size=(len(coords), 9))
    return np.take_along_axis(kinds, nearest, axis=1)


def _log_odds(position: NDArray[np.floating], variance: NDArray[np.floating]) -> NDArray[np.floating]:
    """Log-odds of each class against the rest for Gaussian positions around the corners e_k; equal priors."""
    n_classes = position.shape[1]
    log_likelihood = position / variance  # the terms that do not depend on the class cancel
    odds = np.empty_like(log_likelihood)
    for k in range(n_classes):
        odds[:, k] = log_likelihood[:, k] - np.logaddexp.reduce(np.delete(log_likelihood, k, axis=1), axis=1)
    return odds
