"""Studies in which several readers read the same cases with several modalities, and three tables of raters.

Fourteen studies of the R package RJafroc (marks: with a place in free-response studies, one a case in ROC studies),
Kundel of MRMCaov, and three small tables of irr. Van Dyke and Franken are also in MRMCaov: the same ratings, counted
once here. The data are GPL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import DataError
from .fetch import locate_all
from .image_sets import assert_counts
from .readers import read_table

NAME = "reader_studies"
RATER_TABLES = ("anxiety", "diagnoses", "video")
_KEYS = ["modality", "reader", "case"]


@dataclass(frozen=True, eq=False)
class ReaderStudy:
    """One study; modalities, readers and cases are those of the axes of `ratings`.

    ratings (modalities, readers, cases): the rating of the case, in free-response studies the highest of its marks;
    -inf where the reader made no mark; nan where the reader did not read the case with that modality. truth (cases,):
    1 diseased. marks: the long form with columns modality, reader, case, truth, mark ("NL" not a lesion, "LL" lesion),
    slot, rating. lesions (cases,): number of lesions.
    """

    name: str
    kind: str
    modalities: tuple[str, ...]
    readers: tuple[str, ...]
    cases: NDArray[np.int64]
    truth: NDArray[np.int64]
    lesions: NDArray[np.int64]
    ratings: NDArray[np.float64]
    marks: pd.DataFrame

    def __repr__(self) -> str:
        shape = f"{len(self.modalities)} modalities, {len(self.readers)} readers, {len(self.cases)} cases"
        return f"ReaderStudy({self.name}: {self.kind}, {shape}, {self.truth.sum()} diseased)"


def study_names(files: Mapping[str, Path] | None = None) -> list[str]:
    """Names of all studies, such as "VAN-DYKE" and "KUNDEL"."""
    return [*_studies(locate_all(NAME) if files is None else files)["name"], "KUNDEL"]


def load_study(name: str, files: Mapping[str, Path] | None = None) -> ReaderStudy:
    """One study by its name.

    files: the files of the manifest by name; found, verified and counted when left out.
    Raises ValueError for an unknown name, DataError when the table of the study and its marks do not fit each other.
    """
    given = locate_all(NAME) if files is None else files
    studies = _studies(given)
    known = [*studies["name"], "KUNDEL"]
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}")
    if name == "KUNDEL":
        return _kundel(given["mrmcaov_Kundel.csv"])
    row = studies.set_index("name").loc[name]
    marks = read_table(given["rjafroc_marks.csv.gz"], ("dataset", *_KEYS, "truth", "mark", "slot", "rating"))
    lesions = read_table(given["rjafroc_lesions.csv"], ("dataset", "case", "n_lesions"), dtype=None)
    if files is None:
        assert_counts(
            NAME,
            {"rjafroc_studies": len(studies), "rjafroc_marks": len(marks)},
            {"rjafroc_studies": 14, "rjafroc_marks": 26642},
        )
    marks = marks[marks["dataset"] == row["dataset"]].drop(columns="dataset").reset_index(drop=True)
    marks = marks.astype({"case": int, "truth": int, "slot": int, "rating": float})
    lesions = lesions[lesions["dataset"] == row["dataset"]].set_index("case")["n_lesions"]
    healthy, diseased = int(row["n_nondiseased"]), int(row["n_diseased"])
    cases = np.arange(1, healthy + diseased + 1)  # numbered through, the diseased last
    truth = (cases > healthy).astype(np.int64)
    study = _fill(name, str(row["type"]), cases, truth, lesions.reindex(cases, fill_value=0).to_numpy(), marks)
    found = (len(study.modalities), len(study.readers), len(lesions))
    expected = (int(row["n_modalities"]), int(row["n_readers"]), diseased)
    if found != expected or set(lesions.index) != set(cases[truth == 1]):
        raise DataError(f"{NAME}: {name} has {found} modalities, readers and diseased cases, expected {expected}")
    return study


def load_raters(name: str, files: Mapping[str, Path] | None = None) -> pd.DataFrame:
    """A table of irr, a row a subject and a column a rater: anxiety (20 x 3), diagnoses (30 x 6), video (20 x 4)."""
    if name not in RATER_TABLES:
        raise ValueError(f"name must be one of {', '.join(RATER_TABLES)}, got {name!r}")
    given = locate_all(NAME) if files is None else files
    table = read_table(given[f"irr_{name}.csv"], ("rater1", "rater2"), dtype=None)
    if files is None:
        assert_counts(NAME, {f"irr_{name}": len(table)})
    return table


def _studies(files: Mapping[str, Path]) -> pd.DataFrame:
    columns = ("dataset", "name", "type", "n_modalities", "n_readers", "n_nondiseased", "n_diseased", "design")
    return read_table(files["rjafroc_datasets.csv"], columns, dtype=None)


def _kundel(path: Path) -> ReaderStudy:
    """Half of its 190 cases were read with one of the modalities, half with the two others."""
    table = read_table(path, ("reader", "treatment_name", "case", "truth", "rating"))
    marks = table.rename(columns={"treatment_name": "modality"})[["modality", "reader", "case", "truth", "rating"]]
    marks = marks.astype({"case": int, "truth": int, "rating": float})
    marks = marks.assign(mark=np.where(marks["truth"] == 1, "LL", "NL"), slot=1)
    by_case = marks.groupby("case")["truth"]
    if (by_case.nunique() > 1).any():
        raise DataError(f"{NAME}: {path.name}: a case is diseased in one row and not in another")
    truth = by_case.first()
    study = _fill("KUNDEL", "ROC", truth.index.to_numpy(), truth.to_numpy(), truth.to_numpy(), marks)
    read = np.isfinite(study.ratings).any(axis=1, keepdims=True)
    ratings = np.where(read | np.isfinite(study.ratings), study.ratings, np.nan)
    return ReaderStudy(**{**vars(study), "ratings": ratings})


def _fill(name: str, kind: str, cases: NDArray, truth: NDArray, lesions: NDArray, marks: pd.DataFrame) -> ReaderStudy:
    """The study with its ratings: highest mark of each case, -inf without a mark."""
    unknown = sorted(set(marks["case"]) - set(cases.tolist()))
    if unknown:
        raise DataError(f"{NAME}: {name}: marks on case {unknown[0]}, which the study does not have")
    if (marks["truth"].to_numpy() != truth[np.searchsorted(cases, marks["case"])]).any():
        raise DataError(f"{NAME}: {name}: truth of a mark is not that of its case")
    modalities, readers = sorted(set(marks["modality"])), sorted(set(marks["reader"]), key=lambda r: (len(r), r))
    highest = marks.groupby(_KEYS)["rating"].max()
    index = pd.MultiIndex.from_product([modalities, readers, cases], names=_KEYS)
    ratings = highest.reindex(index).fillna(-np.inf).to_numpy().reshape(len(modalities), len(readers), len(cases))
    return ReaderStudy(name, kind, tuple(modalities), tuple(readers), cases, truth, lesions, ratings, marks)
