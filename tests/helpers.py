"""Shared by the tests: a tiny study in a checkout of its own, and runs of the real chapters."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medrepro.study.chapters import load_chapter
from medrepro.study.report import run_verdicts
from medrepro.study.runner import Job, run_jobs
from medrepro.study.store import RunStore
from medrepro.study.verdicts import Verdict

TINY_CARD = """\
id: 01_tiny
title: A tiny study
paper: {authors: Nobody, title: Tiny, year: 2024, venue: none}
theme: robust
question: Is the planted mean above zero?
threads: 1
parameters:
  - {name: n, type: int, min: 2, max: 1000, unit: cases, help: sample size, embedded: 50, real: 60}
  - {name: effect, type: float, min: -10, max: .inf, help: planted mean, embedded: 1.0}
  - {name: arms, type: "list[str]", choices: [a, b], help: arms, embedded: [a, b]}
  - {name: cap, type: float, nullable: true, help: upper cut, embedded: null}
  - {name: verbose, type: bool, help: say more, embedded: false}
claims:
  - id: C1
    text: the mean is above zero
    reported: {value: 1.2, sd: 0.1, origin: abstract}
    scope: models
    criterion: {quantity: mean, op: greater, bound: 0.0, level: 0.95}
    leans_on: [negative]
  - id: C2
    text: cannot be tested here
    reported: {origin: paper}
    scope: models
    kind: not_testable
    reason: no data exist
controls:
  - {id: negative, kind: negative, text: permuted, criterion: {quantity: permuted mean, op: within, bound: [-1, 1]}}
seeds_vary: [data, training]
budget: {embedded: {seconds: 30, gib: 1}}
"""

_IMPORTS = """\
import numpy as np

from medrepro.stats.results import Estimate
from medrepro.study.ledger import Ledger
from medrepro.study.parameters import read_parameters"""
_PARAMETERS = """\
preset = "embedded"
seed = 0
n = 50  # cases
effect = 1.0
arms = ["a", "b"]
cap = None
verbose = False"""
_MEASURE = """\
p = read_parameters("01_tiny", globals())
ledger = Ledger.open("01_tiny", p)
x = np.random.default_rng(p.seed).normal(p.effect, 1, p.n)
half = 1.96 * x.std(ddof=1) / p.n**0.5
control = x - x.mean()"""
_JUDGE = """\
ledger.judge("C1", Estimate(x.mean(), x.mean() - half, x.mean() + half, n=p.n, unit="case"))
ledger.control("negative", Estimate(control.mean(), -half, half, n=p.n, unit="case"))
ledger.table()"""


def notebook(cells: list[tuple[str, str]], **metadata: Any) -> dict[str, Any]:
    """A notebook without outputs; cells: ("markdown" | "code" | "parameters", source)."""
    made = []
    for number, (kind, source) in enumerate(cells):
        cell: dict[str, Any] = {"id": f"cell-{number}", "metadata": {}, "source": source}
        if kind == "markdown":
            cell["cell_type"] = "markdown"
        else:
            cell |= {"cell_type": "code", "execution_count": None, "outputs": []}
            cell["metadata"] = {"tags": ["parameters"]} if kind == "parameters" else {}
        made.append(cell)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"cells": made, "metadata": {**kernel, **metadata}, "nbformat": 4, "nbformat_minor": 5}


def tiny_cells(extra: str = "") -> list[tuple[str, str]]:
    """The tiny chapter; extra: code run before the estimates."""
    cells = [("markdown", "# A tiny study"), ("code", _IMPORTS), ("parameters", _PARAMETERS), ("code", _MEASURE)]
    cells += [("code", extra)] if extra else []
    return [*cells, ("markdown", "## Verdicts"), ("code", _JUDGE)]


class TinyProject:
    """A checkout with one study; `MEDREPRO_PROJECT` and `MEDREPRO_RUNS` point to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("notebooks", "data_manifests", "book"):
            (root / folder).mkdir(parents=True)
        (root / "_config.yml").write_text("title: tiny\n")
        (root / "requirements.lock").write_text("# nothing\n")
        self.card = root / "notebooks" / "01_tiny.yaml"
        self.notebook = root / "notebooks" / "01_tiny.ipynb"
        self.card.write_text(TINY_CARD)
        self.write(tiny_cells())

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "MEDREPRO_PROJECT": str(self.root), "MEDREPRO_RUNS": str(self.runs)}

    def write(self, cells: list[tuple[str, str]]) -> None:
        self.notebook.write_text(json.dumps(notebook(cells), indent=1))

    def edit_card(self, old: str, new: str) -> None:
        text = self.card.read_text()
        assert old in text
        self.card.write_text(text.replace(old, new))


def run_chapter(study: str, changes: Mapping[str, Any] | None = None, preset: str = "embedded") -> dict[str, Verdict]:
    """Verdicts of a real chapter with these parameters; a stored run is used when there is one."""
    chapter = load_chapter(study)
    outcome = run_jobs([Job(chapter, chapter.resolve(preset, changes))], RunStore())[0]
    if outcome.error:
        raise outcome.error
    return {verdict.claim: verdict for verdict in run_verdicts(outcome)}
