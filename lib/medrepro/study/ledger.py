"""The ledger of a chapter: estimates go in, verdicts come out and stay inside the executed notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data import cohort_rules
from ..stats.results import Comparison, Estimate
from . import tables
from .card import Card, Claim, Control, load_card
from .criteria import Check, Criterion
from .errors import InputError, unknown
from .verdicts import Verdict, judge_card

BUNDLE_MIME = cohort_rules.LEDGER_MIME
BUNDLE_FORMAT = 1


class Ledger:
    """Collects one run's estimates; the card's criteria turn them into verdicts.

    A displayed `claims()` or `table()` leaves an HTML table for people and a JSON bundle for the runner.
    """

    def __init__(self, card: Card, parameters: Mapping[str, Any]) -> None:
        self._card = card
        self._parameters = dict(parameters)
        self._claims: dict[str, dict[str, Any]] = {}
        self._controls: dict[str, dict[str, Any]] = {}
        self._notes: dict[str, list[str]] = {}

    @classmethod
    def open(cls, study: str, parameters: Any) -> Ledger:
        """An empty ledger for `study`; parameters: what `read_parameters` returned."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(parameters).items()}
        return cls(load_card(study), values)

    def level(self, claim_id: str) -> float:
        """Confidence level that the claim's interval must have, its family's correction included."""
        levels = {part.level for part in self._card.claim(claim_id).parts if isinstance(part, Criterion)}
        if len(levels) != 1:
            raise InputError(f"{self._card.id}: claim {claim_id} has no single confidence level")
        return levels.pop()

    def judge(self, claim_id: str, measured: Estimate | Comparison | Mapping[str, Estimate | Comparison]) -> None:
        """Store what was measured for a claim; for a compound claim a mapping from part id to estimate."""
        claim = self._card.claim(claim_id)
        if claim.kind == "not_testable":
            raise InputError(f"{self._card.id}: claim {claim_id} is marked as not testable: {claim.reason}")
        self._claims[claim_id] = self._store(claim, measured)

    def control(self, control_id: str, measured: Estimate | Comparison | Mapping[str, Estimate | Comparison]) -> None:
        """Store what was measured for a control."""
        self._controls[control_id] = self._store(self._card.control(control_id), measured)

    def check(self, item_id: str, passed: bool, evidence: str, *, part: str = "") -> None:
        """Store a fact without an interval for a claim or a control; evidence: the numbers, in one sentence."""
        if not isinstance(passed, bool):
            passed = bool(passed)
        is_claim = item_id in [claim.id for claim in self._card.claims]
        item = self._card.claim(item_id) if is_claim else self._card.control(item_id)
        wanted = _part(item, part, Check, self._card.id)
        store = self._claims if is_claim else self._controls
        row = {"quantity": wanted.quantity, "passed": passed, "evidence": evidence}
        store.setdefault(item_id, {})[part] = row

    def note(self, claim_id: str, text: str) -> None:
        """Add a sentence that is shown with the claim's verdict."""
        self._notes.setdefault(self._card.claim(claim_id).id, []).append(text)

    def _store(self, item: Claim | Control, measured: Any) -> dict[str, Any]:
        by_part = measured if isinstance(measured, Mapping) else {"": measured}
        rows = {}
        for name, result in by_part.items():
            part = _part(item, name, Criterion, self._card.id)
            if isinstance(result, Comparison):
                result = result.difference
            if not isinstance(result, Estimate):
                raise InputError(f"{self._card.id}: {item.id}: expected an Estimate, got {type(result).__name__}")
            row = result.to_dict()
            if self._card.protected(self._parameters["preset"]):
                row = cohort_rules.suppress_estimate(row)
            rows[name] = {"quantity": part.quantity, "estimate": row}
        return rows

    def bundle(self) -> dict[str, Any]:
        """Everything the runner needs to judge this run again later, as JSON data."""
        return {
            "format": BUNDLE_FORMAT,
            "study": self._card.id,
            "preset": self._parameters["preset"],
            "parameters": self._parameters,
            "claims": self._claims,
            "controls": self._controls,
            "notes": self._notes,
        }

    def verdicts(self) -> list[Verdict]:
        return judge_card(self._card, self.bundle())

    def claims(self) -> Display:
        """The claims before anything is measured: what the paper says and what will decide."""
        return Display(tables.claims_table(self._card), {**self.bundle(), "shows": "claims"})

    def table(self) -> Display:
        """The verdicts: claim, reported, ours, criterion, scope, rung, status; controls below."""
        html = tables.verdicts_table(self._card, self.bundle())
        return Display(html, {**self.bundle(), "shows": "verdicts"})


class Display:
    """HTML for people and the ledger's bundle for programs, in one notebook output."""

    def __init__(self, html: str, bundle: Mapping[str, Any]) -> None:
        self._html, self._bundle = html, bundle

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/html": self._html, "text/plain": "(table of claims)", BUNDLE_MIME: dict(self._bundle)}


def _part(item: Claim | Control, name: str, kind: type, study: str) -> Criterion | Check:
    for part in item.parts:
        if part.id == name:
            if not isinstance(part, kind):
                wanted = "check()" if isinstance(part, Check) else "judge() or control()"
                raise InputError(f"{study}: {item.id}: its criterion goes through {wanted}")
            return part
    raise InputError(f"{study}: {item.id}: {unknown('part', name, [part.id for part in item.parts])}")
