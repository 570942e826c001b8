"""Runs on a protected cohort: nothing of a case is on the disk, whatever the chapter displays and however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from helpers import tiny_cells
from medrepro import cli

MANIFEST = """\
name: ward
title: A ward
access: private
licence: none
citation: none
obtain: ask the ward
units: patient
folder: ward
layout: one table
"""
SHOWS_EVERYTHING = """\
import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Image, display

from medrepro.plots import show, show_table, table

ward = pd.read_csv(Path(os.environ["MEDREPRO_DATA"]) / "ward" / "patients.csv")
print(ward, os.environ["MEDREPRO_DATA"])
display(ward)
Path("copy.csv").write_text(ward.to_csv())
show(plt.figure(), alt=f"a film of {ward.name[0]}")
show(plt.figure(), alt="an aggregate", table=ward, aggregate=True)
show_table(table({"all": [len(ward)], "old": [3]}, ["patients"]), "Counts")
"""


@pytest.fixture
def ward(tiny, monkeypatch):
    """The tiny study on a private table."""
    folder = tiny.root / "mine" / "ward"
    folder.mkdir(parents=True)
    (folder / "patients.csv").write_text("name,age\n" + "Jane Doe,61\n" * 40)
    (tiny.root / "data_manifests" / "ward.yaml").write_text(MANIFEST)
    tiny.edit_card("seeds_vary:", "data: {embedded: [ward]}\nseeds_vary:")
    monkeypatch.setenv("MEDREPRO_DATA", str(folder.parent))
    return tiny


def stored(ward) -> str:
    """Everything in the folder of runs, as one text."""
    return "".join(path.read_bytes().decode("utf-8", "replace") for path in ward.runs.rglob("*") if path.is_file())


def nothing_of_a_case(ward) -> bool:
    return not any(
        secret in stored(ward) for secret in ("Jane", str(ward.root / "mine"), '"old"\n   ],\n   "data": [[3')
    )


def test_a_finished_run_holds_aggregates_only(ward, capsys):
    ward.write(tiny_cells(extra=SHOWS_EVERYTHING))
    assert cli.main(["run", "01_tiny", "--quiet", "--json"]) == 0
    run = json.loads(capsys.readouterr().out)
    assert run["verdicts"][0]["status"] == "holds"
    assert nothing_of_a_case(ward)
    text = stored(ward)
    assert "an aggregate" in text
    assert "< 10" in text
    assert "copy.csv" not in [path.name for path in ward.runs.rglob("*")]


def test_the_same_chapter_on_open_data_keeps_what_it_shows(ward, capsys):
    """The control: without it the test above could pass because nothing was displayed."""
    manifest = ward.root / "data_manifests" / "ward.yaml"
    manifest.write_text(MANIFEST.replace("private", "open"))
    ward.write(tiny_cells(extra=SHOWS_EVERYTHING))
    assert cli.main(["run", "01_tiny", "--quiet"]) == 0
    assert "Jane" in stored(ward)


@pytest.mark.parametrize("end", ["raise KeyError(str(ward.iloc[0]))", "import os; os.kill(os.getpid(), 9)"])
def test_a_failed_run_tells_the_kind_of_error_and_nothing_of_a_case(ward, capsys, end):
    ward.write(tiny_cells(extra=f"{SHOWS_EVERYTHING}\n{end}"))
    assert cli.main(["run", "01_tiny", "--quiet"]) == 3
    error = capsys.readouterr().err
    assert "Jane" not in error
    assert "KeyError" in error or "the kernel died" in error
    assert nothing_of_a_case(ward)


def test_a_run_killed_half_way_leaves_nothing_of_a_case(ward):
    ward.write(tiny_cells(extra=f"{SHOWS_EVERYTHING}\nimport time\nprint('here')\ntime.sleep(60)"))
    command = [sys.executable, "-m", "medrepro.cli", "run", "01_tiny", "--quiet"]
    run = subprocess.Popen(command, env=ward.environment, start_new_session=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(ward.runs.rglob("copy.csv")):
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    notebooks = [path.read_text() for path in ward.runs.rglob("*.ipynb")]
    assert notebooks
    assert not any("Jane" in text for text in notebooks)


def test_an_estimate_on_few_patients_is_undecided(ward, capsys):
    assert cli.main(["run", "01_tiny", "--quiet", "--json", "-p", "n=8"]) == 0
    row = json.loads(capsys.readouterr().out)["verdicts"][0]
    assert row["status"] == "undecided"
    assert row["parts"][0]["estimate"]["value"] is None
