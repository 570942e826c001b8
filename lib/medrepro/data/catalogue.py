"""All data sets and models at once: what they are, who uses them, and what of them is on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from . import manifests
from .errors import UnknownDataError, did_you_mean
from .fetch import copies_here
from .manifests import Manifest

STATES = {
    "here": "on this machine",
    "partly": "some files are on this machine",
    "fetched": "fetched when needed",
    "absent": "to be obtained",
}


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue. state: a key of STATES, by presence and not verified. n_bytes: None where not known."""

    name: str
    title: str
    kind: str
    access: str
    licence: str
    state: str
    n_bytes: int | None
    used_by: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def catalogue(*, study: str | None = None, access: str | None = None, kind: str | None = None) -> list[Entry]:
    """All manifests by name, or those of a study (34_ccan or 34), an access class, a kind.

    Raises UnknownDataError with the nearest name for a study, access class or kind that does not exist.
    """
    for value, allowed, what in ((access, manifests.ACCESS, "access class"), (kind, manifests.KINDS, "kind")):
        if value is not None and value not in allowed:
            raise UnknownDataError(f"unknown {what} '{value}'; {did_you_mean(value, allowed)}")
    found = [manifests.load(name) for name in manifests.names()]
    if study is not None:
        study = _study(study, {user for manifest in found for user in manifest.used_by})
    return [
        _entry(manifest)
        for manifest in found
        if (study is None or study in manifest.used_by)
        and (access is None or manifest.access == access)
        and (kind is None or manifest.kind == kind)
    ]


def state_of(manifest: Manifest) -> str:
    """A key of STATES: what of the data set is on this machine, by presence only."""
    copies = copies_here(manifest.name)
    there = [copy is not None for copy in copies.values()]
    if all(there):
        return "here"
    fetchable = all(file.sources for file in manifest.files if copies[file.path] is None)
    if manifest.folder is None and fetchable:
        return "fetched"
    return "partly" if any(there) else "absent"


def ready_presets(data: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """For each preset of a study (preset -> data names) what must still be obtained; [] is ready to run.

    What is fetched when needed counts as ready. A preset that names no data is ready.
    """
    return {preset: [name for name in names if not _is_ready(name)] for preset, names in data.items()}


def total_bytes(manifest: Manifest) -> int | None:
    """Size of all files; None where one is not known, or the user makes them."""
    sizes = [file.bytes for file in manifest.files]
    return sum(size for size in sizes if size is not None) if sizes and None not in sizes else None


def _is_ready(name: str) -> bool:
    return state_of(manifests.load(name)) in ("here", "fetched")


def _entry(manifest: Manifest) -> Entry:
    return Entry(
        name=manifest.name,
        title=manifest.title,
        kind=manifest.kind,
        access=manifest.access,
        licence=manifest.licence,
        state=state_of(manifest),
        n_bytes=total_bytes(manifest),
        used_by=manifest.used_by,
    )


def _study(text: str, known: Iterable[str]) -> str:
    known = sorted(known)
    fits = [name for name in known if name == text or name.split("_")[0] == text]
    if not fits:
        raise UnknownDataError(f"no data set names study '{text}'; {did_you_mean(text, known)}")
    return fits[0]
