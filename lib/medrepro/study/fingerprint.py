"""The key of a run: a hash of everything that its numbers depend on, and nothing else."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import data, locations
from .chapters import Chapter
from .errors import InputError
from .sources import reached_modules

RUN_FORMAT = 1  # raise it when run.json or the executed notebook changes its shape: older runs are then ignored
_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "monai", "opacus", "transformers", "papermill")


def key_parts(chapter: Chapter, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the key is made of, by name, so that two runs can be compared part by part (`medrepro why`)."""
    preset = parameters.get("preset", "embedded")
    return {
        "format": RUN_FORMAT,
        "code": {f"cell {i + 1}": _digest(cell.strip()) for i, cell in enumerate(chapter.code_cells)},
        "parameters": dict(parameters),
        "modules": reached_modules(chapter.code_cells, chapter.source.name),
        "assets": {name: _file_digest(path) for name, path in chapter.assets.items()},
        "data": data.data_hashes(chapter.data(preset)),
        "lock": _file_digest(locations.lock_file()),
        "python": platform.python_version(),
        "device": device_class(str(parameters.get("device", "cpu"))),
        "threads": chapter.threads,
    }


def key_of(parts: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits: 64 bits, enough for millions of runs."""
    return _digest(json.dumps(parts, sort_keys=True, default=str))[:16]


def changed_parts(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One line for each part of the key that differs: 'modules: medrepro.models.ccan changed'."""
    lines = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            for item in sorted({*before, *after}):
                if before.get(item, ...) == after.get(item, ...):
                    continue
                if name == "parameters":
                    lines.append(f"parameter {item}: {before.get(item)} -> {after.get(item)}")
                else:
                    word = "added" if item not in before else "removed" if item not in after else "changed"
                    lines.append(f"{name}: {item} {word}")
        else:
            shown = f": {before} -> {after}" if name in ("python", "device", "threads", "format") else " changed"
            lines.append(f"{name}{shown}")
    return lines


def machine() -> dict[str, Any]:
    """What equal numbers need beside the key: CPU capability and package versions."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpu_capability": _cpu_capability(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def device_class(device: str) -> str:
    """'cpu', or the name of the GPU that `device` stands for."""
    if not device.startswith("cuda"):
        return device
    script = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    name = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stdout.strip()
    if not name:
        raise InputError("parameter device = 'cuda': no CUDA device is available here; allowed is cpu")
    return name


@lru_cache(maxsize=1)
def _cpu_capability() -> str:
    # In a process of its own: importing torch costs seconds that `medrepro list` must not pay.
    script = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _file_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder."""
    try:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
            return _digest("".join(f"{file.relative_to(path).as_posix()} {_file_digest(file)}\n" for file in inside))
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
