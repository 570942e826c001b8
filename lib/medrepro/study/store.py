"""Finished runs on disk: found by their key, checked before they are believed, renamed into place."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from .. import locations
from .errors import InputError
from .executed import ledger_bundle
from .fingerprint import RUN_FORMAT

NOTEBOOK, INFO = "executed.ipynb", "run.json"
_FAILED = "failed"


@dataclass(frozen=True)
class Run:
    """One executed notebook and what is known of it (`run.json`)."""

    path: Path
    info: Mapping[str, Any]

    @property
    def notebook(self) -> Path:
        return self.path / NOTEBOOK

    @property
    def name(self) -> str:
        return f"{self.info['chapter']}/{self.info['key'][:8]}"

    @property
    def succeeded(self) -> bool:
        return self.info["status"] == "done"

    @property
    def bundle(self) -> Mapping[str, Any] | None:
        """The ledger's estimates; None for a handbook page."""
        return self.info.get("bundle")


class RunStore:
    """The folder of runs: `<root>/<chapter>/<key>/`, and `<root>/<chapter>/failed/` for the last failure."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or default_root()).absolute()

    def find(self, chapter: str, key: str) -> Run | None:
        """The finished run with this key; None when there is none, or it is damaged or of an older format."""
        run = _read(self.root / chapter / key)
        return run if run and run.succeeded and run.info["key"] == key else None

    def all(self, chapter: str) -> list[Run]:
        """All readable finished runs, newest first."""
        folder = self.root / chapter
        runs = [_read(path) for path in folder.iterdir()] if folder.is_dir() else []
        done = [run for run in runs if run and run.succeeded]
        return sorted(done, key=lambda run: run.info["started"], reverse=True)

    def failed(self, chapter: str) -> Run | None:
        """The last failure, if the last attempt failed."""
        return _read(self.root / chapter / _FAILED)

    @contextlib.contextmanager
    def lock(self, chapter: str, key: str) -> Iterator[None]:
        """One run per key at a time; the system releases the lock when its holder is killed."""
        folder = self.root / ".locks"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (self.root / chapter).mkdir(exist_ok=True)
            with FileLock(folder / f"{chapter}-{key}.lock"):
                for rest in (self.root / chapter).glob(f".tmp-{key}-*"):  # of a run that was killed
                    shutil.rmtree(rest, ignore_errors=True)
                yield
        except OSError as error:
            raise InputError(f"{self.root}: cannot write runs here: {error.strerror or error}") from None

    def work_folder(self, chapter: str, key: str) -> Path:
        """A new folder beside the final place, so that the rename at the end is atomic."""
        path = self.root / chapter / f".tmp-{key}-{uuid.uuid4().hex[:8]}"
        path.mkdir(parents=True)
        return path

    def publish(self, work: Path, info: Mapping[str, Any]) -> Run:
        """Complete `work` with run.json and rename it into place; a run of the same key is replaced."""
        info = {**info, "notebook_sha256": _sha256(work / NOTEBOOK)}
        text = json.dumps(info, indent=1, sort_keys=True, default=str)
        with open(work / INFO, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        done = info["status"] == "done"
        target = work.parent / (info["key"] if done else _FAILED)
        replaced = work.parent / f".tmp-{info['key']}-old"
        if target.exists():
            shutil.rmtree(replaced, ignore_errors=True)
            target.rename(replaced)
        work.rename(target)
        shutil.rmtree(replaced, ignore_errors=True)
        if done:
            shutil.rmtree(work.parent / _FAILED, ignore_errors=True)
        return Run(target, json.loads(text))  # as a later reader will find it


def default_root() -> Path:
    """MEDREPRO_RUNS, else `runs/` of the checkout, else `runs/` of the current folder."""
    named = os.environ.get("MEDREPRO_RUNS")
    return Path(named) if named else (locations.project_root() or Path.cwd()) / "runs"


def open_run(reference: str, store: RunStore) -> Run:
    """The run meant by 'STUDY' (its newest), 'STUDY/KEY' (the key may be shortened), a run folder or a notebook.

    Raises InputError when nothing, or more than one run, is meant.
    """
    path = Path(reference)
    if path.suffix == ".ipynb":
        bundle = ledger_bundle(path)
        return Run(path.parent, {"chapter": bundle["study"], "key": path.stem, "bundle": bundle, "status": "done"})
    if (path / INFO).is_file():
        run = _read(path)
        if run is None:
            raise InputError(f"{path}: the run is damaged or of an older version; run it again")
        return run
    study, _, prefix = reference.partition("/")
    found = [run for run in store.all(study) if run.info["key"].startswith(prefix)]
    if not found:
        known = ", ".join(run.name for run in store.all(study)[:5])
        raise InputError(f"no run '{reference}' in {store.root}" + (f"; there are {known}" if known else ""))
    if prefix and len(found) > 1:
        raise InputError(f"run '{reference}' may be any of {', '.join(run.name for run in found)}")
    return found[0]


def _read(path: Path) -> Run | None:
    try:
        info = json.loads((path / INFO).read_text(encoding="utf-8"))
        whole = info["format"] == RUN_FORMAT and info["notebook_sha256"] == _sha256(path / NOTEBOOK)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Run(path, info) if whole else None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
