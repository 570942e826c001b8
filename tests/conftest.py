"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import TinyProject


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers (`-n`), the tests of one file share one, and so do all that read the rendered book."""
    for item in items:
        group = "book" if item.path.parent.name == "book" else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.path.parent.name not in ("notebooks", "book"))  # the longest first


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyProject:
    """A checkout with one tiny study, made the current project."""
    project = TinyProject(tmp_path / "project")
    monkeypatch.setenv("MEDREPRO_PROJECT", str(project.root))
    monkeypatch.setenv("MEDREPRO_RUNS", str(project.runs))
    return project
