"""Unpacking archives that others made: only inside their folder, nothing but plain files, within a size limit."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from .errors import DataError

MEMBERS_AT_MOST = 1_000_000
BYTES_AT_MOST = 64 * 2**30
RATIO_AT_MOST = 200  # unpacked to packed; scans reach 3, tables and masks some tens, bombs 1,000 and more
_SMALL = 256 * 2**20  # below this no ratio is a danger
_CHUNK = 2**20


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    kind: str  # file | folder | what it is instead
    entry: Any  # what the archive calls it


def unpack(archive: Path, folder: Path, *, bytes_at_most: int | None = None) -> Path:
    """Unpack a .zip or .tar (.gz, .bz2, .xz) into a new folder, which appears when everything is in it; its path.

    bytes_at_most: limit of the unpacked bytes; left out, 200 times the archive, at least 256 MiB, at most 64 GiB.
    Raises DataError with one line, and leaves nothing behind, when the folder exists, the archive cannot be read, a
    member would land outside the folder, is a link or a device, comes twice, or the limits are passed.
    """
    limit = bytes_at_most if bytes_at_most is not None else _limit(archive)
    if folder.exists():
        raise DataError(f"{folder} exists already: take it away to unpack {archive.name} anew")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with _open(archive) as opened:
            members = list(opened.members())
            _check(archive, members, limit)
            left = limit
            for member in members:
                target = part.joinpath(*PurePosixPath(member.name).parts)
                if member.kind == "folder":
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                left -= _write(archive, opened.content(member.entry), target, left)
        part.chmod(0o755)
        part.rename(folder)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{archive}: cannot be unpacked: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise DataError(f"{archive}: cannot be unpacked: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _limit(archive: Path) -> int:
    try:
        packed = archive.stat().st_size
    except OSError as error:
        raise DataError(f"{archive}: cannot be read: {error.strerror}") from None
    return max(_SMALL, min(BYTES_AT_MOST, RATIO_AT_MOST * packed))


def _check(archive: Path, members: list[_Member], limit: int) -> None:
    """Everything that can be said before a byte is written."""
    if len(members) > MEMBERS_AT_MOST:
        raise DataError(f"{archive}: holds {len(members)} members, allowed are {MEMBERS_AT_MOST}")
    total, seen = 0, set[str]()
    for member in members:
        _check_name(archive, member.name)
        if member.kind not in ("file", "folder"):
            raise DataError(f"{archive}: '{member.name}' is a {member.kind}: only plain files are unpacked")
        key = "/".join(PurePosixPath(member.name).parts).casefold()  # some file systems do not tell cases apart
        if member.kind == "file" and key in seen:
            raise DataError(f"{archive}: '{member.name}' comes twice")
        seen.add(key)
        total += member.size
        if total > limit:
            raise DataError(f"{archive}: would unpack to more than {limit} bytes: refused as a bomb")
    free = shutil.disk_usage(archive.parent).free
    if total > free:
        raise DataError(f"{archive}: would unpack to {total} bytes, {free} are free")


def _check_name(archive: Path, name: str) -> None:
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    outside = path.is_absolute() or windows.is_absolute() or windows.drive or ".." in (*path.parts, *windows.parts)
    if outside or not path.parts or "\\" in name or "\0" in name:
        raise DataError(f"{archive}: '{name!s}' would land outside its folder: nothing is unpacked")


def _write(archive: Path, stream: IO[bytes], target: Path, left: int) -> int:
    """Copy one member, new files only; the bytes written, which a header may have understated."""
    done = 0
    with stream, target.open("xb") as out:
        while chunk := stream.read(_CHUNK):
            done += len(chunk)
            if done > left:
                raise DataError(f"{archive}: unpacks to more than its headers say or is allowed: refused as a bomb")
            out.write(chunk)
    return done


class _Zip:
    def __init__(self, archive: Path) -> None:
        self._file = zipfile.ZipFile(archive)

    def __enter__(self) -> _Zip:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def members(self) -> Iterator[_Member]:
        for info in self._file.infolist():
            mode = info.external_attr >> 16
            kind = "folder" if info.is_dir() else "file"
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "link" if stat.S_ISLNK(mode) else "device"
            yield _Member(info.filename, info.file_size, kind, info)

    def content(self, entry: zipfile.ZipInfo) -> IO[bytes]:
        return self._file.open(entry)


class _Tar:
    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._file = tarfile.open(archive)  # noqa: SIM115 -- closed in __exit__

    def __enter__(self) -> _Tar:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def members(self) -> Iterator[_Member]:
        for count, info in enumerate(self._file):
            if count > MEMBERS_AT_MOST:  # without reading the rest of an endless archive
                raise DataError(f"{self._archive}: holds more than {MEMBERS_AT_MOST} members")
            kind = "file" if info.isreg() else "folder" if info.isdir() else "device"
            if info.issym() or info.islnk():
                kind = "link"
            if info.isdir() and PurePosixPath(info.name) == PurePosixPath("."):
                continue
            yield _Member(info.name, info.size, kind, info)

    def content(self, entry: tarfile.TarInfo) -> IO[bytes]:
        stream = self._file.extractfile(entry)
        if stream is None:
            raise tarfile.TarError(f"{entry.name} has no content")
        return stream


def _open(archive: Path) -> _Zip | _Tar:
    try:
        if zipfile.is_zipfile(archive):
            return _Zip(archive)
        if tarfile.is_tarfile(archive):
            return _Tar(archive)
    except OSError as error:
        raise DataError(f"{archive}: cannot be read: {error.strerror}") from None
    raise DataError(f"{archive}: is neither a .zip nor a .tar archive ({os.path.getsize(archive)} bytes)")
