"""Which modules a notebook reaches, and which edits change their hash."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import notebook
from medrepro.study import sources
from medrepro.study.chapters import load_chapter
from medrepro.study.errors import InputError
from medrepro.study.fingerprint import _file_digest, changed_parts, key_parts
from medrepro.study.sources import reached_modules


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small package that stands in for medrepro."""
    root = tmp_path / "medrepro"
    for folder in ("models", "stats"):
        (root / folder).mkdir(parents=True)
        (root / folder / "__init__.py").write_text("")
    (root / "__init__.py").write_text("")
    (root / "models" / "a.py").write_text("from .b import f\n\ndef g():\n    from ..stats import roc\n")
    (root / "models" / "b.py").write_text('def f():\n    """Doc."""\n    return 1  # comment\n')
    (root / "models" / "unrelated.py").write_text("x = 1\n")
    (root / "stats" / "roc.py").write_text("import numpy\n")
    monkeypatch.setattr(sources, "_PACKAGE", root)
    return root


def test_imports_are_followed_through_packages_functions_and_relative_names(package):
    found = reached_modules(["from medrepro.models.a import g", "import numpy as np"])
    assert list(found) == [
        "medrepro", "medrepro.models", "medrepro.models.a", "medrepro.models.b", "medrepro.stats", "medrepro.stats.roc",
    ]  # fmt: skip
    assert "medrepro.models.b" in reached_modules(["from medrepro.models import b"])
    assert "medrepro.models.b" in reached_modules(["import medrepro.models.b as m"])


def test_only_the_code_of_what_is_reached_counts(package):
    cells = ["from medrepro.models import a"]
    before = reached_modules(cells)
    (package / "models" / "unrelated.py").write_text("x = 2\n")
    (package / "models" / "b.py").write_text('def f():\n    """Other words."""\n\n    return 1\n')
    assert reached_modules(cells) == before
    (package / "models" / "b.py").write_text("def f():\n    return 2\n")
    changed = reached_modules(cells)
    assert {name for name in changed if changed[name] != before[name]} == {"medrepro.models.b"}


def test_a_magic_in_a_cell_is_refused():
    with pytest.raises(InputError, match="01_tiny: code cell 2 is not plain Python"):
        reached_modules(["x = 1", "%matplotlib inline"], "01_tiny")


def test_every_module_python_really_loads_is_reached():
    """Against the import system: nothing that the ledger loads at run time is missed by the static search."""
    found = reached_modules(["from medrepro.study.ledger import Ledger"])
    script = (
        "from medrepro.study.ledger import Ledger; import sys; "
        "print([m for m in sys.modules if m.startswith('medrepro')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(ast.literal_eval(done.stdout)) <= set(found)


def test_a_page_is_run_again_when_a_stored_file_that_it_reads_changes(tiny):
    page = tiny.root / "book" / "statistics" / "page.ipynb"
    page.parent.mkdir()
    page.write_text(json.dumps(notebook([("code", "1")], medrepro={"assets": ["book/results/table.json"]})))
    table = tiny.root / "book" / "results" / "table.json"
    with pytest.raises(InputError, match=r"table\.json: cannot be read"):
        key_parts(load_chapter("page"), {})
    table.parent.mkdir()
    table.write_text("1")
    before = key_parts(load_chapter("page"), {})
    table.write_text("2")
    assert changed_parts(before, key_parts(load_chapter("page"), {})) == ["assets: book/results/table.json changed"]


def test_an_asset_may_be_a_folder_and_every_file_in_it_counts(tmp_path):
    folder = tmp_path / "bank"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.yaml").write_text("1")
    digests = [_file_digest(folder)]
    (folder / "deep" / "a.yaml").write_text("2")
    digests.append(_file_digest(folder))
    (folder / "deep" / "a.yaml").rename(folder / "deep" / "b.yaml")
    digests.append(_file_digest(folder))
    assert len(set(digests)) == 3
    assert _file_digest(folder) == digests[-1]
