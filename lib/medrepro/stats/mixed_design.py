"""What a mixed model is fitted to: outcome, fixed-effects design and groups, checked before any fitting.

Everything that would make a fit meaningless is found here and ends with one line that names it: missing values, an
outcome that its family cannot have, groups that repeat each other or the observations, columns that repeat each other,
and separation, where the estimate would be infinite.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from patsy import DesignInfo, EvalEnvironment, NAAction, PatsyError, dmatrices
from scipy.optimize import linprog

from ._inputs import FloatArray

POSITIVE = ("gamma", "lognormal")
COUNTS = ("poisson", "negative_binomial")
# An effect of every observation is the noise itself, except where the family has no parameter for noise.
LEVEL_PER_OBSERVATION = ("poisson",)


@dataclass(frozen=True)
class MixedDesign:
    """Outcome and design of a mixed model.

    y (n,): outcome on its own scale. x (n, p): fixed-effects columns, named by `columns`. info: patsy's description of
    the columns. levels: columns of `data` that are factors, with their levels in order. numeric: mean of each other
    column that the formula uses. codes: group name to level of each observation (n,). slopes: group name to the places
    in `columns` that vary by group. offset (n,) or None: log of the exposure.
    """

    y: FloatArray
    x: FloatArray
    columns: tuple[str, ...]
    info: DesignInfo
    levels: dict[str, list[Any]]
    numeric: dict[str, float]
    codes: dict[str, np.ndarray]
    slopes: dict[str, list[int]]
    offset: FloatArray | None

    @property
    def n_levels(self) -> dict[str, int]:
        """Number of levels of each group."""
        return {name: int(codes.max()) + 1 for name, codes in self.codes.items()}


def make_design(
    formula: str,
    data: pd.DataFrame,
    family: str,
    groups: Sequence[str],
    slopes: Mapping[str, str | Sequence[str]],
    exposure: str | None,
) -> MixedDesign:
    """The checked design; ValueError, in one line, for everything listed at the top of this module."""
    if not isinstance(data, pd.DataFrame):
        raise ValueError(f"data must be a pandas DataFrame, got {type(data).__name__}")
    if not isinstance(formula, str) or formula.count("~") != 1:
        raise ValueError(f"formula must read 'outcome ~ fixed effects', got {formula!r}")
    if "|" in formula:
        raise ValueError(
            "formula must hold fixed effects only: name crossed groups in groups=, by-group slopes in slopes="
        )
    names = _group_names(groups, data)
    used = [c for c in map(str, data.columns) if re.search(rf"(?<!\w){re.escape(c)}(?!\w)", formula)]
    taken = list(dict.fromkeys([*used, *names, *([exposure] if exposure is not None else [])]))
    _known(taken, data, "exposure")
    outcome = formula.split("~")[0].strip()
    frame = _complete(data[taken], outcome)
    y, x, info = _matrices(formula, frame)
    _check_outcome(outcome, y, family)
    codes = {name: pd.factorize(frame[name], sort=True)[0] for name in names}
    places = _slope_columns(slopes, names, info)
    _check_groups(codes, places, family)
    _check_rank(x, tuple(info.column_names))
    predictors = [c for c in used if re.search(rf"(?<!\w){re.escape(c)}(?!\w)", formula.split("~")[1])]
    levels, numeric = _levels(info, frame, predictors)
    offset = None if exposure is None else _log_exposure(exposure, frame[exposure], family)
    return MixedDesign(y, x, tuple(info.column_names), info, levels, numeric, codes, places, offset)


def separated_columns(x: FloatArray, y: FloatArray, family: str) -> list[int]:
    """Columns of x along which the likelihood never stops rising, so that the estimate is infinite; else none.

    Bernoulli: a direction d with (2 y - 1) x d >= 0 everywhere and > 0 somewhere. Counts: x d = 0 where y > 0 and
    x d <= 0 where y = 0. Found by a linear programme (Konis, Computational algorithms for detecting separation, 2007);
    random effects, which only add to x d, cannot stop the rise.
    """
    if family not in ("bernoulli", *COUNTS):
        return []
    rows = np.unique(np.column_stack([x, y > 0]), axis=0)
    x, positive = rows[:, :-1], rows[:, -1] > 0
    scale = np.abs(x).max(axis=0)
    x = x / scale
    if family == "bernoulli":
        gain, fixed = np.where(positive, 1.0, -1.0)[:, None] * x, None
    else:
        gain, fixed = -x[~positive], x[positive]
    if not len(gain):
        return []
    still = {} if fixed is None or not len(fixed) else {"A_eq": fixed, "b_eq": np.zeros(len(fixed))}
    found = linprog(-gain.sum(axis=0), A_ub=-gain, b_ub=np.zeros(len(gain)), bounds=(-1, 1), **still)
    if found.status != 0 or -found.fun < 1e-6:
        return []
    return [int(j) for j in np.flatnonzero(np.abs(found.x) > 1e-6)]


def _known(names: Sequence[str], data: pd.DataFrame, argument: str) -> None:
    unknown = [name for name in names if name not in data.columns]
    if unknown:
        raise ValueError(
            f"{argument} must name columns of data ({', '.join(map(str, data.columns))}), got {unknown[0]!r}"
        )


def _group_names(groups: Sequence[str], data: pd.DataFrame) -> list[str]:
    if not isinstance(groups, str | Sequence):
        raise ValueError(f"groups must be a column of data or a list of columns, got {groups!r}")
    names = [groups] if isinstance(groups, str) else list(groups)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"groups must name at least one column, each once, got {names}")
    _known(names, data, "groups")
    return names


def _complete(frame: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """The frame with factors as categories without empty levels and a yes-or-no outcome as 0 and 1; nothing missing."""
    missing = frame.isna()
    if missing.any(axis=None):
        where = ", ".join(f"{name}: {int(count)}" for name, count in missing.sum().items() if count)
        rows = int(missing.any(axis=1).sum())
        raise ValueError(f"data must have no missing values, got {rows} of {len(frame)} rows with some ({where})")
    if not len(frame):
        raise ValueError("data must have at least one row, got 0")
    frame = frame.reset_index(drop=True)
    for name, column in frame.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            frame[name] = column.cat.remove_unused_categories()
        elif pd.api.types.is_bool_dtype(column) and name == outcome:
            frame[name] = column.astype(float)
        elif pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
            frame[name] = pd.Categorical(column)
    return frame


def _matrices(formula: str, frame: pd.DataFrame) -> tuple[FloatArray, FloatArray, DesignInfo]:
    environment = EvalEnvironment([{"np": np}])
    try:
        left, right = dmatrices(formula, frame, eval_env=environment, NA_action=NAAction(NA_types=[]))
    except (PatsyError, NameError, SyntaxError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"formula must use columns of data ({', '.join(frame.columns)}), got {formula!r}: {reason}"
        ) from None
    if left.shape[1] != 1:
        raise ValueError(
            f"formula must have one column of numbers as its outcome, got {', '.join(left.design_info.column_names)}"
        )
    if "Intercept" not in right.design_info.column_names:
        raise ValueError(f"formula must keep its intercept, got {formula!r}")
    y, x = np.asarray(left)[:, 0], np.asarray(right)
    for name, values in [(left.design_info.column_names[0], y), *zip(right.design_info.column_names, x.T, strict=True)]:
        if not np.isfinite(values).all():
            raise ValueError(f"data must be finite in {name!r}, got {int((~np.isfinite(values)).sum())} other values")
    return y, x, right.design_info


def _check_outcome(outcome: str, y: FloatArray, family: str) -> None:
    wrong, allowed = np.zeros(y.shape, dtype=bool), ""
    if family == "bernoulli":
        wrong, allowed = ~np.isin(y, (0, 1)), "0 and 1 only"
    elif family in COUNTS:
        wrong, allowed = (y < 0) | (y != np.floor(y)), "whole numbers >= 0"
    elif family in POSITIVE:
        wrong, allowed = y <= 0, "numbers > 0"
    if wrong.any():
        found = f"got {y[wrong][0]:g} among {int(wrong.sum())} other values"
        raise ValueError(f"data must hold {allowed} in {outcome!r} for family {family!r}, {found}")
    if np.all(y == y[0]):
        raise ValueError(f"data must vary in {outcome!r}, got {y[0]:g} in every row")


def _slope_columns(slopes: Mapping[str, Any], groups: list[str], info: DesignInfo) -> dict[str, list[int]]:
    if not isinstance(slopes, Mapping):
        raise ValueError(f"slopes must map groups to terms of the formula, got {slopes!r}")
    places: dict[str, list[int]] = {name: [] for name in groups}
    for group, terms in slopes.items():
        if group not in places:
            raise ValueError(f"slopes must be for groups ({', '.join(groups)}), got {group!r}")
        for term in [terms] if isinstance(terms, str) else terms:
            if term not in info.term_name_slices or term == "Intercept":
                known = [name for name in info.term_names if name != "Intercept"]
                raise ValueError(f"slopes must be terms of the formula ({', '.join(known)}), got {term!r}")
            chosen = info.term_name_slices[term]
            places[group] += range(chosen.start, chosen.stop)
    return places


def _check_groups(codes: dict[str, np.ndarray], slopes: dict[str, list[int]], family: str) -> None:
    partitions: dict[bytes, str] = {}
    for name, group in codes.items():
        levels, n = int(group.max()) + 1, group.size
        if levels < 2:
            raise ValueError(f"groups must have at least two levels, got one in {name!r}")
        if levels == n and family not in LEVEL_PER_OBSERVATION:
            raise ValueError(f"groups must repeat, got a level of its own for each of the {n} observations in {name!r}")
        effects = levels * (1 + len(slopes[name]))
        if effects >= n and family not in LEVEL_PER_OBSERVATION:
            raise ValueError(f"slopes must leave more observations than effects, got {effects} of {name!r} for {n}")
        first_seen = pd.factorize(group)[0].tobytes()  # equal for two names of the same grouping
        if first_seen in partitions:
            raise ValueError(f"groups must differ, got the same grouping in {partitions[first_seen]!r} and {name!r}")
        partitions[first_seen] = name


def _check_rank(x: FloatArray, columns: tuple[str, ...]) -> None:
    scaled = x / np.maximum(np.linalg.norm(x, axis=0), 1e-300)
    for j in range(1, len(columns)):
        if np.linalg.matrix_rank(scaled[:, : j + 1]) <= j:
            raise ValueError(f"formula must have independent columns, got {columns[j]!r} repeating those before it")


def _levels(info: DesignInfo, frame: pd.DataFrame, used: list[str]) -> tuple[dict[str, list[Any]], dict[str, float]]:
    """Factors among the predictors with their levels, and the means of the other predictors."""
    codes = [f.name() for f, about in info.factor_infos.items() if about.type == "categorical"]
    levels: dict[str, list[Any]] = {}
    numeric: dict[str, float] = {}
    for name in used:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            levels[name] = list(column.cat.categories)
        elif any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", code) for code in codes):
            levels[name] = sorted(column.unique().tolist())
        else:
            numeric[name] = float(column.mean())
    return levels, numeric


def _log_exposure(name: str, values: pd.Series, family: str) -> FloatArray:
    if family not in COUNTS:
        raise ValueError(f"exposure must go with family 'poisson' or 'negative_binomial', got {family!r}")
    exposure = values.to_numpy(dtype=float)
    if not (np.isfinite(exposure) & (exposure > 0)).all():
        raise ValueError(f"exposure must hold numbers > 0, got others in {name!r}")
    return np.log(exposure)
