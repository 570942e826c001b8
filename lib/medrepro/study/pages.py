"""A chapter's page: the committed notebook's prose, the run's outputs, and tables judged by the card as it is now."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from . import tables
from .card import Card
from .chapters import Chapter, read_notebook
from .ledger import BUNDLE_MIME
from .records import recorded_verdicts
from .report import budget_lines, threads_text
from .store import Run

_FOR_PROGRAMS = "application/vnd.medrepro."
_SHOWN = {"parameters", "show-input"}  # the parameters are for every reader; other code unfolds on request


def chapter_page(
    chapter: Chapter, run: Run | None, error: Exception | None, records: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The notebook to render, as JSON data.

    run: the finished run, or the failed one beside its error; records: those of the study, one per preset.
    """
    page = copy.deepcopy(chapter.notebook)
    outputs = _outputs(run, len(chapter.code_cells)) if run else []
    code = [cell for cell in page["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code):
        stored = outputs[number] if number < len(outputs) else []
        cell["outputs"] = [_judged_again(output, chapter.card, run) for output in stored if _wanted(output)]
        cell["execution_count"] = number + 1 if stored else None
        tags = cell["metadata"].setdefault("tags", [])
        if not _SHOWN & set(tags) and not any(tag.startswith(("hide-", "remove-")) for tag in tags):
            tags.append("hide-input")
    if error:
        page["cells"].insert(1, _markdown("failed", _failure_note(error)))
    if run and not error:
        page["cells"].append(_markdown("run", _run_note(run)))
    if chapter.card and records:
        page["cells"].append(_markdown("records", _records_note(chapter.card, records)))
    return page


def _outputs(run: Run, n_code_cells: int) -> list[list[dict[str, Any]]]:
    """Outputs of each code cell of the executed notebook, without the cell in which Papermill put the parameters."""
    cells = [
        cell
        for cell in read_notebook(run.notebook)["cells"]
        if cell["cell_type"] == "code" and "injected-parameters" not in cell["metadata"].get("tags", ())
    ]
    return [cell.get("outputs", []) for cell in cells] if len(cells) == n_code_cells else []


def _wanted(output: Mapping[str, Any]) -> bool:
    """Library chatter on standard error is kept in the run, not on the page."""
    return not (output.get("output_type") == "stream" and output.get("name") == "stderr")


def _judged_again(output: dict[str, Any], card: Card | None, run: Run | None) -> dict[str, Any]:
    """A ledger's table, drawn anew from the stored estimates; any other output without what is for programs only."""
    if "data" not in output:
        return output
    bundle = output["data"].get(BUNDLE_MIME)
    shown = {mime: content for mime, content in output["data"].items() if not mime.startswith(_FOR_PROGRAMS)}
    if bundle and card and run:
        if bundle["shows"] == "claims":
            html = tables.claims_table(card)
        else:
            html = tables.verdicts_table(card, bundle, seconds=run.info["seconds"], device=run.info["device"])
        shown["text/html"] = html
    return {**output, "data": shown}


def _failure_note(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (
        ":::{error}\n**This chapter failed in this build.** What it shows below is what it had reached.\n\n"
        f"```text\n{text}\n```\n:::"
    )


def _run_note(run: Run) -> str:
    info = run.info
    packages = ", ".join(f"{name} {version}" for name, version in info["machine"]["packages"].items())
    rows = [
        ("Run", f"`{run.name}`, {info['started'][:10]}"),
        ("Time and memory", f"{info['seconds']:.0f} s of {info['budget']['seconds']:.0f} s, "
                            f"{info['peak_gib']:.2f} GiB of {info['budget']['gib']:g} GiB"),
        ("Machine", f"{info['device']}, {threads_text(info['threads'])}, {info['machine']['cpu_capability']}, "
                    f"{info['machine']['system']} {info['machine']['architecture']}"),
        ("Versions", f"Python {info['machine']['python']}, {packages}"),
    ]  # fmt: skip
    over = "".join(f"\n\n**{line}**" for line in budget_lines(info))
    body = "\n".join(f"| {name} | {text} |" for name, text in rows)
    return f"## How this page was made\n\n| | |\n|---|---|\n{body}{over}"


def _records_note(card: Card, records: Sequence[Mapping[str, Any]]) -> str:
    parts = ["## Recorded results, several seeds each"]
    for record in records:
        verdicts = recorded_verdicts(card, record)
        rows = []
        for verdict in verdicts:
            statuses = [row["statuses"].get(verdict.claim, "") for row in record["seeds"]]
            counts = ", ".join(f"{statuses.count(s)} × {s}" for s in dict.fromkeys(statuses))
            rows.append([*tables.verdict_cells(verdict), ("Seed by seed", escape(counts))])
        fingerprint = record["fingerprint"]
        caption = (
            f"Preset {record['preset']}, {len(record['seeds'])} seeds, {record['date']}, {fingerprint['device']}, "
            f"{threads_text(fingerprint['threads'])}, {fingerprint['cpu_capability']}"
        )
        parts.append(tables.table([name for name, _ in rows[0]], rows, caption))
    return "\n\n".join(parts)


def _markdown(cell_id: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": f"mr-{cell_id}", "metadata": {}, "source": text}
