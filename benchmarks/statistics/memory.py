"""Peak memory of one call beyond its arguments, measured in a process of its own: python memory.py WHAT SIZE WIDTH."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def measured(what: str, *sizes: int) -> int:
    """Bytes, from a fresh process."""
    command = [sys.executable, __file__, what, *map(str, sizes)]
    return int(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def main(what: str, n: int, width: int) -> int:
    call, arguments = prepare(what, n, width)
    with contextlib.redirect_stdout(io.StringIO()):
        call(*(a[..., :200] if what.startswith("delong") else a[:200] for a in arguments))  # modules and threads
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = _status("VmRSS:")
        call(*arguments)
    return _status("VmHWM:") - before


def prepare(what: str, n: int, width: int) -> tuple[Callable[..., Any], list[Any]]:
    rng = np.random.default_rng(0)
    if what.startswith("delong"):
        y = (rng.random(n) < 0.3).astype(int)
        scores = np.empty((width, n))
        for row in scores:
            row[:] = rng.normal(size=n) + y
        if what == "delong ours":
            from medrepro.stats import delong

            return lambda y, s: delong(y, s).compare(0, 1), [y, scores]
        from MLstatkit import Delong_test

        return lambda y, s: Delong_test(y, s[0], s[1], return_ci=False, return_auc=False), [y, scores]
    real, generated = rng.normal(size=(n, width)), 1.02 * rng.normal(size=(n, width))
    if what == "neighbours ours":
        from medrepro.stats.generative import improved_precision_recall

        return lambda a, b: improved_precision_recall(a, b, k=3), [real, generated]
    from prdc import compute_prdc

    return lambda a, b: compute_prdc(a, b, 3), [real, generated]


def _status(name: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(text.split(name)[1].split()[0])


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
