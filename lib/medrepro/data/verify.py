"""Is this file the one its manifest describes? Size first, then the digest, which is remembered for large files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from .errors import DataError
from .manifests import DataFile

LARGE = 32 * 2**20  # below this a digest takes some hundredths of a second and is taken anew each time
_CHUNK = 2**20


def fault(path: Path, file: DataFile, stamps: Path | None = None) -> str | None:
    """What is wrong with a file, as words that say what was found and what was expected; None when nothing is.

    stamps: folder that remembers the verified state of large files (size, times, inode), so that they are not hashed
    at each call. A change of content changes at least one of these.
    """
    try:
        state = os.stat(path)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not path.is_file():
        return "is not a file"
    if file.bytes is not None and state.st_size != file.bytes:
        return f"has {state.st_size} bytes, expected {file.bytes}: truncated or another file"
    seen = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, file.digest]
    stamp = stamps / f"{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:24]}.json" if stamps else None
    if stamp is not None and state.st_size >= LARGE and _read_stamp(stamp) == seen:
        return None
    try:
        found = file_digest(path, file.algorithm)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if found != file.digest:
        return f"was altered: {file.algorithm.upper()} {found}, expected {file.digest}"
    # The state was taken before hashing: a file that changed meanwhile does not match its stamp.
    if stamp is not None and state.st_size >= LARGE:
        _write_stamp(stamp, seen)
    return None


def check(path: Path, file: DataFile, name: str) -> None:
    """Raise DataError unless the file is as described."""
    wrong = fault(path, file)
    if wrong:
        raise DataError(f"{name}: {path} {wrong}")


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file, read in pieces."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _read_stamp(stamp: Path) -> list[object] | None:
    try:
        seen = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return seen if isinstance(seen, list) else None


def _write_stamp(stamp: Path, seen: list[object]) -> None:
    # A cache that cannot be written (shared, read-only) only costs the time of hashing again.
    with contextlib.suppress(OSError):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        temporary = stamp.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(seen), encoding="utf-8")
        os.replace(temporary, stamp)
