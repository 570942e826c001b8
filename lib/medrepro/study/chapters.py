"""Chapters: notebooks that can be run, with what their run depends on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .. import locations
from ..data import cohort_rules
from .card import Card, load_card, study_ids
from .errors import InputError, unknown
from .parameters import parameters_in_cell

DEFAULT_BUDGET = {"seconds": 60.0, "gib": 2.0}
# Folders of book/ with executed pages that are no study.
HANDBOOK = ("statistics", "data")


@dataclass(frozen=True)
class Chapter:
    """A study (notebook with a card) or a handbook page (notebook whose metadata names data and threads)."""

    id: str
    source: Path
    card: Card | None

    @cached_property
    def notebook(self) -> dict[str, Any]:
        return read_notebook(self.source)

    @property
    def code_cells(self) -> list[str]:
        return [source_of(cell) for cell in self.notebook["cells"] if cell["cell_type"] == "code"]

    @property
    def _metadata(self) -> Mapping[str, Any]:
        return self.notebook.get("metadata", {}).get("medrepro", {})

    @property
    def threads(self) -> int:
        return self.card.threads if self.card else int(self._metadata.get("threads", 1))

    @property
    def page(self) -> str:
        """Address of its page inside the book, without the ending."""
        return f"chapters/{self.id}" if self.card else f"{self.source.parent.name}/{self.id}"

    @property
    def assets(self) -> dict[str, Path]:
        """Files and folders that a run reads beside data: of the package for a study, of the checkout for a page."""
        if self.card:
            return {name: Path(__file__).parent.parent / name for name in self.card.assets}
        return {name: self.source.parents[2] / name for name in self._metadata.get("assets", ())}

    def data(self, preset: str) -> tuple[str, ...]:
        """Names of the manifests that a run at `preset` reads."""
        if self.card:
            return self.card.data.get(preset, ())
        return tuple(self._metadata.get("data", ()))

    def protected(self, preset: str) -> bool:
        """True when a run at `preset` reads a cohort whose cases must not be shown."""
        return self.card.protected(preset) if self.card else cohort_rules.protects(self.data(preset))

    def budget(self, preset: str) -> dict[str, float]:
        """Seconds and GiB that a run is meant to stay within."""
        stated = self.card.budget.get(preset, {}) if self.card else self._metadata.get("budget", {})
        return {**DEFAULT_BUDGET, **{key: float(value) for key, value in stated.items()}}

    def resolve(self, preset: str = "embedded", changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """All parameters of a run; InputError for a wrong one. A handbook page has none."""
        if self.card:
            return self.card.parameters.resolve(preset, changes)
        if changes:
            raise InputError(f"{self.id}: a handbook page has no parameters, got {', '.join(changes)}")
        return {}

    def check(self) -> None:
        """Compare the notebook with its card; InputError names the first contradiction."""
        stored = [cell for cell in self.notebook["cells"] if cell.get("outputs") or cell.get("execution_count")]
        if stored:
            raise InputError(f"{self.source.name}: outputs are stored; clear them (make strip)")
        if self.card is None:
            return
        cell = parameters_cell(self.notebook, self.source.name)
        try:
            written = parameters_in_cell(source_of(cell))
        except (InputError, SyntaxError) as error:
            raise InputError(f"{self.source.name}: {error}") from None
        table = self.card.parameters
        for name in written:
            if name not in table.names:
                raise InputError(f"{self.source.name}: {unknown('parameter', name, table.names)}")
        for row in table.rows:
            if row.name not in written:
                raise InputError(f"{self.source.name}: the parameters cell lacks {row.name}")
            if written[row.name] != row.values["embedded"]:
                raise InputError(
                    f"{self.source.name}: {row.name} = {written[row.name]!r}, "
                    f"but the card's embedded value is {row.values['embedded']!r}"
                )


def source_of(cell: Mapping[str, Any]) -> str:
    """A cell's source as one string."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def read_notebook(path: Path) -> dict[str, Any]:
    """A notebook as JSON data; InputError when the file is missing or is not a notebook."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such notebook") from None
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read as a notebook: {error}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise InputError(f"{path}: not a notebook (no list of cells)")
    return notebook


def parameters_cell(notebook: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The one cell that carries the tag `parameters`."""
    tagged = [c for c in notebook["cells"] if "parameters" in c.get("metadata", {}).get("tags", ())]
    if len(tagged) != 1 or tagged[0]["cell_type"] != "code":
        raise InputError(f"{name}: exactly one code cell must carry the tag 'parameters', found {len(tagged)}")
    return tagged[0]


def study_chapters() -> list[Chapter]:
    return [load_chapter(study) for study in study_ids()]


def handbook_chapters() -> list[Chapter]:
    """Executed handbook pages; none when the package is installed without the book."""
    root = locations.project_root()
    pages = [path for folder in HANDBOOK for path in sorted((root / "book" / folder).glob("*.ipynb"))] if root else []
    return [Chapter(path.stem, path, None) for path in pages]


def load_chapter(name: str) -> Chapter:
    """A study or a handbook page by its id; InputError with the nearest right name."""
    if name in study_ids():
        return Chapter(name, locations.notebooks_dir() / f"{name}.ipynb", load_card(name))
    pages = {page.id: page for page in handbook_chapters()}
    if name in pages:
        return pages[name]
    raise unknown("study", name, [*study_ids(), *pages])
