"""What moved between runs: parameters, estimates and statuses side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .card import load_card
from .errors import InputError
from .store import Run
from .tables import measured_text
from .verdicts import judge_card


def compare_runs(runs: Sequence[Run]) -> dict[str, Any]:
    """Parameters that differ and, claim by claim, what each run measured; InputError unless all are of one study."""
    studies = {run.info["chapter"] for run in runs}
    if len(studies) > 1:
        raise InputError(f"compare needs runs of one study, got {', '.join(sorted(studies))}")
    bundles = [run.bundle for run in runs]
    if any(bundle is None for bundle in bundles):
        raise InputError("a handbook page has no claims to compare")
    card = load_card(studies.pop())
    verdicts = [{v.claim: v for v in judge_card(card, bundle)} for bundle in bundles if bundle]
    parameters = [bundle["parameters"] for bundle in bundles if bundle]
    by_name = {name: [values.get(name) for values in parameters] for name in card.parameters.names}
    differing = {name: values for name, values in by_name.items() if any(value != values[0] for value in values)}
    claims = []
    for claim in card.claims:
        mine = [by_claim[claim.id] for by_claim in verdicts]
        claims.append(
            {
                "claim": claim.id,
                "text": claim.text,
                "statuses": [verdict.status for verdict in mine],
                "moved": len({verdict.status for verdict in mine}) > 1,
                "parts": [
                    {"part": part.id, "quantity": part.quantity, "measured": [_measured(v, index) for v in mine]}
                    for index, part in enumerate(mine[0].parts)
                ],
            }
        )
    return {"study": card.id, "runs": [run.name for run in runs], "parameters": differing, "claims": claims}


def _measured(verdict: Any, index: int) -> str:
    return measured_text(verdict.parts[index])


def comparison_text(result: dict[str, Any]) -> str:
    """The comparison as plain text for a terminal."""
    lines = [f"{result['study']}: " + "  |  ".join(result["runs"])]
    for name, values in result["parameters"].items():
        lines.append(f"  {name}: " + "  |  ".join(str(value) for value in values))
    if not result["parameters"]:
        lines.append("  the same parameters")
    for claim in result["claims"]:
        mark = "*" if claim["moved"] else " "
        lines.append(f"{mark} {claim['claim']}  " + "  |  ".join(claim["statuses"]))
        lines += [
            f"      {part['part'] or part['quantity']}: " + "  |  ".join(part["measured"]) for part in claim["parts"]
        ]
    lines.append("* marks a status that moved" if any(c["moved"] for c in result["claims"]) else "no status moved")
    return "\n".join(lines)
