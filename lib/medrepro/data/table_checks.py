"""What can be wrong with a user's table of a cohort, found in one pass and named by row and column.

No problem repeats what a cell holds: paths and ids of patients stay in the table.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from .manifests import TableRules

REQUIRED = ("path", "patient_id", "split")
PERSONAL = ("age", "sex", "site")
SEXES = ("F", "M", "O", "")
OLDEST = 120
_HEADER = 1  # row number of the header, as a spreadsheet counts
_STARTS = {  # how a file of this kind begins; others are only opened
    ".png": (b"\x89PNG",), ".jpg": (b"\xff\xd8\xff",), ".jpeg": (b"\xff\xd8\xff",), ".gz": (b"\x1f\x8b",),
    ".npy": (b"\x93NUMPY",), ".npz": (b"PK",), ".h5": (b"\x89HDF",), ".tif": (b"II", b"MM"), ".tiff": (b"II", b"MM"),
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """What is wrong and where. rows: as a spreadsheet counts them, the header is row 1; none: the whole table."""

    text: str
    column: str = ""
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        rows = f"row{'s' if len(self.rows) > 1 else ''} {ranges(self.rows)}" if self.rows else ""
        return ": ".join(part for part in (rows, self.column, self.text) if part)


def ranges(rows: Iterable[int]) -> str:
    """'2-5, 9' for 2, 3, 4, 5, 9: every row, in as few words as can be."""
    runs: list[list[int]] = []
    for row in sorted(set(rows)):
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


class CheckedTable:
    """A table read and checked: `problems`, `notes`, and the kept columns with their values.

    rules: of the cohort's manifest. needed: label columns that must be there. folder: in which the paths lie.
    """

    def __init__(self, raw: bytes, rules: TableRules, needed: Sequence[str], folder: Path) -> None:
        self.notes: list[str] = []
        self.values: dict[str, list[str]] = {}
        self._rules, self._folder = rules, folder
        self._whole: list[Problem] = []
        self._cells: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._numbers: list[int] = []
        text = self._decode(raw)
        if text is not None and self._read(text, needed):
            self._check()

    @property
    def problems(self) -> list[Problem]:
        """All of them, by row; the same problem in one column is named once with all its rows."""
        cells = [Problem(text, column, tuple(rows)) for (column, text), rows in self._cells.items()]
        return sorted([*self._whole, *cells], key=lambda problem: (problem.rows[:1], problem.column))

    @property
    def columns(self) -> list[str]:
        """The kept columns, in a fixed order."""
        return list(self.values)

    @property
    def n_rows(self) -> int:
        """Rows that could be read."""
        return len(self._numbers)

    def _decode(self, raw: bytes) -> str | None:
        if not raw.strip():
            self._whole.append(Problem("the table is empty"))
            return None
        if b"\0" in raw:
            self._whole.append(Problem("holds NUL bytes: save it as CSV in UTF-8, not as UTF-16 or as a workbook"))
            return None
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            for number, line in enumerate(raw.split(b"\n"), start=_HEADER):
                if not _is_utf8(line):
                    self._cells["", "is not UTF-8: save the table as CSV in UTF-8"].append(number)
            return None

    def _read(self, text: str, needed: Sequence[str]) -> bool:
        """Split into cells; False when the header cannot be used."""
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        number = _HEADER
        try:
            header = [cell.strip() for cell in next(rows)]
            if not self._use_header(header, needed):
                return False
            places = {column: header.index(column) for column in self.values}
            for number, cells in enumerate(rows, start=_HEADER + 1):
                if not any(cell.strip() for cell in cells):
                    if cells:  # a line without any comma, as at the end of many files, is none
                        self._cells["", "is empty"].append(number)
                elif len(cells) != len(header):
                    self._cells["", f"has {len(cells)} cells, the header has {len(header)}"].append(number)
                else:
                    self._numbers.append(number)
                    for column, place in places.items():
                        self.values[column].append(cells[place].strip())
        except csv.Error as error:
            self._whole.append(Problem(f"cannot be read as CSV from here on: {error}", rows=(number + 1,)))
        return True

    def _use_header(self, header: list[str], needed: Sequence[str]) -> bool:
        labels = list(self._rules.labels)
        known = [*REQUIRED, *PERSONAL, *labels]
        problems: list[Problem] = []
        mark = next((mark for mark in (";", "\t", "|") if len(header) == 1 and mark in header[0]), None)
        if mark:
            problems.append(Problem(f"columns are separated by {mark!r}, expected ','", rows=(_HEADER,)))
        else:
            # Names that are not ours are given by their place: a table without a header has patients there.
            for column, count in Counter(header).items():
                if count > 1:
                    places = ", ".join(str(i) for i, name in enumerate(header, start=1) if name == column)
                    problems.append(Problem(f"columns {places} have the same name", rows=(_HEADER,)))
            others = {name: place for place, name in enumerate(header, start=1) if name not in known}
            for column in (*REQUIRED, *self._rules.columns, *needed):
                if column not in header:
                    near = difflib.get_close_matches(column, others, n=1, cutoff=0.6)
                    hint = f"; is it column {others[near[0]]}?" if near else ""
                    problems.append(Problem("is missing" + hint, column, (_HEADER,)))
            if not any(label in header for label in labels):
                problems.append(Problem(f"has no label column, expected some of {', '.join(labels)}", rows=(_HEADER,)))
            if others and not problems:
                self.notes.append(f"columns {ranges(others.values())} are not kept: this book does not use them")
        self._whole += problems
        self.values = {} if problems else {column: [] for column in known if column in header}
        return not problems

    def _check(self) -> None:
        if not self._numbers:
            self._whole.append(Problem("has a header and no row that can be read"))
            return
        rules = self._rules
        self._each("path", self._path_fault)
        self._each("patient_id", lambda cell: "" if cell else "is empty")
        self._one_of("split", rules.splits)
        for column in rules.columns:
            if not any(self.values[column]):
                self._whole.append(Problem("is empty in every row", column))
        if "age" in self.values:
            self._each("age", _age_fault)
        if "sex" in self.values:
            self._one_of("sex", SEXES)
        for label, allowed in rules.labels.items():
            if label in self.values:
                self.values[label] = [_plain(cell) for cell in self.values[label]]
                self._one_of(label, allowed)
        self._check_repeats()
        self._check_patients()
        for split in rules.splits:
            if split not in self.values["split"]:
                said = f"no row has split '{split}'"
                self._whole.append(Problem(said, "split")) if split in ("train", "test") else self.notes.append(said)

    def _each(self, column: str, fault: Callable[[str], str]) -> None:
        for number, cell in zip(self._numbers, self.values[column], strict=True):
            if text := fault(cell):
                self._cells[column, text].append(number)

    def _one_of(self, column: str, allowed: Sequence[str]) -> None:
        said = "must be one of " + ", ".join(value for value in allowed if value)
        said += " or empty" if "" in allowed else ""
        self._each(column, lambda cell: "" if cell in allowed else said)

    def _path_fault(self, cell: str) -> str:
        path, windows = PurePosixPath(cell), PureWindowsPath(cell)
        if not cell:
            return "is empty"
        if path.is_absolute() or windows.drive or "\\" in cell or ".." in path.parts:
            return f"must lie inside the folder {self._folder.name}, written with / and without '..'"
        try:
            place = self._folder / path
            if not place.is_file():
                return "is not a file" if place.exists() else "does not exist"
            with place.open("rb") as stream:
                start = stream.read(16)
        except (OSError, ValueError):
            return "cannot be read"
        if not start:
            return "is an empty file"
        kinds = _STARTS.get(path.suffix.lower())
        return "" if kinds is None or start.startswith(kinds) else f"is not what its ending {path.suffix.lower()} says"

    def _check_repeats(self) -> None:
        rows: dict[str, list[int]] = defaultdict(list)
        for number, cell in zip(self._numbers, self.values["path"], strict=True):
            if cell:
                rows[str(PurePosixPath(cell))].append(number)
        for numbers in rows.values():
            if len(numbers) > 1:
                self._whole.append(Problem("is the same file in all of these rows", "path", tuple(numbers)))

    def _check_patients(self) -> None:
        rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, patient, split in zip(self._numbers, self.values["patient_id"], self.values["split"], strict=True):
            if patient:
                rows[patient][split].append(number)
        for splits in rows.values():
            if len(splits) > 1:
                numbers = tuple(sorted(n for group in splits.values() for n in group))
                self._whole.append(Problem("is one patient on two sides of the split", "patient_id", numbers))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _age_fault(cell: str) -> str:
    said = f"must be years from 0 to {OLDEST}, or empty"
    try:
        age = float(cell) if cell else 0.0
    except ValueError:
        return said
    return "" if math.isfinite(age) and 0 <= age <= OLDEST else said


def _plain(cell: str) -> str:
    """'1' for 1.0 or 01, as programs write whole numbers; any other text as it is."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return str(int(number)) if math.isfinite(number) and number == int(number) else cell
