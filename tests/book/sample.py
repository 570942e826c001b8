"""A small book with made-up verdicts: every status, rung and kind of output that the pages must show well."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import pandas as pd
import yaml

from medrepro.plots.show import figure_html
from medrepro.stats.results import Estimate
from medrepro.study import tables
from medrepro.study.catalogue_page import catalogue_page
from medrepro.study.criteria import Criterion
from medrepro.study.glance import fill_landing, glance_page
from medrepro.study.verdicts import PartVerdict, Verdict

ROOT = Path(__file__).parents[2]
FORMULAS = r"""
Inline $\Pr(M(D) \in S) \le e^{\varepsilon}\Pr(M(D') \in S) + \delta$ and $\mathbf{x} \in \mathbb{R}^{n \times d}$.

$$
\operatorname{Attention}(Q, K, V) = \operatorname{softmax}\left(\frac{QK^\top}{\sqrt{d}}\right)V
$$ (eq-attention)

{eq}`eq-attention` is numbered;

$$
\hat\theta &= \frac{1}{n}\sum_{i=1}^{n} x_i \\
f(x) &= \begin{cases} 1 & x > 0 \\ 0 & \text{otherwise} \end{cases}
  + \text{a long line of words that no phone can show at once}
$$
"""


def part(criterion: Criterion, value: float, half: float, **changes: Any) -> PartVerdict:
    """A part judged by its real criterion."""
    estimate = Estimate(value, value - half, value + half, level=criterion.level, n=651, unit="patient")
    status, reason = criterion.judge(estimate)
    row = PartVerdict(
        criterion.id, criterion.quantity, str(criterion), status, reason, estimate.to_dict(), allowed=criterion.allowed
    )
    return PartVerdict(**{**vars(row), **changes})


def verdict(claim: str, status: str, parts: tuple[PartVerdict, ...] = (), **changes: Any) -> Verdict:
    """One made-up row; changes: any field of Verdict."""
    row = {
        "study": "34_ccan", "title": "Cascaded cross-attention", "theme": "transformers", "claim": claim,
        "text": f"text of {claim}", "kind": "superiority", "status": status, "reason": "", "reported": "0.970 ± 0.008",
        "origin": "abstract", "value_status": "needs data", "parts": parts, "scope": "method",
        "scope_judged": "models", "rung": "stand-in", "preset": "embedded", "underpowered": False, "leans_on": (),
        "notes": (),
    }  # fmt: skip
    return Verdict(**{**row, **changes})


def sample_verdicts() -> list[Verdict]:
    above = Criterion("", "AUROC difference, CCAN minus mean pooling", "greater", 0.0)
    inside = Criterion("", "fooling rate of readers", "within", (0.45, 0.55), 0.9833)
    second = {"study": "01_medddpm", "title": "Diffusion models <of> scans & slides", "theme": "diffusion"}
    return [
        verdict("C1", "holds", (part(above, 0.05, 0.02),), underpowered=True, leans_on=("permuted",)),
        verdict(
            "C2", "fails", (part(above, -0.05, 0.02),), rung="real", text="breaks\n\n<script>alert('x')</script> & co"
        ),
        verdict("C10", "undecided", (part(above, 0.01, 0.03),), reason="the interval crosses the bound"),
        verdict("C3", "holds", (PartVerdict("", "fewer than 10 parameters", "is true", "holds", evidence="9"),)),
        verdict(
            "C1", "holds", (part(inside, 0.5, 0.02), part(above, 0.2, 0.05)), rung="cohort", value_status="", **second
        ),
        verdict("C2", "needs data", reported="not stated", reason="not measured at this preset", **second),
        verdict("C3", "not testable", reason="needs the authors' readers", value_status="", **second),
    ]


def sample_cards() -> list[Any]:
    """What the catalogue reads of the cards of these studies: one preset of each kind."""
    data = {"real": ("minilm", "busi"), "open": ("pathmnist_224",), "paper": ("tcga_nsclc", "uka_cxr")}
    titles = {v.study: v.title for v in sample_verdicts()}
    return [SimpleNamespace(id=study, title=title, data=data) for study, title in titles.items()]


def build(folder: Path) -> Path:
    """Stage and render the sample; the folder of its HTML."""
    verdicts = sample_verdicts()
    rows = [v.to_dict() for v in verdicts]
    stage = folder / "stage"
    shutil.copytree(ROOT / "book", stage, ignore=shutil.ignore_patterns("results", "*.ipynb", "__pycache__"))
    shutil.copy(ROOT / "_config.yml", stage)
    record = {"study": "34_ccan", "preset": "real", "seeds": [0, 1, 2, 3, 4], "verdicts": rows[:2]}
    (stage / "results.md").write_text(glance_page(rows, [record]), encoding="utf-8")
    landing = stage / "index.md"
    landing.write_text(fill_landing(landing.read_text(encoding="utf-8"), rows), encoding="utf-8")
    toc = yaml.safe_load((stage / "_toc.yml").read_text(encoding="utf-8"))
    studies = list(dict.fromkeys(v.study for v in verdicts))
    (stage / "data").mkdir(exist_ok=True)
    (stage / "data" / "catalogue.md").write_text(catalogue_page(sample_cards()), encoding="utf-8")
    for part in toc["parts"]:  # executed pages are not part of the sample
        part.pop("folder", None)
        part["chapters"] = [entry for entry in part["chapters"] if (stage / f"{entry['file']}.md").is_file()]
    toc["parts"] = [p for p in toc["parts"] if p["chapters"]]
    toc["parts"].insert(1, {"caption": "Studies", "chapters": [{"file": f"chapters/{study}"} for study in studies]})
    (stage / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    (stage / "chapters").mkdir()
    for study in studies:
        mine = [v for v in verdicts if v.study == study]
        page = json.dumps(_chapter(mine, formulas=study == studies[0]))
        (stage / "chapters" / f"{study}.ipynb").write_text(page, encoding="utf-8")
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        stage,
        "--path-output",
        folder,
        "-W",
        "--keep-going",
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return folder / "_build" / "html"


def _chapter(verdicts: list[Verdict], *, formulas: bool) -> dict[str, Any]:
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(7, 3))[1]
    axes.plot([1, 2, 3], [2, 1, 3])
    numbers = pd.DataFrame({f"column {k}": [1.5, 2.25] for k in range(12)})
    figure = figure_html(axes.figure, alt='A line that dips & rises to "3"', caption="n = 3", table=numbers)
    plt.close("all")
    cells = [tables.verdict_cells(v) for v in verdicts]
    table = tables.table([name for name, _ in cells[0]], cells, "Verdicts")
    control = [("Control", "<strong>permuted</strong> labels"), ("Status", tables.status_badge("holds"))]
    table += tables.table(("Control", "Status"), [control], "Controls")
    method = FORMULAS if formulas else "No formula."
    made = [
        _cell("markdown", f"# {verdicts[0].title}\n\nOne paragraph.\n\n## Method\n{method}"),
        _cell("code", 'preset = "embedded"  # ' + "a long comment " * 12, tags=["parameters"]),
        _cell("code", "show(axes, alt=...)", figure, ["hide-input"]),
        _cell("code", "numbers", numbers.to_html(), ["hide-input"]),
        _cell("markdown", "## Verdicts"),
        _cell("code", "ledger.table()", table, ["hide-input"]),
    ]
    for number, cell in enumerate(made):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _cell(kind: str, source: str, html: str = "", tags: list[str] | None = None) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "metadata": {"tags": tags or []}, "source": source}
    if kind == "code":
        data = {"text/html": html, "text/plain": "shown"}
        outputs = [{"output_type": "display_data", "metadata": {}, "data": data}] if html else []
        cell |= {"execution_count": 1, "outputs": outputs}
    return cell
