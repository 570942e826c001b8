"""pROC in a process of its own, kept alive so that starting R and reading the data are not timed."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

SCRIPT = Path(__file__).with_name("proc.R")


def missing() -> str:
    """Why pROC cannot take part; empty when it can."""
    if shutil.which("Rscript") is None:
        return "R is not installed"
    asked = subprocess.run(["Rscript", "-e", "library(pROC)"], capture_output=True, text=True, check=False)
    return "" if asked.returncode == 0 else "R has no package pROC"


class Proc:
    """All pairs of K models on one set of labels."""

    def __init__(self, y: Any, scores: Any) -> None:
        self.process = subprocess.Popen(
            ["Rscript", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with tempfile.NamedTemporaryFile(suffix=".bin") as file:
            np.concatenate([np.asarray(y, dtype=float)[None], scores]).tofile(file.name)
            self.versions = self._ask(f"load {file.name} {len(y)} {len(scores)}")

    def compare(self) -> tuple[float, list[float]]:
        """Processor seconds and the z statistic of every pair i < j."""
        answer = self._ask("compare")
        return answer["seconds"], answer["z"]

    def peak_bytes(self) -> int:
        """Largest resident memory of the process so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return 1024 * int(status.split("VmHWM:")[1].split()[0])

    def close(self) -> None:
        self.process.communicate()

    def _ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer
