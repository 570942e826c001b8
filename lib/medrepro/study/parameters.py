"""Parameters of a study: one table that checks notebooks, command lines, files and sweeps alike."""

from __future__ import annotations

import ast
import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from .errors import InputError, unknown

PRESETS = ("embedded", "real", "open", "paper")
_SCALARS = ("int", "float", "bool", "str")
TYPES = (*_SCALARS, *(f"list[{t}]" for t in ("int", "float", "str")))
_KEYS = {"name", "type", "min", "max", "choices", "nullable", "unit", "help", *PRESETS}
# A key or token never belongs in a parameter, because parameters are stored in the executed notebook.
_SECRET = re.compile(
    r"(^|_)(secret|password|passwd|passphrase|credentials?|api_?key)(_|$)|(^|_)(access|auth|bearer|hf|api)_token$"
    r"|^token$|^(private|secret|access)_?key$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Parameter:
    """One row of a card's table: type, range or choices, unit, meaning and a value per preset."""

    name: str
    type: str
    help: str = ""
    unit: str = ""
    min: float | None = None
    max: float | None = None
    choices: tuple[Any, ...] = ()
    nullable: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, row: Mapping[str, Any]) -> Parameter:
        """Read one row of a card; InputError names the parameter and the key that is wrong."""
        name = row.get("name")
        if not isinstance(name, str) or not name.isidentifier():
            raise InputError(f"parameter name must be an identifier, got {name!r}")
        for key in row:
            if key not in _KEYS:
                raise InputError(f"parameter {name}: {unknown('key', str(key), _KEYS)}")
        if _SECRET.search(name):
            raise InputError(
                f"parameter {name}: looks like a secret; keys come from the environment, because parameters are stored"
            )
        if row.get("type") not in TYPES:
            raise InputError(f"parameter {name}: type must be one of {', '.join(TYPES)}, got {row.get('type')!r}")
        if "embedded" not in row:
            raise InputError(f"parameter {name}: has no embedded value")
        bare = cls(
            name=name,
            type=row["type"],
            help=str(row.get("help", "")),
            unit=str(row.get("unit", "")),
            min=row.get("min"),
            max=row.get("max"),
            choices=tuple(row.get("choices", ())),
            nullable=bool(row.get("nullable", False)),
        )
        values = {preset: bare.coerce(row.get(preset, row["embedded"])) for preset in PRESETS}
        return dataclasses.replace(bare, values=values)

    @property
    def allowed(self) -> str:
        """What the parameter accepts, in words: 'int from 2 to 1024'."""
        text = self.type
        if self.choices:
            text += ", one of " + ", ".join(map(str, self.choices))
        if self.min is not None and self.max is not None:
            text += f" from {self.min:g} to {self.max:g}"
        elif self.min is not None:
            text += f", at least {self.min:g}"
        elif self.max is not None:
            text += f", at most {self.max:g}"
        return text + (", or null" if self.nullable else "")

    def coerce(self, raw: Any) -> Any:
        """The typed value of `raw`, which may be text from a command line; InputError says what is allowed."""
        try:
            value = self._typed(raw)
        except (TypeError, ValueError):
            raise InputError(f"parameter {self.name} = {raw!r}: allowed is {self.allowed}") from None
        for item in value if isinstance(value, list) else [value]:
            if item is None:
                continue
            too_small = self.min is not None and item < self.min
            too_large = self.max is not None and item > self.max
            if too_small or too_large or (self.choices and item not in self.choices):
                raise InputError(f"parameter {self.name} = {raw!r}: allowed is {self.allowed}")
        return value

    def _typed(self, raw: Any) -> Any:
        is_null = raw is None or (isinstance(raw, str) and raw.strip().lower() in ("null", "none"))
        if is_null and self.nullable:
            return None
        if self.type.startswith("list["):
            items = json.loads(raw) if isinstance(raw, str) else raw
            if not isinstance(items, (list, tuple)) or not items:
                raise ValueError("not a list")
            return [_scalar(self.type[5:-1], item) for item in items]
        return _scalar(self.type, raw)


def _scalar(kind: str, raw: Any) -> Any:
    """One value of type `kind`; ValueError or TypeError when `raw` is not one."""
    if kind == "str":
        if not isinstance(raw, str):
            raise TypeError
        return raw
    if kind == "bool":
        if isinstance(raw, str) and raw.strip().lower() in ("true", "false"):
            return raw.strip().lower() == "true"
        if isinstance(raw, bool):
            return raw
        raise ValueError
    if isinstance(raw, bool) or raw is None:  # True is an int in Python, never in a card
        raise TypeError
    number = float(raw)
    if math.isnan(number):
        raise ValueError
    if kind == "float":
        return number
    if math.isinf(number) or number != math.floor(number):
        raise ValueError
    return int(number)


_PRESET = Parameter(
    "preset", "str", "rung of evidence: sizes and data", choices=PRESETS, values={p: p for p in PRESETS}
)
_SEED = Parameter("seed", "int", "seed of data, training and resampling", min=0, values=dict.fromkeys(PRESETS, 0))
BUILT_IN = (_PRESET, _SEED)


