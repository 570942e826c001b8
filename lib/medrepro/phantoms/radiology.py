"""Small synthetic images of four kinds, three planes, five body regions and twelve abnormalities, with words.

Planted: kind of image (CT, MR, radiograph, angiogram), plane and region, all plainly visible; one abnormality whose
`visibility` scales its contrast, whose kinds follow a long tail, and of which each kind of image and region allows only
some. Captions use the phrases of `radiology_terms` at random. A share of the training captions can name one abnormality
as another (`consistent_error`): at shares near one, a model trained on them repeats the error without doubt; at one
half it learns to waver between the two names.

Best reachable: `oracle_abnormality` knows everything but the kind of abnormality, noise level included, and is the
Bayes rule; its accuracy is what a model cannot exceed: about 0.97 at 32 px, 0.985 at 48 px, 0.993 at 64 px for the
default visibilities, and 0.95 at 48 px where they end at 0.3. Without the image, the most frequent abnormality of the
right kind of image and region is right in about 0.37 (`prior_abnormality`).
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from .radiology_anatomy import FloatImages, body, draw_tissues
from .radiology_cases import RadiologyCases, abnormality_shares, make_cases
from .radiology_findings import draw_change, draw_vessels
from .radiology_terms import ABNORMALITIES, CONCEPTS, MODALITIES, ORGANS, PLANES

__all__ = [
    "CONFUSED",
    "NOISE_SD",
    "RadiologyCases",
    "abnormality_masks",
    "captions",
    "make_cases",
    "oracle_abnormality",
    "prior_abnormality",
    "render",
]

CONFUSED = ("cyst", "abscess")  # the first is captioned as the second in a `consistent_error` of the captions
NOISE_SD = np.array([0.06, 0.08, 0.055, 0.07], dtype=np.float32)  # of a pixel, by kind of image
_HALF_WIDTH = 1.1  # of the field of view, in body coordinates


def render(cases: RadiologyCases, size: int, *, noise: bool = True, abnormal: bool = True) -> FloatImages:
    """Images (n, size, size) float32, about 0 to 1; a case looks the same in every batch.

    noise: add pixel noise of standard deviation NOISE_SD. abnormal: draw the abnormality; without it the difference to
    the full image is where it is. Raises ValueError when size is not between 16 and 512.
    """
    if not 16 <= size <= 512:
        raise ValueError(f"size must be between 16 and 512, got {size}")
    images = np.empty((len(cases), size, size), dtype=np.float32)
    for organ in range(len(ORGANS)):
        for plane in range(len(PLANES)):
            chosen = np.flatnonzero((cases.organ == organ) & (cases.plane == plane))
            if len(chosen):
                images[chosen] = _draw(cases[chosen], ORGANS[organ], PLANES[plane], size, abnormal)
    if noise:
        for i, (key, modality) in enumerate(zip(cases.key, cases.modality, strict=True)):
            drawn = np.random.Generator(np.random.Philox(key=int(key))).standard_normal((size, size), np.float32)
            images[i] += NOISE_SD[modality] * drawn
    return images


def abnormality_masks(cases: RadiologyCases, size: int) -> NDArray[np.bool_]:
    """Where the abnormality changes the image by more than a tenth of its largest change, (n, size, size)."""
    change = np.abs(render(cases, size, noise=False) - render(cases, size, noise=False, abnormal=False))
    return change > 0.1 * change.max(axis=(1, 2), keepdims=True)


def oracle_abnormality(images: FloatImages, cases: RadiologyCases) -> NDArray[np.int64]:
    """The likeliest abnormality for whoever knows everything else: index into ABNORMALITIES, (n,).

    Bayes rule under the known noise: for each kind that the image allows, log prior - squared distance / (2 SD^2).
    """
    size = images.shape[-1]
    prior = abnormality_shares()[cases.modality, cases.organ]
    best = np.full(len(cases), -np.inf)
    found = np.full(len(cases), -1)
    for kind in range(len(ABNORMALITIES)):
        chosen = np.flatnonzero(prior[:, kind] > 0)
        if not len(chosen):
            continue
        guess = {f.name: getattr(cases, f.name)[chosen] for f in fields(cases)}
        drawn = render(RadiologyCases(**{**guess, "abnormality": np.full(len(chosen), kind)}), size, noise=False)
        distance = ((images[chosen] - drawn) ** 2).sum(axis=(1, 2)) / (2 * NOISE_SD[cases.modality[chosen]] ** 2)
        score = np.log(prior[chosen, kind]) - distance
        better = score > best[chosen]
        best[chosen[better]], found[chosen[better]] = score[better], kind
    return found


def prior_abnormality(cases: RadiologyCases) -> NDArray[np.int64]:
    """The most frequent abnormality of each case's kind of image and region: what can be said without looking."""
    return abnormality_shares()[cases.modality, cases.organ].argmax(axis=1)


