"""Chest radiographs of children (Kermany 2018), 224 x 224: normal, bacterial and viral pneumonia.

**Who is one child.** File names carry a number; nothing states whose. The films say that a number is one child only
within a cause of pneumonia: inside the training part, bacterial films of one number are more alike than those of two
(mean correlation at 32 x 32 pixels 0.746 against 0.694; viral 0.758 against 0.720), a bacterial and a viral film of
one number are not (0.694 against 0.700). And no pair of cause and number is in both published parts, although 170
numbers are. So the two parts are taken as different children, while inside a part a number is one child whatever the
cause, which is the careful side. Exact copies belong to one child whatever their names.

The task normal against pneumonia is solved by brightness alone to a large degree (AUC 0.95 inside the training part),
and the published test part is shifted. PneumoniaMNIST is made of the same films: never test one with the other. The
16 validation films of the publisher are not in this copy; age and sex are not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from .copies import first_of_group, linked_groups, pixel_hashes, repeats
from .errors import DataError
from .fetch import locate_all
from .image_sets import ImageSet, assert_counts
from .readers import ZippedImages, fit_square, read_table

NAME = "pediatric_cxr_kermany"
CAUSES = ("normal", "bacteria", "virus")
_COUNTS = {
    "train": 5216, "test": 624, "train_normal": 1341, "train_bacteria": 2530, "train_virus": 1345, "test_normal": 234,
    "test_bacteria": 242, "test_virus": 148, "surplus_copies": 32, "numbers_in_both_parts": 170,
    "cause_and_number_in_both_parts": 0,
}  # fmt: skip


def load_kermany(files: Mapping[str, Path] | None = None, *, size: int | None = None) -> ImageSet:
    """All 5,840 films with labels `pneumonia` (0, 1) and `cause` (normal, bacteria, virus), in memory.

    files: kermany_224.zip and kermany.csv by name; found, verified and counted when left out. size: resized to
    size x size; the shape stored is 224 x 224, squashed by whoever made this copy.
    metadata: path, number (as in the file name), repeats_earlier (its exact copy comes before it in the table).
    Raises DataError when files are not readable, films are missing, or the counts do not hold.
    """
    counted = files is None
    files = locate_all(NAME) if files is None else files
    table = read_table(files["kermany.csv"], ("path", "split", "label", "subtype", "patient"))
    wrong = set(table["label"]) - {"0", "1"} or set(table["subtype"]) - set(CAUSES)
    if wrong or ((table["label"] == "0") != (table["subtype"] == "normal")).any():
        raise DataError(f"{NAME}: kermany.csv: label must be 0 for subtype normal and 1 for bacteria and virus")
    films = ImageSet(
        name=NAME,
        images=ZippedImages(files["kermany_224.zip"], table["path"].tolist()),
        labels=pd.DataFrame({"pneumonia": table["label"].astype(int), "cause": table["subtype"]}),
        patient_id=(table["split"] + "-" + table["patient"]).to_numpy(dtype=str),
        site=np.full(len(table), "Guangzhou"),
        split=table["split"].to_numpy(dtype=str),
        metadata=pd.DataFrame({"path": table["path"], "number": table["patient"]}),
        unit="child (number in the file name)",
        source="Kermany et al. 2018, Mendeley Data rscbjbr9sj, CC BY 4.0",
    ).in_memory()
    hashes = pixel_hashes(films)
    # A group is named by its first film, so that a child without copies keeps the name made above.
    names = first_of_group(films.patient_id, linked_groups(films.patient_id, hashes))
    films = replace(films, patient_id=names, metadata=films.metadata.assign(repeats_earlier=repeats(hashes)))
    if counted:
        assert_counts(NAME, _count(films), _COUNTS)
    return films if size is None else replace(films, images=np.stack([fit_square(i, size) for i in films]))


def _count(films: ImageSet) -> dict[str, int]:
    number, cause = films.metadata["number"], films.labels["cause"]
    test = films.split == "test"
    found = {"films": len(films), "train": int((~test).sum()), "test": int(test.sum())}
    found |= {f"train_{c}": int((~test & (cause == c)).sum()) for c in CAUSES}
    found |= {f"test_{c}": int((test & (cause == c)).sum()) for c in CAUSES}
    both = number + cause
    found["surplus_copies"] = int(films.metadata["repeats_earlier"].sum())
    found["numbers_in_both_parts"] = len(set(number[test]) & set(number[~test]))
    found["cause_and_number_in_both_parts"] = len(set(both[test]) & set(both[~test]))
    return found
