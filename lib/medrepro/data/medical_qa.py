"""Medical questions with a known answer: PubMedQA, MedQA (US), MedMCQA and MMLU, in one table.

All have been public for years, so that a language model may have read questions with their answers. Questions whose
text comes again share a `group`: resample and split by it.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from .errors import DataError
from .fetch import locate_all
from .image_sets import assert_counts
from .readers import read_table

NAME = "medical_qa"
SETS = ("pubmedqa", "medqa", "medmcqa", "mmlu")
LETTERS = ("A", "B", "C", "D")
_COUNTS = {
    "pubmedqa": 1000, "pubmedqa_test": 500, "medqa": 1273, "medmcqa": 4183, "medmcqa_explained": 2206,
    "medmcqa_radiology": 69, "medmcqa_anaesthesia": 34, "mmlu": 1089, "mmlu_subjects": 6,
}  # fmt: skip


def load_questions(files: Mapping[str, Path] | None = None) -> pd.DataFrame:
    """All 7,545 questions, one row each.

    files: the four files of the manifest by name; found, verified and counted when left out.
    Columns: set (one of SETS), question_id, split ("train", "val", "test"), subject, question, options (dict from
    letter to text; of PubMedQA yes, no, maybe), answer (a key of options), context (PubMedQA: the abstract without
    its conclusion), explanation (MedMCQA: may name the answer; PubMedQA: the conclusion), single (False where the
    publisher says that several options may hold), group (number; the same question text, in whichever set).
    Raises DataError when a file is not of the expected layout, an answer is none of the options, or counts do not hold.
    """
    given = locate_all(NAME) if files is None else files
    rows = [
        *_pubmedqa(given["pubmedqa_labeled.jsonl.gz"]),
        *_medqa(given["medqa_us_test.jsonl.gz"]),
        *_medmcqa(given["medmcqa_dev.jsonl.gz"]),
        *_mmlu(given["mmlu_medical_test.csv"]),
    ]
    table = pd.DataFrame(rows)
    wrong = [r["question_id"] for r in rows if r["answer"] not in r["options"]]
    if wrong:
        raise DataError(f"{NAME}: {len(wrong)} answers are none of their options, first {wrong[0]}")
    if table["question_id"].duplicated().any():
        raise DataError(
            f"{NAME}: question {table['question_id'][table['question_id'].duplicated()].iloc[0]} is there twice"
        )
    table["group"] = pd.factorize(table["question"].str.casefold().str.split().str.join(" "))[0]
    if files is None:
        assert_counts(NAME, _count(table), _COUNTS)
    return table


def _count(table: pd.DataFrame) -> dict[str, int]:
    found = {name: int((table["set"] == name).sum()) for name in SETS}
    found["pubmedqa_test"] = int(((table["set"] == "pubmedqa") & (table["split"] == "test")).sum())
    exam = table[table["set"] == "medmcqa"]
    found["medmcqa_explained"] = int((exam["explanation"] != "").sum())
    found["medmcqa_radiology"] = int((exam["subject"] == "Radiology").sum())
    found["medmcqa_anaesthesia"] = int((exam["subject"] == "Anaesthesia").sum())
    found["mmlu_subjects"] = table.loc[table["set"] == "mmlu", "subject"].nunique()
    return found


def _row(name: str, number: Any, **values: Any) -> dict[str, Any]:
    empty = {"split": "test", "subject": "", "context": "", "explanation": "", "single": True}
    return {"set": name, "question_id": f"{name}-{number}", **empty, **values}


def _pubmedqa(path: Path) -> list[dict[str, Any]]:
    needs = ("pmid", "split", "question", "contexts", "final_decision", "long_answer")
    return [
        _row(
            "pubmedqa",
            item["pmid"],
            split=item["split"],
            question=item["question"],
            options={word: word for word in ("yes", "no", "maybe")},
            answer=item["final_decision"],
            context="\n".join(item["contexts"]),
            explanation=item["long_answer"],
        )
        for item in _lines(path, needs)
    ]


def _medqa(path: Path) -> list[dict[str, Any]]:
    items = _lines(path, ("question", "options", "answer", "answer_idx", "meta_info"))
    if any(item["options"].get(item["answer_idx"]) != item["answer"] for item in items):
        raise DataError(f"{path}: an answer is not the option that its letter names")
    return [
        _row("medqa", n, subject=i["meta_info"], question=i["question"], options=i["options"], answer=i["answer_idx"])
        for n, i in enumerate(items)
    ]


def _medmcqa(path: Path) -> list[dict[str, Any]]:
    items = _lines(path, ("id", "question", "cop", "opa", "opb", "opc", "opd", "subject_name", "exp", "choice_type"))
    if any(item["cop"] not in (1, 2, 3, 4) for item in items):
        raise DataError(f"{path}: cop must be 1 to 4")
    return [
        _row(
            "medmcqa",
            item["id"],
            split="val",
            subject=item["subject_name"],
            question=item["question"],
            options=dict(zip(LETTERS, (item[f"op{letter.lower()}"] for letter in LETTERS), strict=True)),
            answer=LETTERS[item["cop"] - 1],
            explanation=item["exp"] or "",
            single=item["choice_type"] == "single",
        )
        for item in items
    ]


def _mmlu(path: Path) -> list[dict[str, Any]]:
    table = read_table(path, ("subject", "question", *LETTERS, "answer"), na_values=[])
    return [
        _row("mmlu", n, subject=i["subject"], question=i["question"], answer=i["answer"],
             options={letter: i[letter] for letter in LETTERS})
        for n, i in enumerate(table.to_dict("records"))
    ]  # fmt: skip


def _lines(path: Path, needs: tuple[str, ...]) -> list[dict[str, Any]]:
    """The objects of a gzipped file with one JSON object a line, each with these keys."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            items = [json.loads(line) for line in stream if line.strip()]
    except (OSError, EOFError, ValueError, zlib.error, RecursionError) as error:
        raise DataError(f"{path}: is not a gzipped file of JSON lines: {error}") from None
    for number, item in enumerate(items, start=1):
        missing = [key for key in needs if not isinstance(item, dict) or key not in item]
        if missing:
            raise DataError(f"{path}: line {number} has no '{missing[0]}'")
    return items
