"""Executes one notebook with Papermill in a process of its own: `python -m medrepro.study.worker JOB.json`.

Progress and the result go to standard output as JSON lines. The worker ends with its parent: when standard input
closes, it takes its kernel down with it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from pathlib import Path
from typing import Any

import nbformat
import papermill
import psutil
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from ..data import cohort_rules

_OUT = sys.stdout


def _emit(**event: Any) -> None:
    _OUT.write(json.dumps(event) + "\n")
    _OUT.flush()


class _ReportingEngine(NBClientEngine):
    """Papermill's own engine that says which cell it starts."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        start, cells = nb_man.cell_start, nb_man.nb.cells
        code = [index for index, cell in enumerate(cells) if cell.cell_type == "code"]

        def report(cell: Any, cell_index: int | None = None, **rest: Any) -> Any:
            if cell_index in code:
                _emit(event="cell", cell=code.index(cell_index) + 1, of=len(code))
            return start(cell, cell_index, **rest)

        nb_man.cell_start = report
        private = kwargs.pop("private", None)
        if private is not None:
            save = nb_man.save

            def save_aggregates(**rest: Any) -> Any:
                cohort_rules.protect_notebook(nb_man.nb, private)  # before every write: no case reaches the disk
                return save(**rest)

            nb_man.save = save_aggregates
        return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)


def _end_with_parent() -> None:
    sys.stdin.read()  # returns when the parent is gone, however it went
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(1)


def _clean(path: Path) -> None:
    """Drop what names this machine or repeats the parameters; keep each cell's duration."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        times = cell.metadata.pop("papermill", {})
        if cell.cell_type == "code":
            cell.metadata["seconds"] = round(times.get("duration") or 0.0, 3)
    notebook.cells = [c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", ())]
    nbformat.write(notebook, path)


def _run(job: dict[str, Any]) -> dict[str, Any]:
    output = Path(job["output"])
    try:
        papermill.execute_notebook(
            job["notebook"],
            output,
            parameters=job["parameters"],
            engine_name="medrepro",
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            cwd=job["folder"],
            autosave_cell_every=0,
            private=job["private"],
            shutdown_kernel="immediate",  # all outputs are in; a kernel that tidies up costs a second and a half
        )
        result: dict[str, Any] = {"ok": True}
    except PapermillExecutionError as error:
        result = {"ok": False, "error": f"cell {error.exec_count}: {error.ename}: {error.evalue}", "name": error.ename}
    except Exception as error:  # a dead kernel, a full disk: the parent turns it into one line
        said = cohort_rules.WITHHELD if job["private"] is not None else error
        result = {"ok": False, "error": f"{type(error).__name__}: {said}".strip(), "name": type(error).__name__}
    try:
        if output.exists():
            _clean(output)
    except (OSError, ValueError) as error:  # a full disk leaves half a notebook: worse than none
        output.unlink(missing_ok=True)
        if result["ok"]:
            result = {"ok": False, "error": f"the notebook could not be stored: {error}", "name": type(error).__name__}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {**result, "kernel_peak_bytes": peak}


def main() -> None:
    global _OUT
    _OUT = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to stderr, never between the JSON lines
    threading.Thread(target=_end_with_parent, daemon=True).start()
    papermill_engines.register("medrepro", _ReportingEngine)
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"), parse_constant=float)
    _emit(event="end", **_run(job))


if __name__ == "__main__":
    main()
