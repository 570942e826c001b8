"""A project with manifests of its own, an empty cache, and a server on the loopback address."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from medrepro.data import download


class Sets:
    """Writes manifests into the tiny project; `cache` is its empty cache folder, `own` a user's data folder."""

    def __init__(self, root: Path, cache: Path, own: Path) -> None:
        self.folder, self.cache, self.own = root / "data_manifests", cache, own

    def raw(self, name: str = "sample", content: bytes = b"1,2,3\n", **changes: Any) -> dict[str, Any]:
        file = {"path": "a.csv", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        file |= changes.pop("file", {})
        text = {"title": "A sample", "licence": "CC BY 4.0", "citation": "Nobody 2024", "units": "patient"}
        made = {"name": name, "access": "open", "obtain": "ask the authors", **text, "files": [file]}
        return {k: v for k, v in {**made, **changes}.items() if v is not None}

    def write(self, raw: dict[str, Any], stem: str | None = None) -> str:
        (self.folder / f"{stem or raw['name']}.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
        return str(raw["name"])

    def left_behind(self) -> list[str]:
        """Files in the cache apart from locks, which are empty and stay."""
        return [str(p.relative_to(self.cache)) for p in self.cache.rglob("*") if p.is_file() and p.suffix != ".lock"]


@pytest.fixture
def sets(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sets:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("MEDREPRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MEDREPRO_DATA", raising=False)
    monkeypatch.setattr(download, "PAUSE_S", 0.01)
    monkeypatch.setattr(download, "_CHUNK", 100)  # what arrived before a line breaks is written in such pieces
    return Sets(tiny.root, tmp_path / "cache", own)


class Server:
    """Answers each request with the next of `answers`, the last one again and again; keeps what was asked.

    An answer: {"status", "body", "type", "length" (announced), "send" (bytes really sent), "range" (honour Range),
    "stall" (wait for an event), "location" (of a redirect)}.
    """

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.ranges: list[str | None] = []
        self.release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self) -> None:
                answer = outer.answers[min(len(outer.ranges), len(outer.answers) - 1)]
                asked = self.headers.get("Range")
                outer.ranges.append(asked)
                body, status, start = answer.get("body", b""), answer.get("status", 200), 0
                if asked and answer.get("range"):
                    start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
                self.send_response(status)
                self.send_header("Content-Type", answer.get("type", "application/octet-stream"))
                if answer.get("length", True):
                    self.send_header("Content-Length", str(answer.get("length_is", len(body) - start)))
                if "location" in answer:
                    self.send_header("Location", answer["location"])
                if status == 206:
                    self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                self.end_headers()
                self.wfile.write(body[start : answer.get("send", len(body))])
                self.wfile.flush()
                if answer.get("stall"):
                    outer.release.wait(20)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/a.csv"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    yield running
    running.close()
