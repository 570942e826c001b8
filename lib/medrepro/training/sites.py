"""Sites: cases of one institution in three parts, and what is done with several of them before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..data.splitting import split_by_patient

PARTS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Cases:
    """Inputs, labels and units of some cases.

    x (n, ...) float32: one row or image a case. y (n, K) float32, 0 or 1. units (n,): what is resampled (patients).
    Raises ValueError when the lengths differ, labels are other than 0 and 1, or an input is not finite.
    """

    x: NDArray[np.float32] = field(repr=False)
    y: NDArray[np.float32] = field(repr=False)
    units: NDArray[Any] = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", np.ascontiguousarray(self.x, dtype=np.float32))
        y = np.ascontiguousarray(self.y, dtype=np.float32)
        object.__setattr__(self, "y", y[:, None] if y.ndim == 1 else y)
        object.__setattr__(self, "units", np.asarray(self.units))
        if self.y.ndim != 2 or len(self.y) != len(self.x):
            raise ValueError(f"y must be ({len(self.x)}, K), one row a case, got {self.y.shape}")
        if self.units.shape != (len(self.x),):
            raise ValueError(f"units must be ({len(self.x)},), one a case, got {self.units.shape}")
        if not np.isin(self.y, (0, 1)).all():
            raise ValueError("y must hold 0 and 1 only")
        if not np.isfinite(self.x).all():
            raise ValueError("x must be finite: fill or drop missing values first")

    def __len__(self) -> int:
        return len(self.x)

    def subset(self, rows: ArrayLike) -> Cases:
        """The cases at these positions."""
        chosen = np.asarray(rows, dtype=np.int64)
        return Cases(self.x[chosen], self.y[chosen], self.units[chosen])


@dataclass(frozen=True, eq=False)
class Site:
    """One institution. Its training and validation cases serve models; its test cases only judge them.

    Raises ValueError when a unit is in two parts.
    """

    name: str
    train: Cases
    val: Cases
    test: Cases

    def __post_init__(self) -> None:
        seen: dict[Any, str] = {}
        for part in PARTS:
            for unit in np.unique(getattr(self, part).units).tolist():
                first = seen.setdefault(unit, part)
                if first != part:
                    raise ValueError(f"site {self.name}: unit {unit} is in {first} and in {part}, expected one part")

    @property
    def everyone(self) -> Cases:
        """All cases, for models to which this site contributed nothing."""
        return join([self.train, self.val, self.test])


def join(parts: Sequence[Cases]) -> Cases:
    """Cases one after the other; units as text, so that numbers and names can stand together."""
    return Cases(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.y for part in parts]),
        np.concatenate([part.units.astype(str) for part in parts]),
    )


def split_site(
    name: str, x: ArrayLike, y: ArrayLike, units: ArrayLike, *, fractions: Mapping[str, float], seed: int
) -> Site:
    """A site whose units are dealt to train, val and test, every combination of labels in proportion.

    fractions: share of units of each part, with sum 1. Raises ValueError as `Cases` and `split_by_patient` do.
    """
    if set(fractions) != set(PARTS):
        raise ValueError(f"fractions must name {', '.join(PARTS)}, got {', '.join(fractions)}")
    cases = Cases(np.asarray(x), np.asarray(y), np.asarray(units))
    strata = ["".join("01"[int(value)] for value in row) for row in cases.y]
    rows = split_by_patient(cases.units, {part: fractions[part] for part in PARTS}, seed=seed, stratify=strata)
    return Site(name, *(cases.subset(rows[part]) for part in PARTS))


def check_sites(sites: Sequence[Site]) -> None:
    """Raise ValueError unless there is a site, names differ, and inputs and labels have one shape."""
    if not sites:
        raise ValueError("sites must hold at least one site, got none")
    names = [site.name for site in sites]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"sites must have different names, '{twice[0]}' is there {names.count(twice[0])} times")
    shapes = {(site.train.x.shape[1:], site.train.y.shape[1:]) for site in sites}
    if len(shapes) > 1:
        raise ValueError(f"sites must share the shape of inputs and labels, got {sorted(map(str, shapes))}")
    empty = [site.name for site in sites if not len(site.train) or not len(site.val)]
    if empty:
        raise ValueError(f"site {empty[0]} needs training and validation cases, it has none")


def leave_out(sites: Sequence[Site], target: str) -> list[Site]:
    """All sites but the target; ValueError when it is not there."""
    if target not in [site.name for site in sites]:
        raise ValueError(f"target must be one of {', '.join(site.name for site in sites)}, got {target!r}")
    return [site for site in sites if site.name != target]


def pool_sites(sites: Sequence[Site], name: str = "pooled") -> Site:
    """One site with the cases of all, in the order of the names: data that were brought to one place.

    Units carry the name of their site, since two sites may use the same number for two patients.
    """
    ordered = sorted(sites, key=lambda site: site.name)

    def together(part: str) -> Cases:
        named = [(site.name, getattr(site, part)) for site in ordered]
        return join([replace(cases, units=np.array([f"{s}/{u}" for u in cases.units])) for s, cases in named])

    return Site(name, *(together(part) for part in PARTS))


def cut_site(site: Site, n_train: int, *, seed: int) -> Site:
    """The same site with n_train of its training cases, classes in proportion; smaller draws lie in larger ones.

    Raises ValueError when the site has fewer.
    """
    if not 1 <= n_train <= len(site.train):
        raise ValueError(f"n_train must lie in 1 to {len(site.train)} at site {site.name}, got {n_train}")
    rng = np.random.default_rng(seed)
    _, classes = np.unique(site.train.y, axis=0, return_inverse=True)
    # A case's place within its shuffled class, as a share of the class: any beginning of this order has all classes
    # in proportion.
    place = np.empty(len(classes))
    for value in range(int(classes.max()) + 1):
        members = rng.permutation(np.flatnonzero(classes == value))
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
    return replace(site, train=site.train.subset(np.sort(np.argsort(place, kind="stable")[:n_train])))


def cut_to_total(sites: Sequence[Site], n_total: int, *, seed: int) -> list[Site]:
    """Sites whose training cases number n_total together, in shares as equal as their sizes allow.

    The control for size: diversity of several sites with no more cases than a single one has.
    Raises ValueError when they have fewer in all, or n_total is below one a site.
    """
    most = sum(len(site.train) for site in sites)
    if not len(sites) <= n_total <= most:
        raise ValueError(f"n_total must lie in {len(sites)} to {most} (all training cases), got {n_total}")
    return [cut_site(site, n, seed=seed) for site, n in zip(sites, _shares(sites, n_total), strict=True)]


def _shares(sites: Sequence[Site], n_total: int) -> Iterator[int]:
    """Cases of each site: small sites give all, the others share the rest; ties go by name."""
    order = sorted(range(len(sites)), key=lambda i: (len(sites[i].train), sites[i].name))
    given, left = {}, n_total
    for place, i in enumerate(order):
        given[i] = min(len(sites[i].train), left // (len(order) - place))
        left -= given[i]
    return (given[i] for i in range(len(sites)))
