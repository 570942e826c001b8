"""Answers to questions as a table: what a run leaves behind, and all that the analysis of a run needs.

One row an answer. Columns: `id` (of the question), `question`, `model`, `sample` (0: the base answer at low
temperature; 1, 2, ...: the samples at high temperature, of which the base answer is none), `temperature`, `text`,
`log_prob` (natural log, summed over the answer; empty where unknown), `expected`, `correct` (1, 0, or empty: not
judged). Further columns (a set, a category, a patient) are kept and belong to the question.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..data import DataError

COLUMNS = ("id", "question", "model", "sample", "temperature", "text", "log_prob", "expected", "correct")
_NEEDED = ("id", "question", "model", "text", "expected")  # never empty, except text: a model may say nothing


@dataclass(frozen=True, eq=False)
class ModelAnswers:
    """The answers of one model to n questions, in the order of the table.

    base (n): base answers. samples: n rows of equally many texts. log_prob (n,): of the base answers, nan where
    unknown. correct (n,): of the base answers as recorded, nan where not judged. about: further columns, a row a
    question. temperatures: of the base answer and of the samples.
    """

    model: str
    ids: list[str]
    questions: list[str]
    expected: list[str]
    base: list[str]
    samples: list[list[str]]
    log_prob: NDArray[np.float64]
    correct: NDArray[np.float64]
    temperatures: tuple[float, float]
    about: pd.DataFrame

    def first(self, n_samples: int) -> list[list[str]]:
        """The first samples of every question; ValueError when there are not so many."""
        if not 1 <= n_samples <= len(self.samples[0]):
            raise ValueError(f"n_samples must be between 1 and {len(self.samples[0])}, got {n_samples}")
        return [row[:n_samples] for row in self.samples]

    def correct_or(self, judged: ArrayLike) -> NDArray[np.bool_]:
        """Whether each base answer is right, (n,): as recorded, for an expert overrides a judge; else as `judged`."""
        return np.where(np.isnan(self.correct), np.asarray(judged, dtype=bool), self.correct == 1)


def write_answers(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, checked first; renamed into place when complete."""
    checked = _check([{str(k): _cell(v) for k, v in row.items()} for row in table.to_dict("records")], "table", first=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        checked.to_csv(part, index=False, lineterminator="\n")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_answers(path: Path) -> pd.DataFrame:
    """A table from a CSV file (UTF-8, comma or semicolon), checked row by row.

    Raises DataError: one line that names file, line, column, what was found and what is expected, and how many more
    rows are wrong.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            comma = opened.readline()
            opened.seek(0)
            reader = csv.DictReader(opened, delimiter=";" if comma.count(";") > comma.count(",") else ",", strict=True)
            rows = list(reader)
            header = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name}: is not a readable CSV file: {error}") from None
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataError(f"{path.name}: column {missing[0]!r} is missing; expected {', '.join(COLUMNS)}")
    if not rows:
        raise DataError(f"{path.name}: holds no answers")
    return _check(rows, path.name, first=2)


def answers_of(table: pd.DataFrame, model: str) -> ModelAnswers:
    """The answers of one model; ValueError when the table has none of it."""
    part = table[table["model"] == model]
    if part.empty:
        known = ", ".join(dict.fromkeys(table["model"]))
        raise ValueError(f"model must be one of {known}, got {model!r}")
    part = part.sort_values("sample", kind="stable")
    base = part[part["sample"] == 0]
    rows = dict(list(part[part["sample"] > 0].groupby("id", sort=False)["text"]))
    further = [name for name in table.columns if name not in COLUMNS]
    hot = part.loc[part["sample"] > 0, "temperature"]
    return ModelAnswers(
        model=model,
        ids=list(base["id"]),
        questions=list(base["question"]),
        expected=list(base["expected"]),
        base=list(base["text"]),
        samples=[list(rows[i]) for i in base["id"]],
        log_prob=base["log_prob"].to_numpy(float),
        correct=base["correct"].to_numpy(float),
        temperatures=(float(base["temperature"].iloc[0]), float(hot.iloc[0])),
        about=base[further].reset_index(drop=True),
    )


def _check(rows: Sequence[dict[str, Any]], source: str, first: int) -> pd.DataFrame:
    """The rows as a typed table; DataError with the first problem. first: what the first row is called."""
    problems, checked = [], []
    for number, row in enumerate(rows, start=first):
        try:
            checked.append(_row(row))
        except ValueError as error:
            problems.append(f"line {number}: {error}" if first else f"row {number}: {error}")
    if problems:
        more = f" ({len(problems) - 1} more rows are wrong)" if len(problems) > 1 else ""
        raise DataError(f"{source}: {problems[0]}{more}")
    table = pd.DataFrame(checked)
    _check_whole(table, source)
    return table


def _row(row: dict[str, Any]) -> dict[str, Any]:
    if None in row or None in row.values():
        raise ValueError("has more or fewer cells than the header")
    found: dict[str, Any] = dict(row)
    for name in _NEEDED:
        if name != "text" and not row[name].strip():
            raise ValueError(f"{name} must not be empty")
    found["sample"] = _whole("sample", row["sample"])
    found["temperature"] = _number("temperature", row["temperature"], low=0.0)
    found["log_prob"] = _number("log_prob", row["log_prob"], high=0.0, empty=True)
    found["correct"] = _number("correct", row["correct"], empty=True)
    if not math.isnan(found["correct"]) and found["correct"] not in (0, 1):
        raise ValueError(f"correct must be 1, 0 or empty, got {row['correct']!r}")
    return found


def _check_whole(table: pd.DataFrame, source: str) -> None:
    """One base answer and equally many samples a question, and the same question text for all its answers."""
    key = ["model", "id"]
    if table.duplicated([*key, "sample"]).any():
        model, name, sample = table[table.duplicated([*key, "sample"])].iloc[0][[*key, "sample"]]
        raise DataError(f"{source}: question {name!r} of model {model!r} has sample {sample} twice")
    for (model, name), part in table.groupby(key, sort=False):
        if not (part["sample"] == 0).any():
            raise DataError(f"{source}: question {name!r} of model {model!r} has no base answer (sample 0)")
    for model, part in table.groupby("model", sort=False):
        counts = part.groupby("id", sort=False).size() - 1
        if counts.min() < 1 or counts.nunique() > 1:
            odd = counts.idxmin()
            raise DataError(
                f"{source}: model {model!r} must have equally many samples, at least 1, for every question, got "
                f"{counts.min()} for {odd!r} and up to {counts.max()} elsewhere"
            )
        for which, some in (("base answers", part[part["sample"] == 0]), ("samples", part[part["sample"] > 0])):
            if some["temperature"].nunique() > 1:
                raise DataError(f"{source}: the {which} of model {model!r} must share one temperature")
    texts = table.groupby("id", sort=False)[["question", "expected"]].nunique()
    if (texts > 1).any(axis=None):
        raise DataError(f"{source}: {texts.index[(texts > 1).any(axis=1)][0]!r} has two questions or expected answers")


def _cell(value: Any) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)


def _whole(name: str, text: str) -> int:
    number = _number(name, text, low=0.0)
    if number != int(number):
        raise ValueError(f"{name} must be a whole number >= 0, got {text!r}")
    return int(number)


def _number(
    name: str, text: str, *, low: float = -math.inf, high: float = math.inf, empty: bool = False
) -> float:  # fmt: skip
    if empty and not text.strip():
        return math.nan
    bound = f" >= {low:g}" if low > -math.inf else f" <= {high:g}" if high < math.inf else ""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number) or math.isinf(number) or not low <= number <= high:
        raise ValueError(f"{name} must be a number{bound}{' or empty' if empty else ''}, got {text!r}")
    return number
