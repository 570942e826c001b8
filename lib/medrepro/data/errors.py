"""What can go wrong with data, as one clear line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DataError(Exception):
    """Data are missing or not as their manifest says; `exit_code` is what the command line ends with."""

    exit_code = 4


class UnknownDataError(DataError, ValueError):
    """A data set or a file of it was asked for by a name that no manifest has."""

    exit_code = 2


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """'; did you mean 'x'?' or the list of what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else "known: " + (", ".join(names) or "none")
