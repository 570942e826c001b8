"""VQA-Med 2019 test: 500 questions on medical images, of which only the text is here; the image id is the unit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from .errors import DataError
from .fetch import locate
from .image_sets import assert_counts

NAME = "vqa_med_2019_test"
CATEGORIES = ("modality", "plane", "organ", "abnormality")
_COUNTS = {"questions": 500, **dict.fromkeys(CATEGORIES, 125)}


def load_vqa_med(path: Path | None = None) -> pd.DataFrame:
    """One row a question: image (id), category (one of CATEGORIES), question, answers (tuple, all accepted).

    path: the text file `image|category|question|answer#answer`; found, verified and counted when left out.
    Raises DataError naming the line that is not of this form.
    """
    source = locate(NAME) if path is None else Path(path)
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: is not a readable text file: {error}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 4 or parts[1] not in CATEGORIES or not all(parts):
            raise DataError(f"{source}: line {number} must read image|category|question|answer#answer")
        image, category, question, answers = parts
        rows.append((image, category, question, tuple(a.strip() for a in answers.split("#") if a.strip())))
    table = pd.DataFrame(rows, columns=["image", "category", "question", "answers"])
    if path is None:
        sizes = table["category"].value_counts()
        found = {"questions": len(table), "categories": len(sizes), "per_category": int(sizes.max()), **sizes.to_dict()}
        assert_counts(NAME, found, _COUNTS)
    return table
