"""The names that `medrepro.stats` offers, which are loaded when first used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from medrepro import stats


def test_what_type_checkers_see_is_what_is_offered():
    tree = ast.parse(Path(stats.__file__).read_text(encoding="utf-8"))
    seen = {
        name.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for name in node.names
    }
    assert seen == stats._HOME


@pytest.mark.parametrize("name", stats.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(stats, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'aurok'"):
        _ = stats.aurok


def test_reading_results_does_not_load_scipy():
    script = "import sys, medrepro.stats.results; raise SystemExit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_no_public_name_is_also_a_module():
    """Importing a module of that name would put the module in the place of the function."""
    assert not {path.stem for path in Path(stats.__file__).parent.glob("*.py")} & set(stats.__all__)
