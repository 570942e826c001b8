"""Where cards, manifests and the lock lie: beside the checkout, else inside the installed package."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def project_root() -> Path | None:
    """The checkout to work on: MEDREPRO_PROJECT, else the one this package lies in; None when there is none."""
    named = os.environ.get("MEDREPRO_PROJECT")
    root = Path(named).absolute() if named else _PACKAGE.parent.parent
    return root if (root / "_config.yml").is_file() and (root / "notebooks").is_dir() else None


def notebooks_dir() -> Path:
    """Folder of the study cards and their notebooks."""
    return _first("notebooks", "_notebooks")


def manifests_dir() -> Path:
    """Folder of the data manifests."""
    return _first("data_manifests", "_data_manifests")


def lock_file() -> Path:
    """The file that pins every package."""
    return _first("requirements.lock", "_requirements.lock")


def _first(in_checkout: str, in_package: str) -> Path:
    root = project_root()
    return root / in_checkout if root else _PACKAGE / in_package
