"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers import TinyProject


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyProject:
    """A checkout with one tiny study, made the current project."""
    project = TinyProject(tmp_path / "project")
    monkeypatch.setenv("MEDREPRO_PROJECT", str(project.root))
    monkeypatch.setenv("MEDREPRO_RUNS", str(project.runs))
    return project
