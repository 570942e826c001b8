"""What the command line prints of a run, a sweep and a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .card import Card
from .criteria import UNDECIDED
from .records import recorded_verdicts
from .runner import Outcome
from .tables import measured_text
from .verdicts import NOT_TESTABLE, Verdict, judge_card


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """A verdict table for a terminal: status and claim, then each part with its interval and criterion."""
    lines = []
    for verdict in verdicts:
        under = " (underpowered)" if verdict.underpowered else ""
        lines.append(f"  {verdict.claim:<4} {verdict.status.upper() + under:<14} [{verdict.rung}] {verdict.text}")
        lines.append(f"       paper: {verdict.reported} ({verdict.origin})")
        for part in verdict.parts:
            name = f"{part.id}: " if part.id else ""
            lines.append(f"       {name}{part.quantity} = {measured_text(part)}; {part.criterion}")
        lines += [f"       {text}" for text in (verdict.reason, *verdict.notes) if text]
    return lines


def run_verdicts(outcome: Outcome) -> list[Verdict]:
    """The run's estimates under the card as it is now; after a failure all undecided; none for a handbook page."""
    run, card = outcome.run, outcome.job.chapter.card
    if card is None:
        return []
    if run is None or not run.bundle or outcome.error:
        empty = {"preset": outcome.job.preset, "claims": {}, "controls": {}}
        reason = f"the chapter did not finish: {outcome.error}"
        return [
            verdict if verdict.status == NOT_TESTABLE else replace(verdict, status=UNDECIDED, reason=reason)
            for verdict in judge_card(card, empty)
        ]
    return judge_card(card, run.bundle, seconds=run.info["seconds"], device=run.info["device"], run=run.name)


def run_json(outcome: Outcome) -> dict[str, Any]:
    run = outcome.run
    return {
        "study": outcome.job.chapter.id,
        "parameters": dict(outcome.job.parameters),
        "error": str(outcome.error) if outcome.error else None,
        "executed": outcome.executed,
        "run": str(run.path) if run else None,
        "seconds": run.info["seconds"] if run else None,
        "peak_gib": run.info["peak_gib"] if run else None,
        "verdicts": [verdict.to_dict() for verdict in run_verdicts(outcome)],
    }


def run_text(outcome: Outcome) -> str:
    run = outcome.run
    assert run is not None
    how = "executed" if outcome.executed else "already there"
    info = run.info
    lines = [
        f"{run.name}: {how}, {info['seconds']:.0f} s, {info['peak_gib']:.2f} GiB, {info['device']}, "
        + threads_text(info["threads"]),
        *budget_lines(info),
        *verdict_lines(run_verdicts(outcome)),
        f"notebook: {run.notebook}",
    ]
    return "\n".join(lines)


def threads_text(threads: int) -> str:
    return f"{threads} thread" + ("s" if threads != 1 else "")


def budget_lines(info: Mapping[str, Any]) -> list[str]:
    """What went over its budget, in words; nothing when all stayed within."""
    budget, lines = info["budget"], []
    if info["seconds"] > budget["seconds"]:
        lines.append(f"over its budget: {info['seconds']:.0f} s of {budget['seconds']:.0f} s")
    if info["peak_gib"] > budget["gib"]:
        lines.append(f"over its budget: {info['peak_gib']:.2f} GiB of {budget['gib']:g} GiB")
    return lines


def sweep_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line per point: its parameters, then each claim's status, or the error."""
    lines = []
    for row in rows:
        point = ", ".join(f"{name}={value}" for name, value in row["point"].items())
        statuses = "  ".join(f"{verdict['claim']} {verdict['status']}" for verdict in row["verdicts"])
        lines.append(f"{point}: {row['error'] or statuses}")
    return "\n".join(lines)


def record_text(card: Card, record: Mapping[str, Any], path: Path) -> str:
    seeds = record["seeds"]
    lines = [f"{card.id}, preset {record['preset']}, {len(seeds)} seeds"]
    lines += verdict_lines(recorded_verdicts(card, record))
    for claim in card.claims:
        each = " ".join(f"{row['seed']}:{row['statuses'][claim.id]}" for row in seeds)
        lines.append(f"  {claim.id} per seed  {each}")
    return "\n".join([*lines, f"written: {path}"])
