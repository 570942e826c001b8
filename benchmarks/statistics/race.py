"""One race: our function, its rivals and the physical limit on the same work, taking turns on one core."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

LONG = 60.0  # seconds: a work that takes longer is run once


@dataclass(frozen=True)
class Rival:
    """Another program on the same work.

    target: how many times faster we must be. share: part of the work that is run; its time is divided by it.
    timed: the rival measures its own processor seconds and returns (seconds, value), as a process of its own must.
    """

    name: str
    run: Callable[[], Any]
    target: float
    share: float = 1.0
    timed: bool = False
    note: str = ""


@dataclass(frozen=True)
class Race:
    """Equal work for all.

    difference: largest deviation of a rival's result from ours, given (ours, theirs, rival's name); at most tolerance.
    limit: what no program of this kind can avoid, measured like the others.
    """

    key: str
    work: str
    ours: Callable[[], Any]
    rivals: Sequence[Rival]
    difference: Callable[[Any, Any, str], float]
    tolerance: float
    compared: str
    limit_name: str
    limit: Callable[[], Any]
    memory: Callable[[], list[dict[str, Any]]] | None = None
    skipped: dict[str, str] = field(default_factory=dict)


def run(race: Race, repeats: int) -> dict[str, Any]:
    """Check that results are equal, then time everybody in turn, `repeats` times; the record of the race."""
    print(f"\n{race.key}: {race.work}")
    ours = race.ours()  # also the warm-up
    deviations: dict[str, float] = {}
    for rival in race.rivals:
        value = _time(rival.run, rival.timed)[1]
        deviations[rival.name] = race.difference(ours, value, rival.name)
        verdict = "equal" if deviations[rival.name] <= race.tolerance else "DIFFERENT"
        print(f"  {rival.name}: {race.compared} differ by {deviations[rival.name]:.2g}, "
              f"allowed {race.tolerance:g}: {verdict}")  # fmt: skip
    race.limit()
    seconds: dict[str, list[float]] = {name: [] for name in ("ours", "limit", *(r.name for r in race.rivals))}
    for turn in range(repeats):
        seconds["limit"].append(_time(race.limit)[0])
        seconds["ours"].append(_time(race.ours)[0])
        for rival in race.rivals:
            if turn == 0 or seconds[rival.name][0] < LONG:
                seconds[rival.name].append(_time(rival.run, rival.timed)[0] / rival.share)
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    rows = []
    for rival in race.rivals:
        ratio = middle[rival.name] / middle["ours"]
        rows.append(
            {
                "rival": rival.name,
                "seconds": _spread(seconds[rival.name]),
                "times_faster": ratio,
                "target": rival.target,
                "met": bool(ratio >= rival.target and deviations[rival.name] <= race.tolerance),
                "difference": deviations[rival.name],
                "share_run": rival.share,
                "note": rival.note,
            }
        )
        print(f"  {rival.name:<28} {middle[rival.name]:9.3f} s   ours {middle['ours']:8.4f} s   "
              f"{ratio:7.1f} x   target {rival.target:g} x   {'met' if rows[-1]['met'] else 'MISSED'}")  # fmt: skip
    of_limit = middle["ours"] / middle["limit"]
    print(f"  limit: {race.limit_name}: {middle['limit']:.4f} s; ours takes {of_limit:.1f} times that")
    return {
        "key": race.key,
        "work": race.work,
        "ours_seconds": _spread(seconds["ours"]),
        "rivals": rows,
        "skipped": race.skipped,
        "compared": race.compared,
        "tolerance": race.tolerance,
        "limit": {"name": race.limit_name, "seconds": _spread(seconds["limit"]), "ours_over_limit": of_limit},
        "memory": race.memory() if race.memory else [],
    }


def _time(work: Callable[[], Any], timed: bool = False) -> tuple[float, Any]:
    """Processor seconds (user and system) of this process, and the result.

    One thread on one core: processor time is what the wall clock would show on an idle machine, whatever else runs.
    """
    gc.collect()
    if timed:
        seconds, value = work()
        return float(seconds), value
    start = time.process_time()
    value = work()
    return time.process_time() - start, value


def _spread(times: Sequence[float]) -> dict[str, Any]:
    return {"median": statistics.median(times), "least": min(times), "most": max(times), "repeats": len(times)}


def largest(*pairs: tuple[float, float]) -> float:
    """Largest absolute difference of pairs of numbers; nan against a number counts as infinite."""
    gaps = [abs(float(a) - float(b)) for a, b in pairs]
    return max(math.inf if math.isnan(gap) else gap for gap in gaps)
