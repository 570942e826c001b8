"""Seconds and memory that loading each real data set takes, against reading the same files without an adapter.

    MEDREPRO_DATA=FOLDER python benchmarks/data_loading.py [--only kermany busi ...] [--repeats 3]

Every load runs in a process of its own with one thread: verified by its manifest, read, checked and counted. Seconds
are the median of the repeats after one warm-up (which hashes large files once); memory is what the peak of the
process rose by. "plain" reads the same files with numpy, pandas or Pillow into arrays and tables, without a check.
Sets that are not on this machine are named and left out. Ends with code 1 when a set takes longer than 15 s or rises
by more than 1 GiB.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS_AT_MOST, MIB_AT_MOST = 15.0, 1024.0


def plain(files: list[Path]) -> list[Any]:
    """The content of the files as arrays, tables and text."""
    import numpy as np
    import pandas as pd
    from PIL import Image

    read = []
    for path in files:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                read.append({name: archive[name] for name in archive.files})
        elif path.suffix == ".npy":
            read.append(np.load(path, allow_pickle=False))
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
                read.append([np.asarray(Image.open(io.BytesIO(archive.read(n))).convert("L")) for n in names])
        elif ".csv" in path.suffixes:
            read.append(pd.read_csv(path, dtype=str))
        elif ".jsonl" in path.suffixes:
            with gzip.open(path, "rt") as stream:
                read.append([json.loads(line) for line in stream])
        else:
            read.append(path.read_bytes())
    return read


def loaders() -> dict[str, tuple[str, Callable[[], Any]]]:
    """By short name: the manifest, and the call that loads everything of it."""
    from medrepro.data import (
        busi,
        chase,
        covid_cxr,
        kermany,
        kspace,
        lidc_masks,
        lung_masks,
        medical_qa,
        medmnist,
        nih_boxes,
        nih_experts,
        openi,
        reader_studies,
        trials,
        vqa_med,
    )

    return {
        "kermany": (kermany.NAME, kermany.load_kermany),
        "pneumoniamnist": ("pneumoniamnist_rebuilt", medmnist.load_pneumoniamnist_rebuilt),
        "busi": (busi.NAME, busi.load_busi),
        "hannover": (covid_cxr.HANNOVER, covid_cxr.load_hannover),
        "cohen": (covid_cxr.COHEN, covid_cxr.load_cohen),
        "lung_masks": (lung_masks.NAME, lung_masks.load_lung_masks),
        "chase": (chase.NAME, chase.load_chase),
        "lidc_masks": (lidc_masks.NAME, lambda: lidc_masks.load_masks().in_memory()),
        "kspace": (kspace.NAME, kspace.load_kspace),
        "openi": ("openi_reports", openi.load_reports),
        "nih_experts": (nih_experts.NAME, nih_experts.load_expert_labels),
        "nih_boxes": (nih_boxes.NAME, nih_boxes.load_boxes),
        "reader_studies": (
            reader_studies.NAME,
            lambda: [reader_studies.load_study(n) for n in reader_studies.study_names()],
        ),
        "trials": (trials.NAME, lambda: [trials.load_trial(name) for name in trials.FACTS]),
        "medical_qa": (medical_qa.NAME, medical_qa.load_questions),
        "vqa_med": (vqa_med.NAME, vqa_med.load_vqa_med),
    }


def measure(name: str, how: str) -> None:
    """Load once in this process; prints seconds and the rise of the peak memory as JSON."""
    import numpy as np  # noqa: F401  (what every reader imports is not counted)
    import pandas as pd  # noqa: F401
    from PIL import Image  # noqa: F401

    from medrepro.data import locate_all

    manifest, load = loaders()[name]
    files = list(locate_all(manifest).values())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    held = plain(files) if how == "plain" else load()
    seconds = time.perf_counter() - start
    assert held is not None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "mib": (peak - before) / 1024}))


def run(name: str, how: str, repeats: int) -> dict[str, float]:
    """Median of the repeats after one warm-up."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    results = []
    for _ in range(repeats + 1):
        command = [sys.executable, __file__, "--measure", name, how]
        out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        results.append(json.loads(out))
    return {key: sorted(r[key] for r in results[1:])[repeats // 2] for key in ("seconds", "mib")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(loaders()))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        measure(*chosen.measure)
        return 0
    from medrepro.data import availability

    slow = []
    print(f"{'set':16}{'adapter':>10}{'plain':>10}{'adapter':>12}{'plain':>12}")
    for name in chosen.only or loaders():
        missing = availability([loaders()[name][0]])
        if missing:
            print(f"{name:16}left out: {missing[0]}")
            continue
        ours, rival = run(name, "adapter", chosen.repeats), run(name, "plain", chosen.repeats)
        cells = f"{ours['seconds']:>9.2f}s{rival['seconds']:>9.2f}s{ours['mib']:>8.0f} MiB{rival['mib']:>8.0f} MiB"
        print(f"{name:16}{cells}", flush=True)
        if ours["seconds"] > SECONDS_AT_MOST or ours["mib"] > MIB_AT_MOST:
            slow.append(name)
    print(f"over the limit ({SECONDS_AT_MOST:g} s, {MIB_AT_MOST:g} MiB): {', '.join(slow) or 'none'}")
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
