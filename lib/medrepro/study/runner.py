"""Runs chapters: finds what is already there, executes the rest side by side, and leaves nothing half-made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import psutil

from .. import data
from .chapters import Chapter, read_notebook
from .errors import ChapterError, StudyError
from .executed import find_bundle
from .fingerprint import RUN_FORMAT, key_of, key_parts, machine
from .store import NOTEBOOK, Run, RunStore

GIB = 2.0**30
# A run that takes a little more than its budget is reported; one that takes this many times as much is ended.
TIME_LIMIT_BUDGETS, MEMORY_LIMIT_BUDGETS = 10.0, 2.0
_POLL_S = 0.1
_KERNEL_IS_UP_S = 5.0


@dataclass(frozen=True)
class Job:
    """One chapter with all its parameters."""

    chapter: Chapter
    parameters: Mapping[str, Any]
    force: bool = False
    time_limit_s: float | None = None
    memory_limit_gib: float | None = None

    @property
    def preset(self) -> str:
        return self.parameters.get("preset", "embedded")

    @property
    def protected(self) -> bool:
        return self.chapter.protected(self.preset)

    @property
    def private_paths(self) -> list[str] | None:
        """Folders that a protected run must not name, the longest first; None where nothing is protected."""
        if not self.protected:
            return None
        folders = {os.environ.get("MEDREPRO_DATA", ""), str(data.cache_dir()), str(Path.home())}
        return sorted({str(Path(folder).absolute()) for folder in folders if folder}, key=len, reverse=True)


@dataclass(frozen=True)
class Outcome:
    """A job's run, or the error that stands in its place; `executed` is False when the run was found in the cache."""

    job: Job
    run: Run | None
    error: Exception | None
    executed: bool


class Progress(Protocol):
    """What is told of running chapters; called from several threads."""

    def __call__(self, chapter: str, cell: int, of: int, elapsed_s: float, expected_s: float) -> None:
        """A chapter is in cell `cell` of `of`."""

    def done(self, chapter: str) -> None:
        """A chapter has ended, one way or another."""


