"""Study cards: what a paper claims, what the chapter may be asked, and what decides."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .. import locations
from ..data import cohort_rules
from .criteria import Check, Criterion, parse_criterion
from .errors import InputError, unknown
from .parameters import PRESETS, ParameterTable

RUNGS = ("stand-in", "real", "cohort")
KINDS = ("superiority", "noninferiority", "equivalence", "fact", "not_testable")
CONTROL_KINDS = ("assay_sensitivity", "arm_range", "negative", "positive", "check")
THEMES = {
    "diffusion": "Diffusion models",
    "privacy": "Privacy and fairness",
    "federated": "Federated learning",
    "self_supervised": "Self-supervised starts",
    "transformers": "Transformers",
    "robust": "Explainable and robust classifiers",
    "language": "Language models and agents",
    "readers": "Reader studies",
}
_ORIGINS = ("abstract", "paper", "repository", "recalled", "inference")
_DEFAULT_RUNGS = {"embedded": "stand-in", "real": "real", "open": "real", "paper": "cohort"}
_CARD_KEYS = {
    "id", "title", "paper", "theme", "question", "threads", "parameters", "claims", "families", "controls",
    "seeds_vary", "assets", "data", "rungs", "budget", "notes",
}  # fmt: skip
_CLAIM_KEYS = {
    "id", "text", "reported", "scope", "kind", "reason", "criterion", "margin_because", "leans_on", "power",
}  # fmt: skip
_CONTROL_KEYS = {"id", "kind", "text", "criterion"}


@dataclass(frozen=True)
class Control:
    """A planted arm, a negative or positive control, or an exact check that verdicts lean on."""

    id: str
    kind: str
    text: str
    parts: tuple[Criterion | Check, ...]


@dataclass(frozen=True)
class Claim:
    """One claim of the paper and the criterion that decides it here."""

    id: str
    text: str
    scope: str
    kind: str
    parts: tuple[Criterion | Check, ...]
    reported: Mapping[str, Any]
    reason: str = ""
    margin_because: str = ""
    leans_on: tuple[str, ...] = ()
    power: Mapping[str, Any] | None = None

    @property
    def reported_text(self) -> str:
        """The paper's number as text: '0.970 ± 0.008', or 'not stated'."""
        value = self.reported.get("value")
        if value is None:
            return "not stated"
        return f"{value} ± {self.reported['sd']}" if self.reported.get("sd") is not None else str(value)


@dataclass(frozen=True)
class Card:
    """A study: paper, question, parameters, claims, controls, data and budget."""

    id: str
    title: str
    paper: Mapping[str, Any]
    theme: str
    question: str
    threads: int
    parameters: ParameterTable
    claims: tuple[Claim, ...]
    controls: tuple[Control, ...]
    seeds_vary: Mapping[str, tuple[str, ...]]
    assets: tuple[str, ...]
    data: Mapping[str, tuple[str, ...]]
    rungs: Mapping[str, str]
    budget: Mapping[str, Mapping[str, float]]

    def protected(self, preset: str) -> bool:
        """True when a run at `preset` reads a cohort whose cases must not be shown."""
        return self.rungs[preset] == "cohort" or cohort_rules.protects(self.data.get(preset, ()))

    def claim(self, claim_id: str) -> Claim:
        return _find(self.claims, "claim", claim_id, self.id)

    def control(self, control_id: str) -> Control:
        return _find(self.controls, "control", control_id, self.id)


def _find(items: tuple[Any, ...], what: str, name: str, study: str) -> Any:
    for item in items:
        if item.id == name:
            return item
    raise InputError(f"{study}: {unknown(what, name, [item.id for item in items])}")


def study_ids(folder: Path | None = None) -> list[str]:
    """Ids of all studies that have a card, in order."""
    return sorted(path.stem for path in (folder or locations.notebooks_dir()).glob("[0-9][0-9]_*.yaml"))


def load_card(study: str, folder: Path | None = None) -> Card:
    """The card of `study`; InputError for an unknown study (with the nearest name) or a card that is not valid."""
    folder = folder or locations.notebooks_dir()
    if study not in study_ids(folder):
        raise unknown("study", study, study_ids(folder))
    path = folder / f"{study}.yaml"
    return _load(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _load(path: Path, _mtime: int) -> Card:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path.name}: not valid YAML: {' '.join(str(error).split())}") from None
    return parse_card(raw, path.stem)


def parse_card(raw: Any, study: str) -> Card:
    """A checked card; InputError names the card and the key."""
    if not isinstance(raw, Mapping):
        raise InputError(f"{study}: the card must be a mapping")
    for key in raw:
        if key not in _CARD_KEYS:
            raise InputError(f"{study}: {unknown('key', str(key), _CARD_KEYS)}")
    for key in ("id", "title", "paper", "theme", "question", "parameters", "claims"):
        if key not in raw:
            raise InputError(f"{study}: the card lacks '{key}'")
    if raw["id"] != study:
        raise InputError(f"{study}: id must be the file's name, got {raw['id']!r}")
    if raw["theme"] not in THEMES:
        raise InputError(f"{study}: {unknown('theme', str(raw['theme']), THEMES)}")
    levels = _family_levels(raw, study)
    controls = tuple(_parse_control(row, study) for row in raw.get("controls", ()))
    claims = tuple(_parse_claim(row, study, levels, {c.id: c.kind for c in controls}) for row in raw["claims"])
    ids = [claim.id for claim in claims] + [control.id for control in controls]
    for name in ids:
        if ids.count(name) > 1:
            raise InputError(f"{study}: the id {name} is used twice")
    return Card(
        id=study,
        title=str(raw["title"]),
        paper=raw["paper"],
        theme=raw["theme"],
        question=" ".join(str(raw["question"]).split()),
        threads=int(raw.get("threads", 1)),
        parameters=ParameterTable.parse(study, raw["parameters"]),
        claims=claims,
        controls=controls,
        seeds_vary=_seeds_vary(raw.get("seeds_vary", ["training"]), f"{study}: seeds_vary"),
        assets=tuple(raw.get("assets", ())),
        data={p: tuple(names) for p, names in _by_preset(raw.get("data", {}), f"{study}: data").items()},
        rungs={
            preset: _one_of(rung, RUNGS, f"{study}: rungs.{preset}")
            for preset, rung in {**_DEFAULT_RUNGS, **_by_preset(raw.get("rungs", {}), f"{study}: rungs")}.items()
        },
        budget=_by_preset(raw.get("budget", {}), f"{study}: budget"),
    )


