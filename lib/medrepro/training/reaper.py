"""Clears up when whoever started it is gone, however it went: `python -m medrepro.training.reaper FOLDER`.

It reads process ids, one a line, until its standard input closes. A process that dies, even by SIGKILL, closes its
pipes; then all named processes and their descendants are killed, and the folder with the sites' cases is removed.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable

import psutil


def kill_trees(pids: Iterable[int]) -> None:
    """Kill processes and all their descendants; those that are gone already are no error."""
    doomed: list[psutil.Process] = []
    for pid in pids:
        try:
            root = psutil.Process(pid)
            doomed += [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    for process in doomed:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(doomed, timeout=5)


if __name__ == "__main__":
    kill_trees([int(line) for line in sys.stdin if line.strip()])
    shutil.rmtree(sys.argv[1], ignore_errors=True)
