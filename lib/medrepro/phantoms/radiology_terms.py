"""Words for what the radiology phantoms show: concepts with synonyms, and broader and narrower phrases.

Planted: two phrases mean the same exactly when they belong to the same concept; a narrower phrase entails its concept,
a concept entails its broader phrases, and nothing else entails anything. This is the truth that a judge of answers
(grouping by meaning, entailment in both directions) is measured against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

QUESTIONS = {
    "modality": "what kind of image is this?",
    "plane": "in which plane was the image taken?",
    "organ": "which part of the body is shown?",
    "abnormality": "what is abnormal in the image?",
}


@dataclass(frozen=True)
class Concept:
    """One thing that can be said: the phrases that mean it (2 to 5), broader and narrower phrases (1 or 2 each)."""

    name: str
    question: str
    phrases: tuple[str, ...]
    broader: tuple[str, ...]
    narrower: tuple[str, ...]


_ROWS: dict[str, list[tuple[str, str, str, str]]] = {
    "modality": [
        ("ct", "CT|computed tomography|CT scan", "sectional imaging with X-rays", "contrast-enhanced CT"),
        ("mr", "MR|magnetic resonance imaging|MRI|MR scan", "imaging without X-rays", "T2-weighted MRI"),
        ("radiograph", "radiograph|X-ray film|plain film", "projection image", "bedside radiograph"),
        ("angiogram", "angiogram|angiography|vessel study", "contrast study", "digital subtraction angiogram"),
    ],
    "plane": [
        ("axial", "axial|transverse|horizontal section", "a section across the body", "oblique axial"),
        ("coronal", "coronal|frontal", "a view from the front or the back", "posteroanterior view"),
        ("sagittal", "sagittal|lateral|from the side", "a view of one side", "midsagittal"),
    ],
    "organ": [
        ("head", "head|skull and brain|cranium", "above the neck", "posterior fossa"),
        ("chest", "chest|thorax|lungs and heart", "upper trunk", "left hemithorax"),
        ("abdomen", "abdomen|belly|upper abdominal organs", "trunk below the diaphragm", "right upper quadrant"),
        ("pelvis", "pelvis|hips and bladder|pelvic organs", "lower trunk", "true pelvis"),
        ("spine", "spine|vertebral column|backbone", "axial skeleton", "lumbar segment"),
    ],
    "abnormality": [
        ("mass", "mass|tumour|neoplasm", "space-occupying lesion", "spiculated mass"),
        ("effusion", "effusion|fluid collection|free fluid", "fluid where none belongs", "layering effusion"),
        ("fracture", "fracture|broken bone|bony break", "injury of bone", "displaced fracture"),
        ("cyst", "cyst|cystic lesion", "well-defined round lesion", "simple cyst"),
        (
            "calcification",
            "calcification|calcified focus|calcium deposit",
            "very dense focus",
            "clustered calcium",
        ),
        ("oedema", "oedema|swelling|tissue water", "diffuse change", "perifocal oedema"),
        ("haemorrhage", "haemorrhage|bleeding|haematoma", "acute blood", "crescent-shaped haemorrhage"),
        ("abscess", "abscess|walled-off pus", "focal infection", "ring-enhancing abscess"),
        ("device", "device|implanted hardware|foreign body", "something man-made", "metal clip"),
        ("stenosis", "stenosis|narrowing|narrowed vessel", "disease of a vessel", "high-grade stenosis"),
        ("aneurysm", "aneurysm|vessel outpouching|vascular dilatation", "vascular lesion", "saccular aneurysm"),
        ("pneumatosis", "gas bubble|free air|trapped gas", "gas where none belongs", "bubble under the skin"),
    ],
}

CONCEPTS: dict[str, Concept] = {
    name: Concept(name, question, tuple(phrases.split("|")), tuple(broader.split("|")), tuple(narrower.split("|")))
    for question, rows in _ROWS.items()
    for name, phrases, broader, narrower in rows
}
MODALITIES, PLANES, ORGANS, ABNORMALITIES = (tuple(row[0] for row in _ROWS[question]) for question in QUESTIONS)

_PLACE = {
    phrase: (concept.name, rank)
    for concept in CONCEPTS.values()
    for rank, phrases in ((0, concept.narrower), (1, concept.phrases), (2, concept.broader))
    for phrase in phrases
}


def concept_of(phrase: str) -> str | None:
    """The concept that a phrase means exactly; None for broader, narrower and unknown phrases."""
    name, rank = _PLACE.get(phrase, (None, 1))
    return name if rank == 1 else None


def entails(first: str, second: str) -> bool:
    """True when whoever says `first` has also said `second`; equal phrases entail each other.

    Raises ValueError for a phrase that the table does not hold.
    """
    for name, phrase in (("first", first), ("second", second)):
        if phrase not in _PLACE:
            raise ValueError(f"{name} must be a phrase of the table, got {phrase!r}")
    (concept, rank), (other, other_rank) = _PLACE[first], _PLACE[second]
    same_words = first == second
    return same_words or (concept == other and (rank < other_rank or rank == other_rank == 1))


def equivalent(first: str, second: str) -> bool:
    """True when two phrases entail each other; errors as in `entails`."""
    return entails(first, second) and entails(second, first)


def all_phrases(question: str | None = None) -> Sequence[str]:
    """Every phrase of one question, or of all, narrower and broader ones included."""
    chosen = [c for c in CONCEPTS.values() if question in (None, c.question)]
    return [phrase for c in chosen for phrase in (*c.phrases, *c.broader, *c.narrower)]
