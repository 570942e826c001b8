"""Our statistics against the programs people use for them: `make bench-statistics`.

    python benchmarks/statistics [--only NAME ...] [--quick] [--repeats 5] [--out FILE]

Each race first checks that the results are equal, then times everybody in turn on one core with one thread, and states
what the machine cannot avoid (a sort, a matrix product). A full run writes book/results/statistics_speed.json, from
which the handbook's page is made; then: python tests/notebooks/write_expected.py speed. Ends with code 1 when a target
is missed. --quick runs small sizes once, where targets mean nothing, to see that everything works.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import on_curves
import on_others
import proc
import torch
from race import run

RECORD = Path(__file__).resolve().parents[2] / "book" / "results" / "statistics_speed.json"
RACES = on_curves.RACES | on_others.RACES
PACKAGES = ("numpy", "scipy", "scikit-learn", "statsmodels", "torch", "monai")
RIVALS = ("MLstatkit", "torch-fidelity", "prdc", "medpy")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=sorted(RACES), metavar="NAME", help=", ".join(RACES))
    parser.add_argument("--quick", action="store_true", help="small sizes, once")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="where to write the record")
    given = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in THREADS):  # read when NumPy is loaded, so start again
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **dict.fromkeys(THREADS, "1")})
    torch.set_num_threads(1)
    one_core()
    warnings.simplefilter("ignore", FutureWarning)  # MONAI's own calls of its outdated functions
    chosen = [name for name in RACES if not given.only or name in given.only]
    start, load = time.perf_counter(), round(os.getloadavg()[0], 1)
    races = [run(RACES[name](given.quick), 1 if given.quick else given.repeats) for name in chosen]
    record = {"format": 1, **about_this_run(time.perf_counter() - start, load), "races": races}
    out = given.out or (None if given.quick or given.only else RECORD)
    if out is not None:
        out.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        print(f"\nwritten: {out.name}")
    rivals = [(race["key"], rival) for race in races for rival in race["rivals"]]
    missed = [f"{key} against {rival['rival']}" for key, rival in rivals if not rival["met"]]
    print(f"{len(rivals) - len(missed)} of {len(rivals)} targets met" + "; missed: " * bool(missed) + ", ".join(missed))
    return 1 if missed and not given.quick else 0


def one_core() -> None:
    """Keep this process and what it starts on one core, so that no rival gets a second one through its own threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def about_this_run(seconds: float, load: float) -> dict[str, Any]:
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES + RIVALS}}
    if not proc.missing():
        r = proc.Proc(np.array([0, 1]), np.zeros((1, 2)))
        versions |= {"R": r.versions["r"], "pROC": r.versions["version"]}
        r.close()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "processor": processor(),
            "vector_instructions": ", ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"]),  # type: ignore[index]
            "system": platform.system(),
            "cores_used": 1,
            "threads": 1,
            "load_at_start": load,
        },
        "clock": "processor time (user and system) of one thread on one core, median of interleaved repeats",
        "versions": versions,
        "seconds": round(seconds),
    }


def processor() -> str:
    told = (
        subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout if sys.platform == "linux" else ""
    )
    found = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in told.splitlines() if ":" in line}
    name = found.get("Model name") or platform.processor() or platform.machine()
    if "CPU family" in found:
        name += f" (family {found['CPU family']}, model {found.get('Model', '?')})"
    return name


if __name__ == "__main__":
    raise SystemExit(main())