@dataclass(frozen=True)
class ParameterTable:
    """All parameters of one study, the built-in `preset` and `seed` first."""

    study: str
    rows: tuple[Parameter, ...]

    @classmethod
    def parse(cls, study: str, rows: Sequence[Mapping[str, Any]]) -> ParameterTable:
        """Read the card's list; InputError names the study and what is wrong."""
        try:
            parsed = [*BUILT_IN, *(Parameter.parse(row) for row in rows)]
        except InputError as error:
            raise InputError(f"{study}: {error}") from None
        names = [p.name for p in parsed]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{study}: parameter {name} is listed twice (preset and seed are built in)")
        return cls(study, tuple(parsed))

    def __getitem__(self, name: str) -> Parameter:
        for row in self.rows:
            if row.name == name:
                return row
        raise InputError(f"{self.study}: {unknown('parameter', name, self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.rows)

    def resolve(self, preset: str = "embedded", changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Every parameter's value: the preset's, then `changes`, coerced and checked."""
        changes = dict(changes or {})
        if "preset" in changes:
            preset = changes.pop("preset")
        if preset not in PRESETS:
            raise InputError(f"{self.study}: {unknown('preset', str(preset), PRESETS)}")
        values = {p.name: p.values[preset] for p in self.rows}
        for name, raw in changes.items():
            try:
                values[name] = self[name].coerce(raw)
            except InputError as error:
                text = str(error)
                raise InputError(text if text.startswith(self.study) else f"{self.study}: {text}") from None
        return values

    def freeze(self, values: Mapping[str, Any]) -> Any:
        """A frozen object with one attribute per parameter; InputError when one is missing, unknown or wrong."""
        missing = [name for name in self.names if name not in values]
        if missing:
            raise InputError(f"{self.study}: the parameters cell lacks {', '.join(missing)}")
        preset = values["preset"]
        checked = self.resolve(preset, {k: v for k, v in values.items() if k != "preset"})
        cls = dataclasses.make_dataclass("Parameters", [(n, Any) for n in self.names], frozen=True)
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in checked.items()})


def read_parameters(study: str, namespace: Mapping[str, Any]) -> Any:
    """The notebook's parameters as one frozen object, checked against the study's card.

    namespace: `globals()` of the notebook, called right after the parameters cell. A name there that holds a plain
    value but is not in the card is taken for a misspelt parameter and refused, so that no default is used in silence.
    Lists become tuples. Raises InputError (a ValueError) that names parameter, value and what is allowed.
    """
    from .card import load_card  # the card imports this module

    table = load_card(study).parameters
    found = {name: namespace[name] for name in table.names if name in namespace}
    for name, value in namespace.items():
        plain = isinstance(value, (int, float, str, bool, list, type(None))) and not isinstance(value, ModuleType)
        if plain and not name.startswith("_") and name not in table.names and name not in ("In", "quit", "exit"):
            raise InputError(f"{study}: {unknown('parameter', name, table.names)}")
    return table.freeze(found)


def parameters_in_cell(source: str) -> dict[str, Any]:
    """Name and literal value of each assignment of a parameters cell, in order; InputError on anything else."""
    values: dict[str, Any] = {}
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                try:
                    values[name] = ast.literal_eval(value)
                except ValueError:
                    if ast.unparse(value) not in ("float('inf')", "-float('inf')"):
                        raise InputError(f"parameters cell: {name} must be a literal") from None
                    values[name] = float(ast.unparse(value).replace("float('", "").replace("')", ""))
            case _:
                raise InputError(f"parameters cell: only 'name = literal' is allowed, found '{ast.unparse(node)}'")
    return values


def parse_assignment(text: str) -> tuple[str, str]:
    """'name=value' of a command line; InputError shows the form."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip().isidentifier():
        raise InputError(f"parameter '{text}': write it as name=value")
    return name.strip(), value.strip()


def expand_sweep(table: ParameterTable, specs: Sequence[str]) -> list[dict[str, Any]]:
    """The grid of 'name=a;b;c' (or 'name=0..4' for integers), first name slowest."""
    points: list[dict[str, Any]] = [{}]
    for spec in specs:
        name, text = parse_assignment(spec)
        row = table[name]
        bounds = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", text)
        if bounds and row.type == "int":
            first, last = int(bounds[1]), int(bounds[2])
            if last < first:
                raise InputError(f"{table.study}: parameter {name} = '{text}': the range must rise")
            raws: list[Any] = list(range(first, last + 1))
        else:
            raws = [part.strip() for part in text.split(";")]
        values = [table.resolve("embedded", {name: raw})[name] for raw in raws]
        points = [{**point, name: value} for point in points for value in values]
    return points


def read_parameter_file(path: Path) -> dict[str, Any]:
    """Parameters from a YAML file: a mapping from name to value; InputError otherwise."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such parameter file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise InputError(f"{path}: must be a mapping from parameter name to value")
    return values
