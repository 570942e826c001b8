"""Records: verdicts of several seeds, kept with the book, and what later runs are held against."""

from __future__ import annotations

import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import locations
from .card import Card
from .criteria import UNDECIDED
from .errors import InputError
from .pooling import pool_bundles
from .store import Run
from .verdicts import Verdict, judge_card

RECORD_FORMAT = 1
_SAME_MACHINE_TOLERANCE = 1e-6
_OTHER_MACHINE_SDS = 4.0


def record_path(study: str, preset: str) -> Path:
    """Where the record of a study at a preset lies; InputError outside a checkout of the book."""
    root = locations.project_root()
    if root is None:
        raise InputError("records belong to a checkout of the book; this is an installed package")
    return root / "book" / "results" / study / f"{preset}.json"


def make_record(card: Card, runs: Sequence[Run]) -> dict[str, Any]:
    """Estimates per seed, pooled verdicts and the machine that made them, as JSON data."""
    bundles = [run.bundle for run in runs if run.bundle]
    pooled = pool_bundles(card, bundles) if len(bundles) > 1 else bundles[0]
    preset = str(pooled["preset"])
    seconds = statistics.median(float(run.info["seconds"]) for run in runs)
    verdicts = judge_card(card, pooled, n_seeds=len(runs), seconds=seconds, device=str(runs[0].info["device"]))
    return {
        "format": RECORD_FORMAT,
        "study": card.id,
        "preset": preset,
        "date": datetime.now(UTC).date().isoformat(),
        "seeds": [_seed_row(card, run) for run in runs],
        "pooled": pooled,
        "verdicts": [verdict.to_dict() for verdict in verdicts],
        "fingerprint": fingerprint(runs[0]),
    }


def _seed_row(card: Card, run: Run) -> dict[str, Any]:
    assert run.bundle is not None
    return {
        "seed": run.info["parameters"]["seed"],
        "key": run.info["key"],
        "seconds": run.info["seconds"],
        "peak_gib": run.info["peak_gib"],
        "claims": run.bundle["claims"],
        "controls": run.bundle["controls"],
        "statuses": {verdict.claim: verdict.status for verdict in judge_card(card, run.bundle)},
    }


def fingerprint(run: Run) -> dict[str, Any]:
    """What must be equal for two machines to give equal numbers."""
    return {**run.info["machine"], "device": run.info["device"], "threads": run.info["threads"]}


def write_record(record: Mapping[str, Any]) -> Path:
    """Write the record beside its place and rename it, so that a reader never sees half of it."""
    path = record_path(record["study"], record["preset"])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def read_record(study: str, preset: str) -> dict[str, Any] | None:
    """The record, or None when there is none; InputError when it is of another version."""
    path = record_path(study, preset)
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    if record.get("format") != RECORD_FORMAT:
        raise InputError(f"{path.name} of {study}: format {record.get('format')}, this version reads {RECORD_FORMAT}")
    return record


def recorded_verdicts(card: Card, record: Mapping[str, Any]) -> list[Verdict]:
    """The record's pooled estimates, judged by the card as it is now."""
    seconds = statistics.median(float(row["seconds"]) for row in record["seeds"])
    device = record["fingerprint"]["device"]
    return judge_card(card, record["pooled"], n_seeds=len(record["seeds"]), seconds=seconds, device=device)


def differences(card: Card, record: Mapping[str, Any], run: Run) -> list[str]:
    """How a fresh run contradicts its record, one line per claim that moved; empty when it agrees.

    On a machine with the record's fingerprint every estimate equals the recorded one of its seed to 1e-6. On another
    machine it stays within four standard deviations of the recorded seeds, and a status may move only to or from
    `undecided`.
    """
    assert run.bundle is not None
    same_machine = fingerprint(run) == record["fingerprint"]
    seed = run.info["parameters"]["seed"]
    of_seed = [row for row in record["seeds"] if row["seed"] == seed]
    if not of_seed:
        return [f"{card.id}: the record holds no seed {seed}"]
    lines = []
    for claim_id, parts in of_seed[0]["claims"].items():
        for part_id, recorded in parts.items():
            fresh = run.bundle["claims"].get(claim_id, {}).get(part_id)
            name = f"{card.id} {claim_id}" + (f" ({part_id})" if part_id else "")
            if fresh is None:
                lines.append(f"{name}: recorded, but not measured any more")
                continue
            if "estimate" not in recorded or "estimate" not in fresh:
                continue
            spread = _seed_sd(record, claim_id, part_id)
            allowed = _SAME_MACHINE_TOLERANCE if same_machine else _OTHER_MACHINE_SDS * spread
            for bound in ("value", "low", "high") if same_machine else ("value",):
                before, after = _number(recorded["estimate"][bound]), _number(fresh["estimate"][bound])
                if abs(after - before) > allowed or math.isnan(after) != math.isnan(before):
                    lines.append(
                        f"{name}: {bound} {after:.6g}, recorded {before:.6g}, allowed difference {allowed:.2g}"
                    )
    fresh_status = {verdict.claim: verdict.status for verdict in judge_card(card, run.bundle)}
    recorded_run = {**run.bundle, "claims": of_seed[0]["claims"], "controls": of_seed[0]["controls"]}
    for verdict in judge_card(card, recorded_run):
        new = fresh_status[verdict.claim]
        if new != verdict.status and UNDECIDED not in (new, verdict.status):
            lines.append(f"{card.id} {verdict.claim}: {new}, recorded as {verdict.status}")
    return lines


def _seed_sd(record: Mapping[str, Any], claim_id: str, part_id: str) -> float:
    values = [_number(row["claims"][claim_id][part_id]["estimate"]["value"]) for row in record["seeds"]]
    return statistics.stdev(values) if len(values) > 1 else math.inf


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
