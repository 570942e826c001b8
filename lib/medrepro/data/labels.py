"""Chest radiograph findings under common names, and what "not mentioned" and "uncertain" mean in each collection.

Each collection has its own list of findings and its own silence. Here every collection gets the common names below;
`TABLE` says for each which of its labels stand for a name. A name without labels in a collection is missing there
(nan), never absent. What a cell means:

| collection | 1 | 0 | -1 | nothing |
|---|---|---|---|---|
| ChestX-ray14, PadChest, Open-i | named | not named | | (PadChest: no labels for this report) |
| CheXpert, MIMIC-CXR-JPG | mentioned, positive | mentioned, negative | mentioned, uncertain | not mentioned |
| VinDr-CXR | named by at least half of the readers | named by fewer | | |

In the first and third row 0 is a choice of the publisher's: a finding that no report mentions counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FINDINGS = (
    "no_finding", "aortic_enlargement", "atelectasis", "cardiomegaly", "consolidation", "edema", "effusion",
    "emphysema", "enlarged_cardiomediastinum", "fibrosis", "fracture", "hernia", "infiltration", "lung_lesion",
    "lung_opacity", "mass", "nodule", "nodule_mass", "pleural_other", "pleural_thickening", "pneumonia",
    "pneumothorax", "support_devices",
)  # fmt: skip
UNCERTAIN = -1
Policy = Literal["keep", "positive", "negative", "missing"]

_CHEXPERT = {
    "no_finding": ("No Finding",),
    "atelectasis": ("Atelectasis",),
    "cardiomegaly": ("Cardiomegaly",),
    "consolidation": ("Consolidation",),
    "edema": ("Edema",),
    "effusion": ("Pleural Effusion",),
    "enlarged_cardiomediastinum": ("Enlarged Cardiomediastinum",),
    "fracture": ("Fracture",),
    "lung_lesion": ("Lung Lesion",),
    "lung_opacity": ("Lung Opacity",),
    "pleural_other": ("Pleural Other",),
    "pneumonia": ("Pneumonia",),
    "pneumothorax": ("Pneumothorax",),
    "support_devices": ("Support Devices",),
}
_NIH = {
    "atelectasis": ("Atelectasis",),
    "cardiomegaly": ("Cardiomegaly",),
    "consolidation": ("Consolidation",),
    "edema": ("Edema",),
    "effusion": ("Effusion",),
    "emphysema": ("Emphysema",),
    "fibrosis": ("Fibrosis",),
    "hernia": ("Hernia",),
    "infiltration": ("Infiltration",),
    "mass": ("Mass",),
    "nodule": ("Nodule",),
    "nodule_mass": ("Mass", "Nodule"),
    "pleural_thickening": ("Pleural_Thickening",),
    "pneumonia": ("Pneumonia",),
    "pneumothorax": ("Pneumothorax",),
}
# Labels of each collection that stand for a common name: present when any of them is.
TABLE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "chestxray14": {"no_finding": ("No Finding",), **_NIH},
    "openi_reports": {"no_finding": ("normal",), **_NIH},
    "chexpert": _CHEXPERT,
    "mimic_cxr_jpg": _CHEXPERT,
    "padchest": {
        "no_finding": ("normal",),
        "atelectasis": (
            "atelectasis", "atelectasis basal", "laminar atelectasis", "lobar atelectasis", "round atelectasis",
            "segmental atelectasis", "total atelectasis",
        ),
        "cardiomegaly": ("cardiomegaly",),
        "consolidation": ("consolidation",),
        "edema": ("pulmonary edema",),
        "effusion": ("loculated fissural effusion", "loculated pleural effusion", "pleural effusion"),
        "emphysema": ("emphysema",),
        "fibrosis": ("pulmonary fibrosis",),
        "fracture": (
            "callus rib fracture", "clavicle fracture", "fracture", "humeral fracture", "rib fracture",
            "vertebral fracture",
        ),
        "hernia": ("hiatal hernia",),
        "infiltration": ("infiltrates",),
        "mass": ("mass", "pulmonary mass"),
        "nodule": ("multiple nodules", "nodule"),
        "nodule_mass": ("mass", "multiple nodules", "nodule", "pulmonary mass"),
        "pleural_thickening": ("apical pleural thickening", "calcified pleural thickening", "pleural thickening"),
        "pneumonia": ("atypical pneumonia", "pneumonia"),
        "pneumothorax": ("hydropneumothorax", "pneumothorax"),
        "support_devices": (
            "NSG tube", "catheter", "central venous catheter", "central venous catheter via jugular vein",
            "central venous catheter via subclavian vein", "central venous catheter via umbilical vein",
            "chest drain tube", "dai", "dual chamber device", "electrical device", "endotracheal tube", "pacemaker",
            "reservoir central venous catheter", "single chamber device", "tracheostomy tube",
            "ventriculoperitoneal drain tube",
        ),
        "lung_opacity": (
            "alveolar pattern", "atypical pneumonia", "consolidation", "ground glass pattern", "increased density",
            "infiltrates", "interstitial pattern", "pneumonia", "pulmonary edema", "reticular interstitial pattern",
            "reticulonodular interstitial pattern",
        ),
        "aortic_enlargement": (
            "aortic aneurysm", "aortic button enlargement", "aortic elongation", "ascendent aortic elongation",
            "descendent aortic elongation", "supra aortic elongation",
        ),
    },
    "vindr_cxr": {
        "no_finding": ("No finding",),
        "atelectasis": ("Atelectasis",),
        "cardiomegaly": ("Cardiomegaly",),
        "consolidation": ("Consolidation",),
        "edema": ("Edema",),
        "effusion": ("Pleural effusion",),
        "emphysema": ("Emphysema",),
        "fibrosis": ("Pulmonary fibrosis",),
        "fracture": ("Clavicle fracture", "Rib fracture"),
        "infiltration": ("Infiltration",),
        "lung_opacity": ("Lung Opacity",),
        "nodule_mass": ("Nodule/Mass",),
        "pleural_thickening": ("Pleural thickening",),
        "pneumonia": ("Pneumonia",),
        "pneumothorax": ("Pneumothorax",),
        "aortic_enlargement": ("Aortic enlargement",),
    },
}  # fmt: skip
# Where the same name does not mean quite the same thing.
CAVEATS: Mapping[str, str] = {
    "aortic_enlargement": "PadChest: elongation and aneurysm; VinDr-CXR: enlargement seen on the film",
    "cardiomegaly": "CheXpert and MIMIC-CXR: also 'enlarged heart' in the report; not an enlarged mediastinum",
    "hernia": "PadChest: hiatal hernia only",
    "infiltration": "a word of the report in ChestX-ray14 and PadChest, a reader's choice in VinDr-CXR",
    "lung_lesion": "CheXpert and MIMIC-CXR: nodule, mass and tumour together, compare with nodule_mass",
    "lung_opacity": "a generic term; PadChest has none, there it is any of its eleven labels of opacity",
    "no_finding": "ChestX-ray14: none of the 14; CheXpert: none of the 12 and no device counted; not a healthy person",
    "pneumonia": "a diagnosis that no film shows alone; mentioned in reports when suspected",
    "support_devices": "PadChest: tubes, catheters and pacemakers; no surgical material",
}


def harmonise(collection: str, labels: pd.DataFrame, names: Sequence[str] | None = None) -> pd.DataFrame:
    """The labels of a collection under common names, float: 1, 0, -1 (uncertain), nan (missing).

    labels: one row an image, a column for each label of the collection in its own spelling, values 1, 0, -1 or nan.
    names: which of FINDINGS; left out, all that the collection has. Of several labels for one name: 1 when any is 1,
    else -1 when any is uncertain, else nan when any is missing, else 0.
    Raises ValueError for an unknown collection or name, a column that is missing, or another value.
    """
    if collection not in TABLE:
        raise ValueError(f"collection must be one of {', '.join(TABLE)}, got {collection!r}")
    table = TABLE[collection]
    chosen = [name for name in FINDINGS if name in table] if names is None else list(names)
    unknown = [name for name in chosen if name not in FINDINGS]
    if unknown:
        raise ValueError(f"names must be of {', '.join(FINDINGS)}, got {unknown[0]!r}")
    made = {}
    for name in chosen:
        columns = table.get(name, ())
        missing = [column for column in columns if column not in labels]
        if missing:
            raise ValueError(f"labels must have the column {missing[0]!r} of {collection}, got {list(labels)[:6]}")
        values = labels[list(columns)].to_numpy(dtype=np.float64)
        if not (np.isnan(values) | np.isin(values, (-1, 0, 1))).all():
            raise ValueError(f"labels must be 1, 0, -1 or nan, got others in {', '.join(columns)}")
        made[name] = _any(values) if columns else np.full(len(labels), np.nan)
    return pd.DataFrame(made, index=labels.index)


def resolve(labels: pd.DataFrame, *, uncertain: Policy = "keep", missing: Policy = "keep") -> pd.DataFrame:
    """What to do with uncertain (-1) and missing (nan) cells: keep them, or count them positive, negative, missing.

    CheXpert's U-Ones is uncertain="positive", U-Zeros uncertain="negative", U-Ignore uncertain="missing"; many studies
    also count what a report does not mention as absent: missing="negative". First uncertain, then missing cells are
    replaced, so that uncertain="missing", missing="negative" gives 0 and 1 only.
    """
    codes = {"positive": 1.0, "negative": 0.0, "missing": np.nan}
    for name, policy in (("uncertain", uncertain), ("missing", missing)):
        if policy not in (*codes, "keep"):
            raise ValueError(f"{name} must be keep, positive, negative or missing, got {policy!r}")
    made = labels.astype(np.float64)
    if uncertain != "keep":
        made = made.mask(made == UNCERTAIN, codes[uncertain])
    if missing not in ("keep", "missing"):
        made = made.fillna(codes[missing])
    return made


def common_findings(*collections: str) -> list[str]:
    """Common names that all these collections have: the most that can be compared across them."""
    unknown = [name for name in collections if name not in TABLE]
    if unknown:
        raise ValueError(f"collections must be of {', '.join(TABLE)}, got {unknown[0]!r}")
    return [name for name in FINDINGS if all(name in TABLE[collection] for collection in collections)]


def _any(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row by row: 1 before -1 before nan before 0."""
    made = np.zeros(len(values))
    made[np.isnan(values).any(axis=1)] = np.nan
    made[(values == UNCERTAIN).any(axis=1)] = UNCERTAIN
    made[(values == 1).any(axis=1)] = 1
    return made
