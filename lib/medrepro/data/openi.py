"""Open-i / Indiana University chest radiograph reports with gold labels of 14 findings.

The texts are CC BY-NC-ND: they are read in memory from the archive, quoted verbatim or not at all, and nothing derived
from their wording is written to disk.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from .errors import DataError
from .fetch import locate_all
from .lidc import check_counts

FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
_LARGEST = 2**20  # bytes of one report; the largest has 30 thousand
# The end of a sentence: a mark, white space, and a capital or digit that opens the next.
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])")


def load_reports(files: Mapping[str, Path] | None = None) -> pd.DataFrame:
    """The 3,826 gold-labelled reports that have a text, one row each, in the order of the label table.

    files: the three files of the manifest by name; found and verified when left out.
    Columns: report_id ("CXR1"), findings, impression (text, "" where absent), one column of 0 and 1 for each of
    FINDINGS, normal, test_list (named in the NegBio test list). The report is the unit: patients are not identified.
    Raises DataError when a file is not readable or the counts of the manifest do not hold.
    """
    files = locate_all("openi_reports") if files is None else files
    texts = _read_archive(files["NLMCXR_reports.tgz"])
    labels = pd.read_csv(files["openi_gld_std14.csv"])
    missing = [column for column in ("filename", *FINDINGS, "normal") if column not in labels]
    if missing:
        raise DataError(f"openi_reports: openi_gld_std14.csv has no column {missing[0]}, found {list(labels.columns)}")
    test_list = set(files["openi-testset.txt"].read_text(encoding="utf-8").split())
    unknown = sorted({*labels["filename"], *test_list} - texts.keys())
    if unknown:
        raise DataError(f"openi_reports: {len(unknown)} labelled reports are not in the archive, first {unknown[0]}")
    table = pd.DataFrame(
        {
            "report_id": labels["filename"],
            "findings": [texts[name]["FINDINGS"] for name in labels["filename"]],
            "impression": [texts[name]["IMPRESSION"] for name in labels["filename"]],
            **{column: labels[column].astype(int) for column in (*FINDINGS, "normal")},
            "test_list": labels["filename"].isin(test_list),
        }
    )
    kept = table[(table["findings"] != "") | (table["impression"] != "")].reset_index(drop=True)
    counts = {
        "reports": len(texts),
        "labelled": len(labels),
        "labelled_with_text": len(kept),
        "test_list": len(test_list),
        "effusion": int(kept["Effusion"].sum()),
        "cardiomegaly": int(kept["Cardiomegaly"].sum()),
    }
    check_counts("openi_reports", counts)
    return kept


def split_sentences(text: str) -> list[str]:
    """Sentences of a report, verbatim, without list numbers that stand alone ("1.").

    A sentence ends at . ! or ? before white space and a capital or digit. Reports are written in short, plain
    sentences, so that abbreviations hardly matter.
    """
    parts = (part.strip() for part in _SENTENCE_END.split(text))
    return [part for part in parts if any(character.isalpha() for character in part)]


def report_sentences(reports: pd.DataFrame) -> list[list[str]]:
    """The sentences of each report: findings, then impression."""
    pairs = zip(reports["findings"], reports["impression"], strict=True)
    return [split_sentences(findings) + split_sentences(impression) for findings, impression in pairs]


def distinct_sentences(reports: pd.DataFrame) -> list[str]:
    """Every sentence once, sorted: what has to be embedded."""
    return sorted({sentence for sentences in report_sentences(reports) for sentence in sentences})


def _read_archive(path: Path) -> dict[str, dict[str, str]]:
    """Sections of each report by its id. Nothing is unpacked to disk; entities in the XML are refused."""
    texts: dict[str, dict[str, str]] = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if not (member.isfile() and member.name.endswith(".xml")):
                    continue
                if member.size > _LARGEST:
                    raise DataError(f"openi_reports: {member.name} has {member.size} bytes, allowed are {_LARGEST}")
                stream = archive.extractfile(member)
                assert stream is not None  # a regular file always has a stream
                name, sections = _read_report(stream.read(), member.name)
                texts[name] = sections
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"openi_reports: {path} is not a readable archive: {error}") from None
    return texts


def _read_report(content: bytes, name: str) -> tuple[str, dict[str, str]]:
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, DefusedXmlException) as error:
        raise DataError(f"openi_reports: {name} is not a plain XML report: {type(error).__name__}") from None
    identity = root.find("uId")
    if identity is None or not identity.get("id"):
        raise DataError(f"openi_reports: {name} has no uId")
    sections = {"FINDINGS": "", "IMPRESSION": ""}
    for part in root.iter("AbstractText"):
        label = part.get("Label")
        if label in sections:
            sections[label] = (part.text or "").strip()
    return identity.get("id"), sections
