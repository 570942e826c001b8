"""The project as a whole: one lock, clean notebooks that match their cards, a package that carries its cards."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from medrepro.study.chapters import handbook_chapters, source_of, study_chapters

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = [*study_chapters(), *handbook_chapters()]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.id)
def test_each_notebook_is_stored_without_outputs_and_matches_its_card(chapter):
    chapter.check()


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.id)
def test_code_cells_hold_one_idea_each(chapter):
    cells = [
        c for c in chapter.notebook["cells"] if c["cell_type"] == "code" and "parameters" not in str(c["metadata"])
    ]
    long = [source_of(cell).splitlines()[0] for cell in cells if len(source_of(cell).splitlines()) > 25]
    assert long == []


def test_one_lock_serves_make_and_conda():
    lock = (ROOT / "requirements.lock").read_text()
    pins = [line for line in lock.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._!]+", line) for line in pins), "a local suffix or no pin"
    assert "torch==2.13.0" in pins
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert "-r requirements.lock" in conda["dependencies"][-1]["pip"]
    assert "--requirement requirements.lock" in (ROOT / "Makefile").read_text()


def test_the_installed_package_brings_its_cards_and_lists_them(tmp_path):
    """As a reader has it who downloads a notebook: no checkout, only the wheel."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    wheel = next(tmp_path.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MEDREPRO_")}
    environment["PYTHONPATH"] = str(tmp_path / "site")
    script = "import medrepro; from medrepro import cli; print(medrepro.__file__); raise SystemExit(cli.main(['list']))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout
    for chapter in study_chapters():
        assert chapter.id in done.stdout


def test_no_file_names_a_machine():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    pattern = re.compile(r"(^|[^A-Za-z0-9_.~-])/(home|root|opt|srv|work)/[a-z]")
    named = [
        name
        for name in listed.stdout.split("\0")
        if name and not name.endswith((".lock", ".png")) and (ROOT / name).is_file()
        and pattern.search((ROOT / name).read_text(encoding="utf-8", errors="ignore"))
    ]  # fmt: skip
    assert named == []
