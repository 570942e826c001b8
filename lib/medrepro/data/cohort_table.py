"""A user's own table of a cohort, for the paper presets: checked, then registered in the user's data folder."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from . import manifests
from .cohort_rules import PROTECTED_ACCESS, SMALLEST_CELL
from .errors import DataError, UnknownDataError, did_you_mean
from .fetch import Folder, registered_table, user_folder
from .table_checks import CheckedTable, Problem
from .verify import file_digest


@dataclass(frozen=True)
class TableReport:
    """What a check found. n_rows: images. splits: images of each. studies: those whose label columns are all there.

    notes: what is not wrong but should be known. lines: the table as it would be stored, header first.
    """

    name: str
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    n_rows: int
    n_patients: int
    splits: dict[str, int]
    studies: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]

    @property
    def public_splits(self) -> dict[str, int | str]:
        """Images of each split; of a credentialed or private cohort without counts under 10."""
        hide = manifests.load(self.name).access in PROTECTED_ACCESS
        return {s: f"< {SMALLEST_CELL}" if hide and n < SMALLEST_CELL else n for s, n in self.splits.items()}


def check_table(
    name: str, table: str | os.PathLike[str], *, study: str | None = None, folder: Folder = None
) -> TableReport:
    """Check a CSV file against the manifest of a cohort; nothing is written.

    Columns: path (inside the cohort's folder), patient_id, split, one or more labels of the manifest, and age (years),
    sex (F, M, O or empty) and site where the manifest asks for them or the user gives them. Others are not kept.
    study: whose labels must all be there. folder: the data folder, else that of MEDREPRO_DATA.
    Raises UnknownDataError when the set takes no table or states no labels for the study, DataError when no data folder
    is set or the file cannot be read. Everything else is a problem of the report, all of them at once.
    """
    manifest = manifests.load(name)
    rules = manifest.table
    if rules is None:
        raise UnknownDataError(f"{name}: takes no table of yours; medrepro data show {name} says how to obtain it")
    if study is not None and study not in rules.studies:
        raise UnknownDataError(f"{name}: states no labels for study '{study}'; {did_you_mean(study, rules.studies)}")
    root = _root(name, folder)
    try:
        raw = Path(table).read_bytes()
    except OSError as error:
        raise DataError(f"{table}: cannot be read: {error.strerror}") from None
    checked = CheckedTable(raw, rules, rules.studies[study] if study else (), root / str(manifest.folder))
    values = checked.values
    return TableReport(
        name=name,
        problems=tuple(checked.problems),
        notes=tuple(checked.notes),
        n_rows=checked.n_rows,
        n_patients=len(set(values.get("patient_id", ()))),
        splits={split: n for split, n in Counter(values.get("split", ())).items() if split in rules.splits},
        studies=tuple(s for s, labels in rules.studies.items() if values and set(labels) <= set(values)),
        lines=(tuple(values), *zip(*values.values(), strict=True)),
    )


def register_table(report: TableReport, *, folder: Folder = None) -> Path:
    """Store a clean table in the registry of the user's data folder, in one step; its path.

    Beside it lies a small JSON file with its digest and counts. Raises DataError when the report has problems or the
    folder cannot be written; what was registered before stays then.
    """
    if report.problems:
        raise DataError(f"{report.name}: {len(report.problems)} problems: nothing was imported")
    target = registered_table(_root(report.name, folder), report.name)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(report.lines)
    part = target.with_name(f".{report.name}.{os.getpid()}.csv")
    note = part.with_suffix(".json")
    try:
        target.parent.mkdir(exist_ok=True)
        part.write_text(text.getvalue(), encoding="utf-8", newline="")
        facts = {
            "name": report.name,
            "sha256": file_digest(part),
            "rows": report.n_rows,
            "splits": report.public_splits,
        }
        facts |= {"columns": report.lines[0], "studies": report.studies, "checked": date.today().isoformat()}
        note.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        os.replace(part, target)
        os.replace(note, target.with_suffix(".json"))  # after a kill in between the digests differ: import again
    except OSError as error:
        raise DataError(f"{report.name}: the table could not be stored: {error.strerror}") from None
    finally:
        for left in (part, note):
            with contextlib.suppress(OSError):  # the folder itself may be what is wrong
                left.unlink()
    return target


def table_path(name: str, *, folder: Folder = None) -> Path:
    """The registered table of a cohort, as it was checked. Raises DataError when there is none or it was altered."""
    target = registered_table(_root(name, folder), manifests.load(name).name)
    again = f"check it with medrepro data import {name} TABLE.csv"
    if not target.is_file():
        raise DataError(f"{name}: no table is registered; {again}")
    try:
        same = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))["sha256"] == file_digest(target)
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise DataError(f"{name}: the registered table was altered since its import; {again}")
    return target


def _root(name: str, folder: Folder) -> Path:
    root = user_folder(folder)
    if root is None:
        raise DataError(f"{name}: no data folder is set (MEDREPRO_DATA or --data)")
    return root
