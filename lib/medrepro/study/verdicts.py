"""Verdicts: a card's criteria applied to the estimates of one run, or of several seeds together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..stats.results import Estimate
from .card import Card, Claim, Control
from .criteria import FAILS, HOLDS, UNDECIDED, Check, Criterion

NEEDS_DATA, NOT_TESTABLE = "needs data", "not testable"
STATUSES = (HOLDS, FAILS, UNDECIDED, NEEDS_DATA, NOT_TESTABLE)
SEEDS_FOR_METHOD = 5  # a claim about a method needs at least so many trainings
_POWER_WANTED = 0.8


@dataclass(frozen=True)
class PartVerdict:
    """One part of a claim: what was measured and what the criterion says of it."""

    id: str
    quantity: str
    criterion: str
    status: str
    reason: str = ""
    estimate: dict[str, Any] | None = None
    evidence: str = ""
    allowed: tuple[float | None, float | None] | None = None


@dataclass(frozen=True)
class Verdict:
    """One claim, judged: a row of every table."""

    study: str
    title: str
    theme: str
    claim: str
    text: str
    kind: str
    status: str
    reason: str
    reported: str
    origin: str
    value_status: str
    parts: tuple[PartVerdict, ...]
    scope: str
    scope_judged: str
    rung: str
    preset: str
    underpowered: bool
    leans_on: tuple[str, ...]
    notes: tuple[str, ...]
    n_seeds: int = 1
    seconds: float | None = None
    device: str = ""
    run: str = ""

    @property
    def quantity(self) -> str:
        return "; ".join(part.quantity for part in self.parts)

    @property
    def criterion(self) -> str:
        return "; ".join(part.criterion for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """A JSON object, quantity and criterion as text beside the parts."""
        return {**asdict(self), "quantity": self.quantity, "criterion": self.criterion}


def combine(statuses: list[str]) -> str:
    """Status of a compound claim: any part fails, it fails; all hold, it holds; else it is undecided."""
    if FAILS in statuses:
        return FAILS
    if statuses and all(status == HOLDS for status in statuses):
        return HOLDS
    return UNDECIDED


def judge_parts(item: Claim | Control, measured: Mapping[str, Mapping[str, Any]]) -> tuple[PartVerdict, ...]:
    """Each part of a claim or control against what was measured.

    measured: part id -> {"quantity", "estimate"} or {"quantity", "passed", "evidence"}, as the ledger stores it.
    """
    return tuple(_judge_part(part, measured.get(part.id)) for part in item.parts)


def _judge_part(part: Criterion | Check, found: Mapping[str, Any] | None) -> PartVerdict:
    allowed = part.allowed if isinstance(part, Criterion) else None
    bare = PartVerdict(part.id, part.quantity, str(part), UNDECIDED, allowed=allowed)
    if found is None:
        return replace(bare, reason="not measured in this run")
    shown = replace(bare, estimate=found.get("estimate"), evidence=found.get("evidence", ""))
    # The stored number answers the question that was asked when the run was made, not a later wording of it.
    if found["quantity"] != part.quantity:
        return replace(shown, reason=f"the run measured '{found['quantity']}'; the card now asks for another quantity")
    if isinstance(part, Check):
        if "passed" not in found:
            return replace(shown, reason="the card asks for a check, the run stored an interval")
        return replace(shown, status=HOLDS if found["passed"] else FAILS)
    if found.get("estimate") is None:
        return replace(shown, reason="the card asks for an interval, the run stored a check")
    status, reason = part.judge(Estimate.from_dict(found["estimate"]))
    return replace(shown, status=status, reason=reason)


def judge_card(card: Card, bundle: Mapping[str, Any], *, n_seeds: int = 1, **run: Any) -> list[Verdict]:
    """All claims of `card` against the ledger bundle of one run, or of `n_seeds` pooled ones.

    bundle: {"preset", "claims": {id: {part: ...}}, "controls": {id: {part: ...}}, "notes": {id: [text]}}.
    run: seconds, device and run (its name), shown with every verdict.
    """
    controls = {
        control.id: combine([p.status for p in judge_parts(control, bundle["controls"].get(control.id, {}))])
        for control in card.controls
    }
    return [_judge_claim(card, claim, bundle, controls, n_seeds, run) for claim in card.claims]


def _judge_claim(
    card: Card,
    claim: Claim,
    bundle: Mapping[str, Any],
    controls: Mapping[str, str],
    n_seeds: int,
    run: Mapping[str, Any],
) -> Verdict:
    preset = bundle["preset"]
    rung = card.rungs[preset]
    measured = bundle["claims"].get(claim.id, {})
    parts = judge_parts(claim, measured)
    notes = [*bundle.get("notes", {}).get(claim.id, ())]
    status, reason = _status(claim, parts, measured, controls)
    scope_judged = claim.scope
    if claim.scope == "method" and n_seeds < SEEDS_FOR_METHOD and status in (HOLDS, FAILS, UNDECIDED):
        scope_judged = "models"
        notes.append(f"judged for these trained models only: {n_seeds} of at least {SEEDS_FOR_METHOD} trainings")
    power = (claim.power or {}).get(preset)
    return Verdict(
        study=card.id,
        title=card.title,
        theme=card.theme,
        claim=claim.id,
        text=claim.text,
        kind=claim.kind,
        status=status,
        reason=reason,
        reported=claim.reported_text,
        origin=claim.reported["origin"],
        value_status=_value_status(claim, rung),
        parts=parts,
        scope=claim.scope,
        scope_judged=scope_judged,
        rung=rung,
        preset=preset,
        underpowered=power is not None and power < _POWER_WANTED and bool(measured),
        leans_on=claim.leans_on,
        notes=tuple(notes),
        n_seeds=n_seeds,
        **run,
    )


def _status(
    claim: Claim,
    parts: tuple[PartVerdict, ...],
    measured: Mapping[str, Any],
    controls: Mapping[str, str],
) -> tuple[str, str]:
    if claim.kind == "not_testable":
        return NOT_TESTABLE, claim.reason
    if not measured:
        return NEEDS_DATA, "not measured in this run: the data or arms that it needs are not part of it"
    weak = [f"{name} {_CONTROL_WORDS[controls[name]]}" for name in claim.leans_on if controls[name] != HOLDS]
    if weak:
        return UNDECIDED, "a control it leans on does not stand: " + ", ".join(weak)
    reasons = [f"{part.id}: {part.reason}" if part.id else part.reason for part in parts if part.reason]
    return combine([part.status for part in parts]), "; ".join(reasons)


_CONTROL_WORDS = {HOLDS: "holds", FAILS: "failed", UNDECIDED: "is undecided or was not measured"}


def _value_status(claim: Claim, rung: str) -> str:
    """What can be said of the paper's own number: nothing below the authors' cohort."""
    if claim.kind in ("not_testable", "fact") or claim.reported.get("value") is None:
        return ""
    return "" if rung == "cohort" else NEEDS_DATA
