"""MedMNIST and MedMNIST+: small images of eighteen tasks, in the publisher's .npz files (Yang et al. 2023, version 3).

No patient ids are published, and for several sets it is known that one patient is in training and validation. Exact
copies of an image are grouped, so that a split made here never has a copy on two sides; the publisher's own parts are
kept in `split`, and `splitting.published_split` takes training images out that come again in validation or test.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from .copies import first_of_group, pixel_hashes, repeats
from .errors import DataError
from .fetch import locate
from .image_sets import ImageSet, assert_counts
from .readers import read_arrays

ORGANS = (
    "bladder", "left femur", "right femur", "heart", "left kidney", "right kidney", "liver", "left lung", "right lung",
    "pancreas", "spleen",
)  # fmt: skip
# The 14 columns of ChestMNIST are yes-or-no findings of their own; every other set has one class an image.
CLASSES: dict[str, tuple[str, ...]] = {
    "pathmnist": ("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa",
                  "cancer-associated stroma", "colorectal adenocarcinoma epithelium"),
    "chestmnist": ("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia",
                   "pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural_thickening", "hernia"),
    "dermamnist": ("actinic keratosis", "basal cell carcinoma", "benign keratosis", "dermatofibroma", "melanoma",
                   "melanocytic nevus", "vascular lesion"),
    "octmnist": ("choroidal neovascularisation", "diabetic macular oedema", "drusen", "normal"),
    "pneumoniamnist": ("normal", "pneumonia"),
    "retinamnist": ("grade 0", "grade 1", "grade 2", "grade 3", "grade 4"),
    "breastmnist": ("malignant", "normal or benign"),
    "bloodmnist": ("basophil", "eosinophil", "erythroblast", "immature granulocyte", "lymphocyte", "monocyte",
                   "neutrophil", "platelet"),
    "tissuemnist": ("collecting duct", "distal convoluted tubule", "glomerular endothelium",
                    "interstitial endothelium", "leukocyte", "podocyte", "proximal tubule", "thick ascending limb"),
    "organamnist": ORGANS,
    "organcmnist": ORGANS,
    "organsmnist": ORGANS,
    "organmnist3d": ("liver", "right kidney", "left kidney", "right femur", "left femur", "bladder", "heart",
                     "right lung", "left lung", "spleen", "pancreas"),
    "nodulemnist3d": ("benign", "malignant"),
    "adrenalmnist3d": ("normal", "mass or hyperplasia"),
    "fracturemnist3d": ("buckle", "non-displaced", "displaced"),
    "vesselmnist3d": ("healthy", "aneurysm"),
    "synapsemnist3d": ("inhibitory", "excitatory"),
}  # fmt: skip
# Images in train, val, test (version 3; OrganMNIST had others before).
SIZES: dict[str, tuple[int, int, int]] = {
    "pathmnist": (89996, 10004, 7180), "chestmnist": (78468, 11219, 22433), "dermamnist": (7007, 1003, 2005),
    "octmnist": (97477, 10832, 1000), "pneumoniamnist": (4708, 524, 624), "retinamnist": (1080, 120, 400),
    "breastmnist": (546, 78, 156), "bloodmnist": (11959, 1712, 3421), "tissuemnist": (165466, 23640, 47280),
    "organamnist": (34561, 6491, 17778), "organcmnist": (12975, 2392, 8216), "organsmnist": (13932, 2452, 8827),
    "organmnist3d": (971, 161, 610), "nodulemnist3d": (1158, 165, 310), "adrenalmnist3d": (1188, 98, 298),
    "fracturemnist3d": (1027, 103, 240), "vesselmnist3d": (1335, 191, 382), "synapsemnist3d": (1230, 177, 352),
}  # fmt: skip
PARTS = ("train", "val", "test")
_GIB_AT_MOST = 4.0
_REBUILT = "pneumoniamnist_rebuilt"
_REBUILT_COUNTS = {"train": 4708, "val": 524, "test": 624, "train_repeats": 18, "val_repeats_train": 8}


def load_medmnist(
    flag: str,
    size: int = 28,
    *,
    parts: Sequence[str] = PARTS,
    path: Path | None = None,
    gib_at_most: float = _GIB_AT_MOST,
) -> ImageSet:
    """Images of one MedMNIST set, (N, S, S) or (N, S, S, 3), of the 3D sets (N, S, S, S), in memory.

    flag: name in lower case ("breastmnist"). size: 28, 64, 128 or 224 (3D: 28, 64). parts: which of train, val, test.
    path: the publisher's .npz; found by its manifest (flag_size) and verified when left out, and then counted.
    labels: `label` (name of the class) and `grade` (its number); of ChestMNIST 14 columns of 0 and 1.
    patient_id: exact copies share one; `unit` says that patients are not known.
    Raises DataError when the file has another layout, other counts than published, or needs more memory than allowed.
    """
    if flag not in CLASSES:
        raise ValueError(f"flag must be one of {', '.join(CLASSES)}, got {flag!r}")
    name = f"{flag}_{size}"
    source = locate(name) if path is None else Path(path)
    made = _read(name, flag, source, parts, gib_at_most)
    if path is None:
        expected = dict(zip(PARTS, SIZES[flag], strict=True))
        found = {part: int((made.split == part).sum()) for part in parts}
        assert_counts(name, found, {part: expected[part] for part in parts})
    if made.array.shape[1:3] != (size, size):
        raise DataError(f"{source}: images are {made.array.shape[1:]}, expected {size} x {size}")
    return made


def load_pneumoniamnist_rebuilt(path: Path | None = None) -> ImageSet:
    """PneumoniaMNIST at 28 x 28, rebuilt from two public subsets: the counts of the official file, not its bytes.

    The same children as in `kermany`: use one of the two, never one to test the other. 18 training images repeat
    another one, 8 validation images are training images too. path and errors as in `load_medmnist`.
    """
    source = locate(_REBUILT) if path is None else Path(path)
    made = _read(_REBUILT, "pneumoniamnist", source, PARTS, _GIB_AT_MOST)
    if path is None:
        found = {part: int((made.split == part).sum()) for part in PARTS}
        train, val = made.split == "train", made.split == "val"
        found["train_repeats"] = int(repeats(made.patient_id[train]).sum())
        found["val_repeats_train"] = int(np.isin(made.patient_id[val], made.patient_id[train]).sum())
        assert_counts(_REBUILT, found, _REBUILT_COUNTS)
    return made


def _read(name: str, flag: str, source: Path, parts: Sequence[str], gib_at_most: float) -> ImageSet:
    wrong = [part for part in parts if part not in PARTS]
    if wrong or not parts:
        raise ValueError(f"parts must be of {', '.join(PARTS)}, got {list(parts)}")
    needed = sum(_unpacked(source, f"{part}_images.npy") for part in parts) / 2**30
    if needed > gib_at_most:
        raise DataError(f"{source}: {', '.join(parts)} need {needed:.1f} GiB, allowed are {gib_at_most} (gib_at_most)")
    arrays = read_arrays(source, [f"{part}_{kind}" for part in parts for kind in ("images", "labels")])
    shapes = {arrays[f"{part}_images"].shape[1:] for part in parts}
    if len(shapes) != 1 or any(arrays[f"{part}_images"].dtype != np.uint8 for part in parts):
        raise DataError(f"{source}: images must be uint8 and of one shape, got {sorted(shapes)}")
    images = np.concatenate([arrays[f"{part}_images"] for part in parts])
    labels = np.concatenate([arrays[f"{part}_labels"] for part in parts]).astype(np.int64)
    if len(labels) != len(images):
        raise DataError(f"{source}: {len(images)} images and {len(labels)} labels, expected as many")
    hashes = pixel_hashes(images)
    rows = [f"{part}-{row:06d}" for part in parts for row in range(len(arrays[f"{part}_images"]))]
    return ImageSet(
        name=name,
        images=images,
        labels=_labels(source, flag, labels),
        patient_id=first_of_group(np.array(rows), np.unique(hashes, return_inverse=True)[1]),
        site=np.full(len(images), ""),
        split=np.repeat(np.array(parts), [len(arrays[f"{part}_images"]) for part in parts]),
        metadata=pd.DataFrame({"row": rows, "repeats_earlier": repeats(hashes)}),
        unit="image (exact copies together; patients are not published)",
        source=f"MedMNIST, Yang et al. 2023, {'CC BY-NC 4.0' if flag == 'dermamnist' else 'CC BY 4.0'}",
    )


def _labels(source: Path, flag: str, labels: np.ndarray) -> pd.DataFrame:
    classes = CLASSES[flag]
    columns, most = (len(classes), 1) if flag == "chestmnist" else (1, len(classes) - 1)
    if labels.ndim != 2 or labels.shape[1] != columns or not np.isin(labels, range(most + 1)).all():
        raise DataError(f"{source}: labels must be (N, {columns}) of 0 to {most}, got shape {labels.shape}")
    if flag == "chestmnist":
        return pd.DataFrame(labels, columns=list(classes))
    return pd.DataFrame({"label": np.array(classes)[labels[:, 0]], "grade": labels[:, 0]})


def _unpacked(source: Path, member: str) -> int:
    """Bytes of one array of the archive, without reading it."""
    try:
        with zipfile.ZipFile(source) as archive:
            return archive.getinfo(member).file_size
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{source}: is not the expected .npz archive: {error}") from None
