"""Which radiology phantom is drawn: image kind, plane, region, abnormality and its place, case by case."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from .radiology_terms import ABNORMALITIES, MODALITIES, ORGANS, PLANES, QUESTIONS

_TAIL = 0.82  # each abnormality is this much rarer than the one before it
_ALL = frozenset(ORGANS)
_CUT = frozenset({"head", "abdomen", "pelvis"})
# Abnormality -> regions, and contrast at full visibility by kind of image; what is missing does not occur.
ALLOWED: dict[str, tuple[frozenset[str], dict[str, float]]] = {
    "mass": (_ALL, {"ct": 0.26, "mr": 0.32, "radiograph": 0.24}),
    "effusion": (frozenset({"chest", "abdomen", "pelvis"}), {"ct": 0.24, "mr": 0.38, "radiograph": 0.26}),
    "fracture": (frozenset({"head", "pelvis", "spine"}), {"ct": -0.55, "radiograph": -0.34}),
    "cyst": (_CUT, {"ct": -0.26, "mr": 0.42}),
    "calcification": (_ALL, {"ct": 0.50, "radiograph": 0.40}),
    "oedema": (frozenset({"head", "chest", "spine"}), {"ct": -0.16, "mr": 0.30, "radiograph": 0.18}),
    "haemorrhage": (_CUT, {"ct": 0.30, "mr": -0.30}),
    "abscess": (_CUT | {"spine"}, {"ct": 0.28, "mr": 0.38}),
    "device": (_ALL, {"ct": 0.60, "mr": -0.50, "radiograph": 0.45}),
    "stenosis": (_ALL, {"angiogram": 0.75}),
    "aneurysm": (_ALL, {"angiogram": 1.0}),
    "pneumatosis": (frozenset({"chest", "abdomen", "pelvis"}), {"ct": -0.45, "radiograph": -0.30}),
}


@dataclass(frozen=True)
class RadiologyCases:
    """What is shown, case by case; indices point into MODALITIES, PLANES, ORGANS, ABNORMALITIES. All arrays (n,).

    visibility: factor on the abnormality's contrast. place (n, 2): its centre in body coordinates. size, angle: of the
    abnormality. pose (n, 4): shift x, shift y, scale, rotation of the body. key: number that fixes a case's noise.
    """

    modality: NDArray[np.int64]
    plane: NDArray[np.int64]
    organ: NDArray[np.int64]
    abnormality: NDArray[np.int64]
    visibility: NDArray[np.float64]
    place: NDArray[np.float64]
    size: NDArray[np.float64]
    angle: NDArray[np.float64]
    pose: NDArray[np.float64]
    key: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.modality)

    def __getitem__(self, chosen: NDArray) -> RadiologyCases:
        """The cases at these places, or where this mask is True."""
        return RadiologyCases(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def answers(self) -> dict[str, list[str]]:
        """The right concept for each question, by question."""
        names = {"modality": MODALITIES, "plane": PLANES, "organ": ORGANS, "abnormality": ABNORMALITIES}
        return {question: [names[question][i] for i in getattr(self, question)] for question in QUESTIONS}


def make_cases(
    n: int,
    *,
    seed: int,
    modality_weights: tuple[float, float, float, float] = (60, 60, 60, 26),
    visibility: tuple[float, float] = (0.05, 1.0),
) -> RadiologyCases:
    """n seeded cases; the weights give the mix of CT, MR, radiographs and angiograms.

    visibility: range from which each case's contrast factor is drawn evenly. Raises ValueError for values out of range.
    """
    if n < 1:
        raise ValueError(f"n must be >= 1, got {n}")
    if len(modality_weights) != 4 or min(modality_weights) < 0 or sum(modality_weights) <= 0:
        raise ValueError(f"modality_weights must be four numbers >= 0 with a sum > 0, got {modality_weights}")
    low, high = visibility
    if not 0 <= low <= high <= 1:
        raise ValueError(f"visibility must be a range inside [0, 1], got {visibility}")
    rng = np.random.default_rng(seed)
    weights = np.array(modality_weights, dtype=float)
    modality = rng.choice(4, size=n, p=weights / weights.sum())
    # A radiograph has no axial plane.
    plane = np.where(modality == 2, rng.integers(1, 3, size=n), rng.integers(0, 3, size=n))
    organ = rng.integers(len(ORGANS), size=n)
    shares = abnormality_shares()[modality, organ]  # (n, 12)
    abnormality = (rng.random(n)[:, None] > shares.cumsum(axis=1)).sum(axis=1)
    radius, turn = 0.42 * np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    return RadiologyCases(
        modality=modality,
        plane=plane,
        organ=organ,
        abnormality=abnormality,
        visibility=rng.uniform(low, high, n),
        place=np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1),
        size=rng.uniform(0.16, 0.26, n),
        angle=rng.uniform(0, np.pi, n),
        pose=np.stack(
            [
                rng.normal(0, 0.03, n),
                rng.normal(0, 0.03, n),
                rng.normal(1, 0.05, n).clip(0.85, 1.15),
                rng.normal(0, 0.05, n),
            ],
            axis=1,
        ),
        key=rng.integers(2**63, size=n, dtype=np.uint64),
    )


def abnormality_shares() -> NDArray[np.float64]:
    """Probability of each abnormality, (modality, organ, abnormality): the long tail over what is allowed."""
    shares = np.zeros((len(MODALITIES), len(ORGANS), len(ABNORMALITIES)))
    for k, name in enumerate(ABNORMALITIES):
        organs, contrast = ALLOWED[name]
        for m, modality in enumerate(MODALITIES):
            for o, organ in enumerate(ORGANS):
                if organ in organs and modality in contrast:
                    shares[m, o, k] = _TAIL**k
    return shares / shares.sum(axis=2, keepdims=True)
