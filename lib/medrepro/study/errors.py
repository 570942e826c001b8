"""What can go wrong, as one clear line and a documented exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StudyError(Exception):
    """Base of the errors that the command line prints as one line; `exit_code` is what it ends with."""

    exit_code = 1


class InputError(StudyError, ValueError):
    """The user's input is wrong: an unknown name, a value out of range, a card that contradicts its notebook."""

    exit_code = 2


class ChapterError(StudyError, RuntimeError):
    """A chapter did not finish: an exception in a cell, a dead kernel, a budget that was exceeded."""

    exit_code = 3


def unknown(what: str, name: str, known: Iterable[str]) -> InputError:
    """An InputError for a misspelt name that offers the nearest right one."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else "known: " + (", ".join(names) or "none")
    return InputError(f"unknown {what} '{name}'; {hint}")
