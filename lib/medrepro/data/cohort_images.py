"""Films of a cohort that a user registered with a table of their own, in the common shape; and such a table made.

The large public collections are read as their publishers give them by `chest_sets`; `table_of` turns what it read
into the table that `medrepro data import` checks and registers, and `load_cohort` reads any registered table back.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from . import labels as findings
from .cohort_table import table_path
from .errors import DataError
from .fetch import Folder, user_folder
from .image_sets import ImageSet
from .manifests import load
from .readers import ImageFiles, read_table, require_files


def load_cohort(name: str, *, size: int | None = None, colour: bool = False, folder: Folder = None) -> ImageSet:
    """The images of a registered cohort, read when asked for; size and colour as in `readers.ImageFiles`.

    labels: the label columns of the table, numbers where all are numbers, empty cells missing. metadata: path (inside
    the cohort's folder), age, sex where given. folder: the data folder, else that of MEDREPRO_DATA.
    Raises DataError when no table is registered, it was altered since, or images are missing.
    """
    manifest = load(name)
    table = read_table(table_path(name, folder=folder), ("path", "patient_id", "split"))
    root = user_folder(folder)
    if manifest.table is None or root is None:  # table_path has said so before
        raise DataError(f"{name}: takes no table of yours")
    paths = [root / str(manifest.folder) / path for path in table["path"]]
    require_files(name, paths, expected="check the table again with medrepro data import")
    columns = [column for column in table if column in manifest.table.labels]
    known = [column for column in ("path", "age", "sex") if column in table]
    return ImageSet(
        name=name,
        images=ImageFiles(paths, size=size, colour=colour),
        labels=table[columns].apply(_numbers),
        patient_id=table["patient_id"].to_numpy(dtype=str),
        site=table["site"].fillna("").to_numpy(dtype=str) if "site" in table else np.full(len(table), ""),
        split=table["split"].to_numpy(dtype=str),
        metadata=table[known].assign(**{"age": pd.to_numeric(table["age"])} if "age" in table else {}),
        unit=manifest.units,
        source=f"{manifest.title}; {manifest.licence}",
        access=manifest.access,
    )


def table_of(
    films: ImageSet,
    folder: Path,
    names: Sequence[str] | None = None,
    *,
    split: ArrayLike | None = None,
    uncertain: findings.Policy = "negative",
    missing: findings.Policy = "negative",
) -> pd.DataFrame:
    """The table of a cohort with columns path, patient_id, split, labels of 0 and 1, and age, sex where known.

    folder: the cohort's folder, in which the paths are given. names: which labels; left out, all of the manifest.
    split: part of each film (train, val, test), where the publisher gives none or another is wanted, see `splitting`;
    the published one when left out. uncertain, missing: as in `labels.resolve`; what stays missing is an empty cell.
    Raises ValueError for a label that the films do not have, or a path outside of the folder.
    """
    rules = load(films.name).table
    chosen = list(names) if names is not None else [n for n in (rules.labels if rules else ()) if n in films.labels]
    unknown = [name for name in chosen if name not in films.labels]
    if unknown:
        raise ValueError(f"names must be of {', '.join(map(str, films.labels))}, got {unknown[0]!r}")
    resolved = findings.resolve(films.labels[chosen], uncertain=uncertain, missing=missing)
    paths = [Path(path) for path in films.metadata["path"]]
    outside = [path for path in paths if not path.is_relative_to(folder)]
    if outside:
        raise ValueError(f"folder must hold every film, got {outside[0]} outside of {folder}")
    known = [column for column in ("age", "sex") if column in films.metadata]
    return pd.DataFrame(
        {
            "path": [path.relative_to(folder).as_posix() for path in paths],
            "patient_id": films.patient_id,
            "split": films.split if split is None else np.asarray(split, dtype=str),
            **{name: resolved[name].astype("Int64") for name in chosen},
            **{column: films.metadata[column] for column in known},
        }
    )


def _numbers(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().sum() == column.notna().sum() else column
