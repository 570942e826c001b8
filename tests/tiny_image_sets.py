"""Tiny files in the exact layout of each image set, and the call that reads them."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medrepro.data import busi, chase, chest_sets, covid_cxr, kermany, lidc_masks, medmnist
from medrepro.data.image_sets import ImageSet

CHEXPERT = [
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture",
    "Support Devices",
]  # fmt: skip
VINDR = [
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture", "Consolidation", "Edema",
    "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity", "Lung cavity", "Lung cyst", "Mediastinal shift",
    "Nodule/Mass", "Pleural effusion", "Pleural thickening", "Pneumothorax", "Pulmonary fibrosis", "Rib fracture",
    "Other lesion", "COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases", "No finding",
]  # fmt: skip


def needs_data(folder: str) -> pytest.MarkDecorator:
    """Skips a test, with the reason, where the user's data folder does not hold this folder."""
    root = os.environ.get("MEDREPRO_DATA", "")
    reason = f"not on this machine: set MEDREPRO_DATA to a folder that holds {folder}"
    return pytest.mark.skipif(not (root and (Path(root) / folder).is_dir()), reason=reason)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def picture(path: Path, *, seed: int = 0, size: tuple[int, int] = (12, 10), deep: bool = False) -> Path:
    """A PNG or JPEG file; deep: 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = noise(*size, seed=seed)
    Image.fromarray(pixels.astype(np.uint16) * 16 if deep else pixels).save(path)
    return path


def write_kermany(folder: Path) -> dict[str, Path]:
    """Seven films: number 1 is bacterial and viral in train and viral in test; two films are copies."""
    names = [
        ("train", "person1_bacteria_1", 1, "bacteria", "P1"), ("train", "person1_bacteria_2", 1, "bacteria", "P1"),
        ("train", "person1_virus_6", 1, "virus", "P1"), ("train", "IM-0115-0001", 0, "normal", "NA0115"),
        ("train", "IM-0117-0001", 0, "normal", "NA0117"), ("test", "person1_virus_7", 1, "virus", "P1"),
        ("test", "IM-0001-0001", 0, "normal", "NA0001"),
    ]  # fmt: skip
    table = pd.DataFrame(names, columns=["split", "file", "label", "subtype", "patient"])
    table["path"] = table["split"] + "/" + table["file"] + ".jpeg"
    table[["path", "split", "label", "subtype", "patient"]].to_csv(folder / "kermany.csv", index=False)
    with zipfile.ZipFile(folder / "kermany_224.zip", "w") as archive:
        for seed, path in enumerate(table["path"]):
            content = io.BytesIO()
            grey = noise(16, 16, seed=3 if seed == 4 else seed)  # IM-0117 is a copy of IM-0115
            Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(content, "JPEG", quality=95)
            archive.writestr(path, content.getvalue())
    return {name: folder / name for name in ("kermany_224.zip", "kermany.csv")}


def write_busi(folder: Path) -> Path:
    """Nine images of three classes; 1 is nearly 0, 2 is nearly 1 (a chain of near copies), 4 is exactly 3."""
    images = np.repeat(np.repeat(noise(9, 16, 16), 8, axis=1), 8, axis=2)
    images[1], images[2], images[4] = images[0], images[0], images[3]
    images[1, :8, :8] ^= 64
    images[2, :8, 64:72] ^= 64
    names = np.array([f"normal ({i}).png" for i in range(9)])
    np.savez(
        folder / "busi_128.npz",
        images=images,
        labels=np.array([0, 0, 1, 1, 1, 2, 2, 0, 2], dtype=np.uint8),
        class_names=np.array(["normal", "benign", "malignant"]),
        filenames=names,
        original_wh=np.full((9, 2), 256, dtype=np.int16),
    )
    return folder / "busi_128.npz"


def write_hannover(folder: Path) -> dict[str, Path]:
    image_id = np.array(["a1", "a2", "b1", "c1"])
    np.savez(folder / "hannover_cxr_256.npz", images=noise(4, 256, 256), image_id=image_id)
    rows = {
        "patient_id": ["a", "a", "b", "c"],
        "image_id": image_id[[1, 0, 2, 3]],  # the table has another order than the images
        "sex": ["f", "f", "m", "m"], "age": "", "size": "", "weight": "",
        "admission_offset": [0, -1, 0, 0],
        "icu_admission_offset": ["0", "1", "-3", ""], "icu_release_offset": ["2", "3", "", ""],
        "death_offset": ["", "", "5", ""], "modality": "CR", "projection": ["ap", "pa", "ap", "pa"],
        "crp_val": ["-inf", "3.0", "", "inf"], "png_w": 640, "png_h": 524,
    }  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "hannover_cxr.csv", index=False)
    return {name: folder / name for name in ("hannover_cxr_256.npz", "hannover_cxr.csv")}


def write_cohen(folder: Path) -> dict[str, Path]:
    """Five films: one of Hannover, one patient (97) published again under another id (178)."""
    files = np.array(["x.jpg", "y.png", "z.png", "h.png", "w.png"])
    np.savez(folder / "cohen_cxr_256.npz", images=noise(5, 256, 256), filename=files)
    masks = np.packbits(noise(2, 3, 16, 16) > 127, axis=-1)
    structures = np.array(["Airways", "Left Lung", "Right Lung"])
    np.savez(folder / "cohen_masks_256.npz", masks=masks, filename=files[:2], structure=structures)
    zones = {f"brixia_{reader}-{zone}": ["1", "", "", "", "3"] for reader in "SJ" for zone in (*"ABCDEF", "Global")}
    rows = {
        "index": range(5), "filename": files, "patientid": ["97", "178", "3", "9", "4"], "offset": "",
        "sex": ["F", "F", "M", "M", ""], "age": ["54", "", "60", "", "30"],
        "finding": ["COVID-19", "todo", "No Finding", "COVID-19", "Unknown"], "view": ["AP", "?", "PA", "PA", ""],
        "license": ["CC BY-NC-SA", "CC BY 4.0", "CC BY", "CC BY 3.0", "CC BY-NC-SA 4.0"], "doi": "", "url": "u",
        "clinical_notes": "", "orig_w": 500, "orig_h": 400, "right_lung_box": "11.7 26.2 115.4 176.9",
        "left_lung_box": "138.7 25.6 107.9 193.8", **zones, "hannover_image_id": ["", "", "", "a1", ""],
    }  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "cohen_cxr.csv", index=False)
    (folder / "brixia_public_annotations.csv").write_text("filename,S-A\n")
    names = ("cohen_cxr_256.npz", "cohen_cxr.csv", "cohen_masks_256.npz", "brixia_public_annotations.csv")
    return {name: folder / name for name in names}


def write_medmnist(folder: Path, flag: str = "pneumoniamnist", size: int = 28, **changes: np.ndarray) -> Path:
    """8 train, 4 val and 4 test images; a validation image is a training image, and a training image is there twice."""
    shape = (size,) * (3 if flag.endswith("3d") else 2)
    colour = (3,) if flag in ("pathmnist", "dermamnist", "retinamnist", "bloodmnist") else ()
    arrays = {}
    for seed, (part, n) in enumerate((("train", 8), ("val", 4), ("test", 4))):
        arrays[f"{part}_images"] = noise(n, *shape, *colour, seed=seed)
        most = 2 if flag == "chestmnist" else len(medmnist.CLASSES[flag])
        columns = 14 if flag == "chestmnist" else 1
        arrays[f"{part}_labels"] = (noise(n, columns, seed=9 + seed) % most).astype(np.uint8)
    arrays["val_images"][0] = arrays["train_images"][2]
    arrays["train_images"][5] = arrays["train_images"][4]
    path = folder / (f"{flag}.npz" if size == 28 else f"{flag}_{size}.npz")
    np.savez_compressed(path, **{**arrays, **changes})
    return path


def write_chase(folder: Path) -> Path:
    names = np.array([f"Image_0{child}{eye}" for child in (1, 2) for eye in "LR"])
    packed = [np.packbits(noise(4, 12, 12, seed=seed) > 127, axis=-1) for seed in (1, 2)]
    images = noise(4, 12, 12, 3)
    path = folder / "chase_db1_480.npz"
    np.savez(path, images=images, vessels_observer1=packed[0], vessels_observer2=packed[1], names=names)
    return path


def write_lidc(folder: Path) -> dict[str, Path]:
    """Two patients; patient A has nodule 0 with two readers and nodule 1 with one."""
    masks = np.packbits(noise(4, 32, 32, 32) > 200, axis=-1)
    np.savez(folder / "lidc_masks_32.npz", masks_packed=masks, annotation_id=np.array([1, 2, 3, 4]))
    table = pd.DataFrame({"annotation_id": [1, 2, 3, 4], "patient_id": ["A", "A", "A", "B"], "scan_id": [1, 1, 1, 2]})
    for name, values in zip(lidc_masks.RATINGS, np.random.default_rng(0).integers(1, 6, (9, 4)), strict=True):
        table[name] = values
    table["malignancy"] = [4, 3, 3, 2]
    table = table.assign(diameter_mm=[9.0, 8.0, 5.0, 12.0], extent_z_mm=6.0, volume_mm3=100.0, n_slices=3)
    table = table.assign(pixel_spacing=0.7, slice_spacing=2.5, voxel_mm=1.25, center_row=1.0, center_col=1.0)
    table.assign(center_z=[0.0, 0.5, 40.0, 3.0], nodule=[0, 0, 1, 2]).to_csv(
        folder / "lidc_annotations.csv", index=False
    )
    return {name: folder / name for name in ("lidc_masks_32.npz", "lidc_annotations.csv")}


def write_chestxray14(folder: Path) -> Path:
    rows = [
        ("00000001_000.png", "Cardiomegaly|Effusion", 0, 1, "058Y", "M", "PA"),
        ("00000001_001.png", "No Finding", 1, 1, "059Y", "M", "AP"),
        ("00000002_000.png", "Mass", 0, 2, "40", "F", "PA"),
        ("00000003_000.png", "Nodule|Pleural_Thickening", 0, 3, "30", "F", "PA"),
    ]
    columns = ["Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender"]
    pd.DataFrame(rows, columns=[*columns, "View Position"]).to_csv(folder / "Data_Entry_2017_v2020.csv", index=False)
    (folder / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n00000002_000.png\n")
    (folder / "test_list.txt").write_text("00000003_000.png")
    for seed, row in enumerate(rows):
        picture(folder / f"images_00{1 + seed % 2}" / "images" / row[0], seed=seed)
    return folder


def write_chexpert(folder: Path) -> Path:
    def row(path: str, view: str, *values: str) -> list[str]:
        picture(folder / path)
        return [path, "Female", "68", view, "AP" if view == "Frontal" else "", *values]

    top, blank = "CheXpert-v1.0-small", [""] * 10
    columns = ["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT]
    train = [
        row(f"{top}/train/patient00001/study1/view1_frontal.jpg", "Frontal", "1.0", "", "-1.0", "0.0", *blank),
        row(f"{top}/train/patient00001/study1/view2_lateral.jpg", "Lateral", "1.0", "", "-1.0", "0.0", *blank),
        row(f"{top}/train/patient00002/study3/view1_frontal.jpg", "Frontal", "", "0.0", "1.0", "", *blank),
    ]
    valid = [row(f"{top}/valid/patient64541/study1/view1_frontal.jpg", "Frontal", "0.0", "1.0", *(["0.0"] * 12))]
    pd.DataFrame(train, columns=columns).to_csv(folder / top / "train.csv", index=False)
    pd.DataFrame(valid, columns=columns).to_csv(folder / top / "valid.csv", index=False)
    return folder


def write_mimic(folder: Path) -> Path:
    """Four studies of three patients; studies 53 and 54 have no labels, and one film is lateral."""
    images = [
        ("d1", "10000032", "50", "PA", "train"), ("d2", "10000032", "50", "LATERAL", "train"),
        ("d3", "10000032", "51", "AP", "train"), ("d4", "11000011", "53", "AP", "validate"),
        ("d5", "12000012", "54", "PA", "test"),
    ]  # fmt: skip
    meta = pd.DataFrame(images, columns=["dicom_id", "subject_id", "study_id", "ViewPosition", "split"])
    labels = pd.DataFrame({"subject_id": ["10000032"] * 2, "study_id": ["50", "51"], **dict.fromkeys(CHEXPERT, "")})
    labels["Atelectasis"], labels["Edema"] = ["1.0", "-1.0"], ["0.0", ""]
    for table, name in (
        (meta.drop(columns="split"), "metadata"),
        (meta[["dicom_id", "study_id", "subject_id", "split"]], "split"),
        (labels, "chexpert"),
    ):
        content = table.to_csv(index=False).encode()
        (folder / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(content))
    for seed, (image, subject, study, *_) in enumerate(images):
        picture(folder / f"files/p{subject[:2]}/p{subject}/s{study}/{image}.jpg", seed=seed)
    return folder


def write_padchest(folder: Path) -> Path:
    rows = [
        ("1.png", "0", "s1", "p1", "1950", "F", "PA", "Physician", "['cardiomegaly', ' pleural effusion']"),
        ("2.png", "0", "s2", "p1", "1950", "F", "AP_horizontal", "RNN_model", "['normal']"),
        ("3.png", "1", "s3", "p2", "1960.0", "M", "L", "Physician", "['nodule']"),
        ("4.png", "1", "s4", "p3", "1970", "0", "AP", "RNN_model", ""),
        ("5.png", "1", "s5", "p3", "1970", "M", "PA", "Physician", "['hydropneumothorax', 'unchanged']"),
    ]
    columns = ["ImageID", "ImageDir", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "Projection"]
    table = pd.DataFrame(rows, columns=[*columns, "MethodLabel", "Labels"]).assign(StudyDate_DICOM="20150305")
    table.to_csv(folder / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv")
    for seed, row in enumerate(rows):
        picture(folder / row[1] / row[0], seed=seed, deep=True)
    return folder


def write_vindr(folder: Path) -> Path:
    """Film t1: two of three readers see cardiomegaly and one an effusion; e1 is a test film with a consensus."""
    (folder / "annotations").mkdir()
    seen = {("t1", "R1"): ["Cardiomegaly", "Pleural effusion"], ("t1", "R2"): ["Cardiomegaly"]}
    readers = [(image, reader) for image in ("t1", "t2") for reader in ("R1", "R2", "R3")]
    train = [[i, r, *[float(c in seen.get((i, r), ["No finding"])) for c in VINDR]] for i, r in readers]
    pd.DataFrame(train, columns=["image_id", "rad_id", *VINDR]).to_csv(
        folder / "annotations" / "image_labels_train.csv", index=False
    )
    names = ["Other disease" if c == "Other diseases" else c for c in VINDR]  # spelt differently in the test table
    test = pd.DataFrame([["e1", *[int(c == "Nodule/Mass") for c in VINDR]]], columns=["image_id", *names])
    test.to_csv(folder / "annotations" / "image_labels_test.csv", index=False)
    for seed, path in enumerate(("train/t1.png", "train/t2.png", "test/e1.png")):
        picture(folder / path, seed=seed)
    return folder


# Every adapter of images: writes its tiny files into the folder and reads them.
LOADERS: dict[str, Callable[[Path], ImageSet]] = {
    "busi": lambda folder: busi.load_busi(write_busi(folder)),
    "chase_db1": lambda folder: chase.load_chase(write_chase(folder)).photographs,
    "chestxray14": lambda folder: chest_sets.load_chestxray14(write_chestxray14(folder)),
    "chexpert": lambda folder: chest_sets.load_chexpert(write_chexpert(folder), views="all"),
    "covid19_hannover_cxr": lambda folder: covid_cxr.load_hannover(write_hannover(folder)),
    "covid_chestxray_cohen": lambda folder: covid_cxr.load_cohen(write_cohen(folder)),
    "lidc_nodules": lambda folder: lidc_masks.load_masks(write_lidc(folder)),
    "medmnist": lambda folder: medmnist.load_medmnist("breastmnist", path=write_medmnist(folder, "breastmnist")),
    "mimic_cxr_jpg": lambda folder: chest_sets.load_mimic_cxr_jpg(write_mimic(folder)),
    "padchest": lambda folder: chest_sets.load_padchest(write_padchest(folder)),
    "pediatric_cxr_kermany": lambda folder: kermany.load_kermany(write_kermany(folder)),
    "pneumoniamnist_rebuilt": lambda folder: medmnist.load_pneumoniamnist_rebuilt(write_medmnist(folder)),
    "vindr_cxr": lambda folder: chest_sets.load_vindr_cxr(write_vindr(folder)),
}
