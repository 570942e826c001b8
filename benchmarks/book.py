"""Measures the book's own commands against their limits: `make bench`.

Prints one line per measurement with its limit, and ends with code 1 when a limit is exceeded. It works on a copy of
the project with an empty cache of runs, so nothing of yours is touched.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("book", "data_manifests", "notebooks", "lib", "_config.yml", "requirements.lock")
CHAPTER = "34_ccan"
MODEL = "lib/medrepro/models/ccan.py"


class Project:
    """A copy of the project whose commands run from its own source."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, root / name)

    def medrepro(self, *words: str) -> tuple[float, str]:
        """Wall seconds and standard output of one command; its failure ends the benchmark."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root / "lib"),
            "MEDREPRO_PROJECT": str(self.root),
            "MEDREPRO_RUNS": str(self.root / "runs"),
        }
        clock = time.perf_counter()
        command = [sys.executable, "-m", "medrepro.cli", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - clock
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
        return seconds, done.stdout

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        if not re.search(old, text, re.MULTILINE):
            raise SystemExit(f"{name}: nothing matches {old!r}; the benchmark must follow the chapter")
        path.write_text(re.sub(old, new, text, count=1, flags=re.MULTILINE), encoding="utf-8")


def measure() -> list[tuple[str, float, float, str]]:
    """(what, measured, limit, unit) for every promise of the README."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        seconds, out = project.medrepro("book", "--json", "--quiet")
        rows.append(("make book from an empty cache", seconds, 240, "s"))
        seconds, out = project.medrepro("book", "--json", "--quiet")
        rows.append(("unchanged rebuild", seconds, 20, "s"))
        rows.append(("chapters executed by it", len(json.loads(out)["executed"]), 0, ""))
        info = json.loads(project.medrepro("run", CHAPTER, "--json", "--quiet")[1])
        rows.append((f"{CHAPTER} at the embedded preset", info["seconds"], 60, "s"))
        rows.append((f"{CHAPTER} peak memory", info["peak_gib"], 2, "GiB"))

        project.edit(f"notebooks/{CHAPTER}.ipynb", r"^(\s*)\"# ([^\"]*)\\n\"", r'\1"# \2 (edited)\\n"')
        seconds, out = project.medrepro("book", "--json", "--quiet")
        rows.append(("rebuild after an edit of prose", seconds, 60, "s"))
        rows.append(("chapters executed by it", len(json.loads(out)["executed"]), 0, ""))

        project.edit(f"notebooks/{CHAPTER}.yaml", r"bound: 0(\.0)?\b", "bound: 0.987")
        out = project.medrepro("book", "--json", "--quiet")[1]
        rows.append(("chapters executed after an edit of a criterion", len(json.loads(out)["executed"]), 0, ""))
        before = [v["status"] for v in info["verdicts"]]
        after = json.loads(project.medrepro("run", CHAPTER, "--json", "--quiet")[1])["verdicts"]
        rows.append(("verdicts that did not follow it", 0 if before != [v["status"] for v in after] else 1, 0, ""))

        project.edit(MODEL, r"\Z", "\nEDITED = True\n")
        out = project.medrepro("book", "--json", "--quiet")[1]
        others = set(json.loads(out)["executed"]) - {CHAPTER}
        rows.append((f"other chapters executed after an edit of {Path(MODEL).name}", len(others), 0, ""))

        seconds, out = project.medrepro("run", CHAPTER, "--json", "--quiet", "--force")
        cells = sum(json.loads((Path(json.loads(out)["run"]) / "run.json").read_text())["cell_seconds"])
        rows.append(("what medrepro run adds to the notebook's cells", seconds - cells, 3, "s"))
        times = [project.medrepro("list")[0] for _ in range(5)]
        rows.append(("medrepro list (median of 5)", statistics.median(times), 1, "s"))
    return rows


def main() -> int:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    rows = measure()
    for what, measured, limit, unit in rows:
        mark = "" if measured <= limit else "   EXCEEDED"
        print(f"{what:<58} {measured:8.2f} {unit:<4} limit {limit:g}{mark}")
    return 0 if all(measured <= limit for _, measured, limit, _ in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
