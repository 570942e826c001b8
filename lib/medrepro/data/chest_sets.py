"""Large chest radiograph collections as their publishers give them, each as an ImageSet with common findings.

A user's folder is read as it was unpacked: tables in the publisher's columns, images wherever the publisher puts them.
Images are read when asked for. Labels are `labels.FINDINGS` (1, 0, -1 uncertain, nan missing, see `labels`). Nothing
is downloaded; all but ChestX-ray14 need an agreement with the publisher.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from . import labels as findings
from .errors import DataError
from .fetch import locate
from .image_sets import ImageSet, assert_counts
from .manifests import load
from .readers import ImageFiles, read_table, require_files

Views = Literal["frontal", "all"]
Missing = Literal["error", "skip"]
_SUFFIXES = (".png", ".jpg", ".jpeg", ".dicom", ".dcm")
VINDR_NEEDED = 0.5  # share of a film's readers who must name a finding


def load_chestxray14(folder: Path | None = None, *, size: int | None = None, missing: Missing = "error") -> ImageSet:
    """NIH ChestX-ray14: 112,120 frontal films; split is the official one by patient (train holds train and val).

    folder: holds Data_Entry_2017_v2020.csv (or Data_Entry_2017.csv), train_val_list.txt, test_list.txt and the images
    in any sub-folders; found by the manifest when left out, and then counted. size: see `readers.ImageFiles`.
    missing: "skip" leaves films out whose image is not there. metadata: path, age (years), sex, view, follow_up.
    Raises DataError when a table or an image is missing or not as published.
    """
    name, root = "chestxray14", _root("chestxray14", folder)
    about = {"Patient Age": "age", "Patient Gender": "sex", "View Position": "view", "Follow-up #": "follow_up"}
    wanted = ("Image Index", "Finding Labels", "Patient ID", *about)
    table = read_table(_one(root, "Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv"), wanted)
    parts: dict[str, str] = {}
    for part, file in (("train", "train_val_list.txt"), ("test", "test_list.txt")):
        parts |= dict.fromkeys(_one(root, file).read_text(encoding="utf-8").split(), part)
    outside = [image for image in table["Image Index"] if image not in parts]
    if outside:
        raise DataError(f"{name}: {len(outside)} films are in neither of the official lists, first {outside[0]}")
    named = table["Finding Labels"].str.split("|")
    metadata = table[list(about)].rename(columns=about)
    places = _index(root)
    return _assemble(
        name,
        [places.get(image, root / image) for image in table["Image Index"]],
        _named(name, named),
        table["Patient ID"],
        split=table["Image Index"].map(parts),
        metadata=metadata.assign(age=metadata["age"].str.rstrip("YMD").astype(float)),
        size=size,
        missing=missing,
        counted=folder is None,
        site="NIH Clinical Center",
    )


def load_chexpert(
    folder: Path | None = None, *, views: Views = "frontal", size: int | None = None, missing: Missing = "error"
) -> ImageSet:
    """CheXpert (v1.0 or v1.0-small): train.csv as train, valid.csv (read by radiologists) as val, test.csv as test.

    folder: holds the tables, or the folder CheXpert-v1.0[-small] that does; the first part of a path in the tables
    is the name of that folder and is not used. views: "frontal" leaves lateral films out.
    metadata: path, study, age (years), sex, view (AP, PA, LL, ... or "Lateral"). Others as in `load_chestxray14`.
    """
    name = "chexpert"
    root = _root(name, folder)
    holds = [p for p in (root, root / "CheXpert-v1.0-small", root / "CheXpert-v1.0") if (p / "train.csv").is_file()]
    if not holds:
        raise DataError(f"{name}: {root} holds no train.csv, nor does CheXpert-v1.0-small or CheXpert-v1.0 in it")
    tables = []
    for part, file in (("train", "train.csv"), ("val", "valid.csv"), ("test", "test.csv")):
        if (holds[0] / file).is_file() or part != "test":
            wanted = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *_columns(name))
            tables.append(read_table(holds[0] / file, wanted).assign(part=part))
    table = pd.concat(tables, ignore_index=True)
    if views == "frontal":
        table = table[table["Frontal/Lateral"] == "Frontal"].reset_index(drop=True)
    pieces = table["Path"].str.split("/")
    if not pieces.map(lambda p: len(p) == 5 and p[2].startswith("patient")).all():
        raise DataError(f"{name}: Path must read CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg")
    return _assemble(
        name,
        [holds[0].joinpath(*piece[1:]) for piece in pieces],
        _values(name, table),
        pieces.str[2],
        split=table["part"],
        metadata=pd.DataFrame(
            {
                "study": pieces.str[2] + "/" + pieces.str[3],
                "age": table["Age"].astype(float),
                "sex": table["Sex"].map({"Male": "M", "Female": "F"}),
                "view": table["AP/PA"].where(table["Frontal/Lateral"] == "Frontal", "Lateral"),
            }
        ),
        size=size,
        missing=missing,
        counted=folder is None and views == "all",
        site="Stanford",
    )


def load_mimic_cxr_jpg(
    folder: Path | None = None, *, views: Views = "frontal", size: int | None = None, missing: Missing = "error"
) -> ImageSet:
    """MIMIC-CXR-JPG: labels of CheXpert's labeller by study, official split (validate as val).

    folder: holds mimic-cxr-2.0.0-metadata, -split and -chexpert (.csv or .csv.gz) and files/p10/p10000032/s.../*.jpg.
    views: "frontal" keeps AP and PA. A study without a row of labels is missing everywhere. metadata: path, study,
    view. Age and sex are in MIMIC-IV, not here. Others as in `load_chestxray14`.
    """
    name, key = "mimic_cxr_jpg", ["subject_id", "study_id"]
    root = _root(name, folder)
    part = {k: _one(root, f"mimic-cxr-2.0.0-{k}.csv") for k in ("metadata", "split", "chexpert")}
    table = read_table(part["metadata"], ("dicom_id", *key, "ViewPosition"))[["dicom_id", *key, "ViewPosition"]]
    split = read_table(part["split"], ("dicom_id", "split"))[["dicom_id", "split"]]
    labels = read_table(part["chexpert"], (*key, *_columns(name)))
    if labels.duplicated(key).any() or split["dicom_id"].duplicated().any():
        raise DataError(f"{name}: a study in -chexpert or an image in -split is there twice, expected once")
    if views == "frontal":
        table = table[table["ViewPosition"].isin(["AP", "PA"])]
    table = table.merge(split, on="dicom_id", how="left").merge(labels, on=key, how="left")
    if table["split"].isna().any():
        raise DataError(f"{name}: {table['split'].isna().sum()} images have no part in {part['split'].name}")
    subject, study = "p" + table["subject_id"], "s" + table["study_id"]
    files = zip(subject.str[:3], subject, study, table["dicom_id"] + ".jpg", strict=True)
    return _assemble(
        name,
        [root.joinpath("files", *pieces) for pieces in files],
        _values(name, table),
        table["subject_id"],
        split=table["split"].replace("validate", "val"),
        metadata=pd.DataFrame({"study": study, "view": table["ViewPosition"]}),
        size=size,
        missing=missing,
        counted=folder is None and views == "all",
        site="Beth Israel Deaconess",
    )


def load_padchest(
    folder: Path | None = None, *, views: Views = "frontal", size: int | None = None, missing: Missing = "error"
) -> ImageSet:
    """PadChest: 174 findings of reports, here those that stand for a common name; no published split.

    folder: holds PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv (or .csv.gz) and the PNG files (16 bits) in any
    sub-folders. views: "frontal" keeps PA, AP and AP_horizontal. Films of reports without labels are missing
    everywhere. metadata: path, study, age (years, of the years of birth and film), sex, view, by_physician (labels
    read by a person, not a network), labels (all of them, joined by "|"). Others as in `load_chestxray14`.
    """
    name = "padchest"
    root = _root(name, folder)
    wanted = ("ImageID", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "StudyDate_DICOM", "Projection")
    file = _one(root, "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv")
    table = read_table(file, (*wanted, "MethodLabel", "Labels"))
    table = table.dropna(subset=["ImageID", "PatientID"]).reset_index(drop=True)
    if views == "frontal":
        table = table[table["Projection"].isin(["PA", "AP", "AP_horizontal"])].reset_index(drop=True)
    named = table["Labels"].map(_padchest_labels, na_action="ignore")
    places = _index(root)
    year = pd.to_numeric(table["StudyDate_DICOM"].str[:4], errors="coerce")
    return _assemble(
        name,
        [places.get(image, root / image) for image in table["ImageID"]],
        _named(name, named),
        table["PatientID"],
        split=pd.Series("", index=table.index),
        metadata=pd.DataFrame(
            {
                "study": table["StudyID"],
                "age": year - pd.to_numeric(table["PatientBirth"], errors="coerce"),
                "sex": table["PatientSex_DICOM"].where(table["PatientSex_DICOM"].isin(["F", "M"])),
                "view": table["Projection"],
                "by_physician": table["MethodLabel"] == "Physician",
                "labels": named.map("|".join, na_action="ignore"),
            }
        ),
        size=size,
        missing=missing,
        counted=folder is None and views == "all",
        site="San Juan, Alicante",
    )


def load_vindr_cxr(folder: Path | None = None, *, size: int | None = None, missing: Missing = "error") -> ImageSet:
    """VinDr-CXR: 15,000 training films of three readers each, 3,000 test films of a consensus.

    folder: holds annotations/image_labels_train.csv and image_labels_test.csv, and train and test with a file an
    image (image_id.dicom as published, or .png, .jpg, .jpeg). A training film has a finding when at least half of
    its readers name it (two of three); metadata keeps the number of readers and the share that said "No finding".
    Patients are not published: the image is the unit. Others as in `load_chestxray14`.
    """
    name, columns = "vindr_cxr", _columns("vindr_cxr")
    root = _root(name, folder)
    tables = []
    for part in ("train", "test"):
        file = _one(root / "annotations" if (root / "annotations").is_dir() else root, f"image_labels_{part}.csv")
        votes = read_table(file, ("image_id", *columns))
        numbers = _values(name, votes).fillna(0)
        if (numbers == findings.UNCERTAIN).any(axis=None):
            raise DataError(f"{name}: {file.name}: votes must be 0 or 1")
        by_image = numbers.groupby(votes["image_id"], sort=False)
        made = (by_image.mean() >= VINDR_NEEDED).astype(float)
        extra = {"part": part, "readers": by_image.size(), "no_finding_share": by_image["No finding"].mean()}
        tables.append(made.assign(**extra).reset_index())
    table = pd.concat(tables, ignore_index=True)
    places = {path.stem: path for path in _index(root).values()}
    return _assemble(
        name,
        [
            places.get(image, root / part / f"{image}.dicom")
            for image, part in zip(table["image_id"], table["part"], strict=True)
        ],
        table[list(columns)],
        table["image_id"],
        split=table["part"],
        metadata=table[["readers", "no_finding_share"]],
        size=size,
        missing=missing,
        counted=folder is None,
        site="Hanoi",
        unit="image (patients are not published)",
    )


def _assemble(
    name: str,
    paths: list[Path],
    native: pd.DataFrame,
    patients: pd.Series,
    *,
    split: pd.Series,
    metadata: pd.DataFrame,
    size: int | None,
    missing: Missing,
    counted: bool,
    site: str,
    unit: str = "patient",
) -> ImageSet:
    manifest = load(name)
    there = np.array([path.is_file() for path in paths], dtype=bool)
    if missing == "error" and not there.all():
        require_files(name, paths, expected='put them there, or choose missing="skip"')
    kept = np.flatnonzero(there)
    made = ImageSet(
        name=name,
        images=ImageFiles([paths[row] for row in kept], size=size),
        labels=findings.harmonise(name, native).iloc[kept],
        patient_id=patients.to_numpy(dtype=str)[kept],
        site=np.full(len(kept), site),
        split=split.to_numpy(dtype=str)[kept],
        metadata=metadata.assign(path=[str(path) for path in paths]).iloc[kept],
        unit=unit,
        source=f"{manifest.title}; {manifest.licence}",
        access=manifest.access,
    )
    if counted and missing == "error":
        found = {"films": len(made), "images": len(made), "patients": made.n_patients}
        assert_counts(name, found | {part: int((made.split == part).sum()) for part in ("train", "test")})
    return made


def _root(name: str, folder: Path | None) -> Path:
    root = locate(name) if folder is None else Path(folder)
    if not root.is_dir():
        raise DataError(f"{name}: the folder {root} does not exist")
    return root


def _one(root: Path, *names: str) -> Path:
    """The first of these tables that is there, plain or gzipped."""
    for name in names:
        for path in (root / name, root / f"{name}.gz"):
            if path.is_file():
                return path
    raise DataError(f"{root}: holds no {' or '.join(names)}")


def _index(root: Path) -> dict[str, Path]:
    """Every image below a folder by its file name, which the publishers make unique."""
    return {path.name: path for path in sorted(root.rglob("*")) if path.suffix.lower() in _SUFFIXES}


def _columns(name: str) -> tuple[str, ...]:
    """The publisher's labels that stand for a common name, each once."""
    return tuple(dict.fromkeys(label for group in findings.TABLE[name].values() for label in group))


def _values(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The label columns as numbers: 1, 0, -1 or nan."""
    values = table[list(_columns(name))].apply(pd.to_numeric, errors="coerce")
    wrong = (values.isna() & table[list(values)].notna()) | ~(values.isna() | values.isin([-1, 0, 1]))
    if wrong.any(axis=None):
        column = wrong.any().idxmax()
        found = table.loc[wrong[column], column].iloc[0]
        raise DataError(f"{name}: {column}: labels must be 1, 0, -1 or empty, got {found!r}")
    return values


def _named(name: str, lists: Iterable[list[str]]) -> pd.DataFrame:
    """0 and 1 for each label of the collection; nan in every column where there is no list."""
    sets = [None if isinstance(entry, float) or entry is None else set(entry) for entry in lists]
    columns = {label: [np.nan if s is None else float(label in s) for s in sets] for label in _columns(name)}
    return pd.DataFrame(columns, dtype=float)


def _padchest_labels(text: str) -> list[str]:
    """The list that PadChest writes as Python text; blanks around a name are mistakes of the source."""
    try:
        labels = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise DataError(f"padchest: Labels must read ['label', 'label'], got {text[:60]!r}")
    return [label.strip() for label in labels if label.strip()]