def _family_levels(raw: Mapping[str, Any], study: str) -> dict[str, float]:
    """Bonferroni: each claim of a family of m is judged at level 1 - 0.05 / m, so that all m hold together at 95 %."""
    levels: dict[str, float] = {}
    known = [row.get("id") for row in raw["claims"]]
    for name, members in (raw.get("families") or {}).items():
        for member in members:
            if member not in known or member in levels:
                raise InputError(f"{study}: family {name}: {member!r} is not a claim, or is in two families")
            levels[member] = 1 - 0.05 / len(members)
    return levels


def _parse_control(row: Mapping[str, Any], study: str) -> Control:
    where = f"{study}: control {row.get('id')}"
    for key in row:
        if key not in _CONTROL_KEYS:
            raise InputError(f"{where}: {unknown('key', str(key), _CONTROL_KEYS)}")
    kind = _one_of(row.get("kind"), CONTROL_KINDS, f"{where}: kind")
    return Control(str(row["id"]), kind, str(row.get("text", "")), parse_criterion(row.get("criterion"), where))


def _parse_claim(row: Mapping[str, Any], study: str, levels: Mapping[str, float], controls: Mapping[str, str]) -> Claim:
    where = f"{study}: claim {row.get('id')}"
    for key in row:
        if key not in _CLAIM_KEYS:
            raise InputError(f"{where}: {unknown('key', str(key), _CLAIM_KEYS)}")
    for key in ("id", "text", "reported", "scope"):
        if key not in row:
            raise InputError(f"{where}: lacks '{key}'")
    kind = _one_of(row.get("kind", "superiority"), KINDS, f"{where}: kind")
    scope = _one_of(row["scope"], ("models", "method"), f"{where}: scope")
    _one_of(row["reported"].get("origin"), _ORIGINS, f"{where}: reported.origin")
    leans_on = tuple(row.get("leans_on", ()))
    for name in leans_on:
        if name not in controls:
            raise InputError(f"{where}: leans_on: {unknown('control', name, controls)}")
    if kind == "not_testable":
        if not row.get("reason") or "criterion" in row:
            raise InputError(f"{where}: a claim that is not testable has a reason and no criterion")
        parts: tuple[Criterion | Check, ...] = ()
    else:
        parts = parse_criterion(row.get("criterion"), where, level=levels.get(str(row["id"])))
        if any(isinstance(part, Check) for part in parts) != (kind == "fact"):
            raise InputError(f"{where}: a fact is decided by 'check', every other kind by an interval")
    if kind in ("noninferiority", "equivalence"):
        if not row.get("margin_because"):
            raise InputError(f"{where}: {kind} needs margin_because")
        # Without an arm that the margin can catch, "no difference" only says that the run was too blunt.
        if not any(controls[name] == "assay_sensitivity" for name in leans_on):
            raise InputError(f"{where}: {kind} must lean on a control of kind assay_sensitivity")
    power = row.get("power")
    if power is not None and not ({"effect", "how"} <= set(power) <= {"effect", "how", *PRESETS}):
        raise InputError(
            f"{where}: power needs 'effect' and 'how', beside a number for each preset; got {sorted(power)}"
        )
    return Claim(
        id=str(row["id"]),
        text=" ".join(str(row["text"]).split()),
        scope=scope,
        kind=kind,
        parts=parts,
        reported=row["reported"],
        reason=" ".join(str(row.get("reason", "")).split()),
        margin_because=" ".join(str(row.get("margin_because", "")).split()),
        leans_on=leans_on,
        power=power,
    )


def _one_of(value: Any, allowed: tuple[str, ...], where: str) -> str:
    if value not in allowed:
        raise InputError(f"{where} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def _seeds_vary(raw: Any, where: str) -> dict[str, tuple[str, ...]]:
    """What another seed changes, per preset; one list serves all presets."""
    by_preset = _by_preset(raw, where) if isinstance(raw, Mapping) else dict.fromkeys(PRESETS, raw)
    return {
        preset: _choice_list(by_preset.get(preset, ["training"]), ("data", "training"), where) for preset in PRESETS
    }


def _choice_list(values: Any, allowed: tuple[str, ...], where: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not values:
        raise InputError(f"{where} must list some of {', '.join(allowed)}, got {values!r}")
    return tuple(_one_of(value, allowed, where) for value in values)


def _by_preset(raw: Any, where: str) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise InputError(f"{where} must be a mapping from preset to value, got {raw!r}")
    for key in raw:
        _one_of(key, PRESETS, f"{where}: key")
    return dict(raw)