def captions(cases: RadiologyCases, *, seed: int, consistent_error: float = 0.0) -> list[dict[str, str]]:
    """For every case one phrase a question, drawn from the synonyms of the right concept.

    consistent_error: probability that CONFUSED[0] is captioned as CONFUSED[1]. Raises ValueError outside [0, 1].
    """
    if not 0 <= consistent_error <= 1:
        raise ValueError(f"consistent_error must be in [0, 1], got {consistent_error}")
    rng = np.random.default_rng(seed)
    answers, rows = cases.answers(), []
    for i in range(len(cases)):
        said = {question: names[i] for question, names in answers.items()}
        wrong = rng.random() < consistent_error  # drawn for every case, so that other captions stay as they are
        if wrong and said["abnormality"] == CONFUSED[0]:
            said["abnormality"] = CONFUSED[1]
        rows.append({question: str(rng.choice(CONCEPTS[name].phrases)) for question, name in said.items()})
    return rows


def _draw(cases: RadiologyCases, organ: str, plane: str, size: int, abnormal: bool) -> FloatImages:
    """Images of one region and plane without noise."""
    grid = np.linspace(-_HALF_WIDTH, _HALF_WIDTH, size, dtype=np.float32)
    shift_x, shift_y, scale, turn = (cases.pose[:, j, None, None].astype(np.float32) for j in range(4))
    gx, gy = grid[None, None, :] - shift_x, grid[None, :, None] - shift_y
    x = (gx * np.cos(turn) + gy * np.sin(turn)) / scale
    y = (gy * np.cos(turn) - gx * np.sin(turn)) / scale
    edge = max(0.03, 2 * _HALF_WIDTH / size)
    looks = draw_tissues(organ, plane, x, y, edge)
    looks["path"] = _blur(looks["path"], max(1, size // 24))
    inside = body(organ, plane, x, y, edge)
    change = draw_change(cases, x, y, edge) if abnormal else np.zeros_like(x)
    vessel = draw_vessels(cases, x, y, edge, abnormal)
    bias = 1 + 0.18 * np.cos(2 * cases.angle[:, None, None]).astype(np.float32) * x  # of an MR coil
    shown = {
        "ct": looks["ct"] + inside * change,
        "mr": (looks["mr"] + inside * change) * bias,
        "radiograph": 1 - np.exp(-np.maximum(looks["path"], 0)) + inside * change,
        "angiogram": 0.72 - 0.22 * looks["ct"] - 0.5 * vessel,
    }
    images = np.empty_like(x)
    for m, modality in enumerate(MODALITIES):
        chosen = cases.modality == m
        images[chosen] = shown[modality][chosen]
    return images


def _blur(images: FloatImages, radius: int) -> FloatImages:
    """Mean over a window of 2 * radius + 1 pixels in both directions, edges repeated."""
    for axis in (1, 2):
        pad = [(0, 0)] * 3
        pad[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(images, pad, mode="edge"), axis=axis, dtype=np.float64)
        width = 2 * radius + 1
        upper, lower = np.split(total, [width], axis=axis)[1], np.split(total, [-width], axis=axis)[0]
        images = ((upper - lower) / width).astype(np.float32)
    return images
