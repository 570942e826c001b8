"""The stored numbers of other software: how many there are, where they come from, and that tests read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
FILES = sorted((TESTS / "reference").glob("*.json"))
# What the other software was given, and settings; numbers below these names are no reference values.
INPUTS = {
    *("a", "b", "u", "v", "w", "x", "y", "y2", "c2", "one", "two", "tied_u", "tied_v", "tied_w", "tied", "paired"),
    *("answers", "blocks", "boundary", "cluster", "correct", "data", "grains", "k", "margin", "n", "order"),
    *("phases", "pool", "prob", "ratings", "replicates", "row", "run", "score", "shape", "similarity"),
    *("spacing", "subject", "table", "type", "values", "weights", "annotation", "before", "after", "groups"),
}
ABOUT = {"made_by", "date", "versions"}


def reference_values(stored: Any) -> Iterator[float]:
    """The numbers that are results."""
    if isinstance(stored, dict):
        for name, value in stored.items():
            if name not in INPUTS and name not in ABOUT:
                yield from reference_values(value)
    elif isinstance(stored, list):
        for value in stored:
            yield from reference_values(value)
    elif isinstance(stored, int | float) and not isinstance(stored, bool):
        yield stored


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_there_are_far_more_than_150_reference_values_and_no_file_is_without():
    counted = {path.name: sum(1 for _ in reference_values(load(path))) for path in FILES}
    assert all(count >= 8 for count in counted.values()), counted
    about_functions = [count for name, count in counted.items() if "page" not in name]
    assert sum(about_functions) >= 150, counted


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_names_its_script_its_software_with_versions_and_its_date(path):
    stored = load(path)
    script = TESTS.parent / stored["made_by"]
    assert script.is_file()
    assert script.stem == path.stem
    assert len(stored["date"].split("-")) == 3
    assert stored["versions"]
    for software, version in stored["versions"].items():
        number = version[0] if isinstance(version, list) else version
        assert any(character.isdigit() for character in number), software


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_read_by_a_test(path):
    readers = [test for test in TESTS.rglob("*.py") if test.parent.name != "reference"]
    assert any(f'"{path.name}"' in text for text in (test.read_text(encoding="utf-8") for test in readers))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_readme_says_how_every_file_was_made(path):
    lines = (TESTS / "reference" / "README.md").read_text(encoding="utf-8").splitlines()
    row = next(line for line in lines if f"`{path.name}`" in line)
    stored = load(path)
    assert Path(stored["made_by"]).name in row
    assert stored["date"] in row
    for software, version in stored["versions"].items():
        assert software == "R" or f"{software} {version[0] if isinstance(version, list) else version}" in row


def test_edge_cases_are_among_the_cases():
    masks = {case["name"] for case in load(TESTS / "reference" / "segmentation.json")["cases"]}
    assert {"identical masks", "one voxel each, apart", "smooth noise, 3-D, thick slices", "disjoint boxes"} <= masks
    assert {"both", "first", "second"} == set(load(TESTS / "reference" / "segmentation.json")["empty"])
    sets = {case["name"] for case in load(TESTS / "reference" / "generative.json")["sets"]}
    assert {"fewer rows than features, both", "a constant feature in one", "copies among the rows"} <= sets
    scores = load(TESTS / "reference" / "classification.json")
    assert {"ties", "one positive", "all scores equal", "separated"} <= set(scores["cases"])
    assert {"positives only", "negatives only"} == set(scores["one class"])