def run_jobs(
    jobs: Sequence[Job],
    store: RunStore,
    *,
    cores: int | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Run `jobs`, as many at once as their threads fit into `cores`; outcomes in the order of the jobs.

    A job that fails becomes an Outcome with its error and does not stop the others. KeyboardInterrupt ends all
    kernels, removes their folders and is raised again.
    """
    room = _Room(cores or os.cpu_count() or 1)
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as pool:
        futures = [pool.submit(_run_one, job, store, room, stop, progress) for job in jobs]
        try:
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            stop.set()
            room.close()
            raise


def _run_one(job: Job, store: RunStore, room: _Room, stop: threading.Event, progress: Progress | None) -> Outcome:
    try:
        job.chapter.check()
        parts = key_parts(job.chapter, job.parameters)
        key = key_of(parts)
        found = None if job.force else store.find(job.chapter.id, key)
        if found:
            return Outcome(job, found, None, executed=False)
        data.ensure(job.chapter.data(job.preset))
        # Two processes that want the same run: the second waits here and then finds it finished.
        with store.lock(job.chapter.id, key):
            found = None if job.force else store.find(job.chapter.id, key)
            if found:
                return Outcome(job, found, None, executed=False)
            with room.take(job.chapter.threads):
                run = _execute(job, key, parts, store, stop, progress)
        error = None if run.succeeded else _failure(run)
        return Outcome(job, run, error, executed=True)
    except (StudyError, data.DataError) as error:
        return Outcome(job, store.failed(job.chapter.id), error, executed=False)


def _failure(run: Run) -> Exception:
    message = f"{run.info['chapter']}: {run.info['error']}"
    return data.DataError(message) if run.info.get("error_name") == "DataError" else ChapterError(message)


def _execute(
    job: Job,
    key: str,
    parts: Mapping[str, Any],
    store: RunStore,
    stop: threading.Event,
    progress: Progress | None,
) -> Run:
    """Execute the notebook in a new folder and publish it, finished or failed."""
    chapter = job.chapter
    started = datetime.now(UTC)
    clock = time.perf_counter()
    # Asking torch for the machine's description takes seconds; it is done beside the run, once the kernel is up.
    asking = threading.Timer(_KERNEL_IS_UP_S, machine)
    asking.daemon = True
    asking.start()
    try:
        work = store.work_folder(chapter.id, key)
    except OSError as error:
        raise ChapterError(f"{chapter.id}: cannot write to {store.root}: {error.strerror}") from None
    try:
        result = _supervise(job, work, stop, progress, _expected_seconds(job, store))
        if not (work / NOTEBOOK).exists():  # the kernel died before Papermill could write anything
            shutil.copyfile(chapter.source, work / NOTEBOOK)
        notebook = read_notebook(work / NOTEBOOK)
        bundle = find_bundle(notebook)
        if result["ok"] and chapter.card and bundle is None:
            result = {**result, "ok": False, "error": "the chapter displayed no verdict table", "name": ""}
        cells = [cell["metadata"].get("seconds", 0.0) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        info = {
            "format": RUN_FORMAT,
            "chapter": chapter.id,
            "key": key,
            "key_parts": parts,
            "status": "done" if result["ok"] else "failed",
            "error": result.get("error", ""),
            "error_name": result.get("name", ""),
            "parameters": dict(job.parameters),
            "bundle": bundle,
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - clock, 2),
            "cell_seconds": cells,
            "peak_gib": round(result["peak_bytes"] / GIB, 3),
            "budget": chapter.budget(job.preset),
            "device": parts["device"],
            "threads": chapter.threads,
            "machine": machine(),
        }
        if job.private_paths is not None:
            info = data.cohort_rules.blot_paths(info, job.private_paths)
            for left in [path for path in work.iterdir() if path.name != NOTEBOOK]:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        return store.publish(work, info)
    except OSError as error:
        raise ChapterError(f"{chapter.id}: the run could not be stored in {store.root}: {error.strerror}") from None
    finally:
        asking.cancel()
        shutil.rmtree(work, ignore_errors=True)


def _supervise(
    job: Job, work: Path, stop: threading.Event, progress: Progress | None, expected_s: float
) -> dict[str, Any]:
    """Start the worker, report its progress, hold it to its limits; what it said at its end, with peak memory."""
    budget = job.chapter.budget(job.preset)
    time_limit = job.time_limit_s or TIME_LIMIT_BUDGETS * budget["seconds"]
    memory_limit = job.memory_limit_gib or MEMORY_LIMIT_BUDGETS * budget["gib"]
    order = work / "job.json"
    order.write_text(
        json.dumps(
            {
                "notebook": str(job.chapter.source),
                "output": str(work / NOTEBOOK),
                "folder": str(work),
                "parameters": dict(job.parameters),
                "private": job.private_paths,
            }
        ),
        encoding="utf-8",
    )
    log = work / "worker.log"
    with open(log, "w", encoding="utf-8") as errors:
        worker = subprocess.Popen(
            [sys.executable, "-m", "medrepro.study.worker", str(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(job.chapter.threads, job.protected),
            start_new_session=True,  # Ctrl-C reaches us only; we end the worker and its kernel
        )
    state: dict[str, Any] = {"cell": 0, "of": 0, "end": None}
    reader = threading.Thread(target=_listen, args=(worker, state), daemon=True)
    reader.start()
    clock, peak, reason = time.perf_counter(), 0, ""
    while worker.poll() is None:
        elapsed = time.perf_counter() - clock
        used = _memory(worker.pid)
        peak = max(peak, used)
        if stop.is_set():
            reason = "interrupted"
        elif elapsed > time_limit:
            reason = f"ended after {elapsed:.0f} s: its limit is {time_limit:.0f} s (budget {budget['seconds']:.0f} s)"
        elif used > memory_limit * GIB:
            reason = f"ended at {used / GIB:.1f} GiB: its limit is {memory_limit:g} GiB (budget {budget['gib']:g} GiB)"
        if reason:
            _kill(worker)
            break
        if progress:
            progress(job.chapter.id, state["cell"], state["of"], elapsed, expected_s)
        time.sleep(_POLL_S)
    worker.wait()
    reader.join(timeout=5)
    if progress:
        progress.done(job.chapter.id)
    _close(worker)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    order.unlink(missing_ok=True)
    log.unlink(missing_ok=True)
    if reason == "interrupted":
        raise ChapterError(f"{job.chapter.id}: interrupted")
    if reason:
        return {"ok": False, "error": reason, "name": "", "peak_bytes": peak}
    end = state["end"]
    if end is None:
        last = said[-1] if said and not job.protected else worker.returncode
        return {"ok": False, "error": f"the worker died: {last}", "peak_bytes": peak}
    if end.get("name") == "DeadKernelError":
        end = {**end, "error": f"the kernel died in cell {state['cell']} of {state['of']}"}
    return {**end, "peak_bytes": max(peak, end.get("kernel_peak_bytes", 0))}


def _listen(worker: subprocess.Popen[str], state: dict[str, Any]) -> None:
    assert worker.stdout is not None
    for line in worker.stdout:
        event = json.loads(line)
        if event["event"] == "cell":
            state.update(cell=event["cell"], of=event["of"])
        else:
            state["end"] = event


def _environment(threads: int, protected: bool) -> dict[str, str]:
    """The same number of threads for every numerical library, no telemetry, no model hub; is the cohort protected?"""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    fixed = {name: str(threads) for name in names}
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "PYTHONHASHSEED": "0"}
    return {**os.environ, **fixed, **quiet, **data.cohort_rules.environment(protected)}


def _memory(pid: int) -> int:
    """Resident bytes of a process and all below it."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.Error:
        pass
    return total


def _kill(worker: subprocess.Popen[str]) -> None:
    try:
        children = psutil.Process(worker.pid).children(recursive=True)
    except psutil.Error:
        children = []
    worker.kill()
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue


def _close(worker: subprocess.Popen[str]) -> None:
    for pipe in (worker.stdin, worker.stdout):
        if pipe:
            pipe.close()


def _expected_seconds(job: Job, store: RunStore) -> float:
    """Seconds of the last run at the same preset, else the budget."""
    for run in store.all(job.chapter.id):
        if run.info["parameters"].get("preset", "embedded") == job.preset:
            return float(run.info["seconds"])
    return job.chapter.budget(job.preset)["seconds"]


class _Room:
    """Cores shared by chapters with a fixed number of threads each; one that wants more than all runs alone."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._free = cores
        self._changed = threading.Condition()
        self._closed = False

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self, threads: int) -> _Seat:
        return _Seat(self, min(threads, self._cores))

    def enter(self, threads: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._free >= threads)
            if self._closed:
                raise ChapterError("interrupted")
            self._free -= threads

    def leave(self, threads: int) -> None:
        with self._changed:
            self._free += threads
            self._changed.notify_all()


@dataclass(frozen=True)
class _Seat:
    room: _Room
    threads: int

    def __enter__(self) -> None:
        self.room.enter(self.threads)

    def __exit__(self, *_: object) -> None:
        self.room.leave(self.threads)
