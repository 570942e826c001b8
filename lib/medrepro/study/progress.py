"""Progress of running chapters for people: one line that is rewritten on a terminal, few lines elsewhere."""

from __future__ import annotations

import threading
import time
from typing import TextIO

_EVERY_S = 15.0  # between lines where a line cannot be rewritten


class Reporter:
    """Called from the threads that run chapters; says chapter, cell, elapsed and expected time."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._lock = threading.Lock()
        self._states: dict[str, str] = {}
        self._last = 0.0
        self._width = 0

    def __call__(self, chapter: str, cell: int, of: int, elapsed_s: float, expected_s: float) -> None:
        where = f"cell {cell}/{of}" if of else "starting"
        with self._lock:
            self._states[chapter] = f"{chapter} {where} {_clock(elapsed_s)} of about {_clock(expected_s)}"
            if self._terminal:
                self._rewrite("  ·  ".join(self._states.values()))
            elif time.monotonic() - self._last > _EVERY_S:
                self._last = time.monotonic()
                print("  ·  ".join(self._states.values()), file=self._stream, flush=True)

    def done(self, chapter: str) -> None:
        """The chapter has ended: it is not shown any more."""
        with self._lock:
            self._states.pop(chapter, None)

    def close(self) -> None:
        """Leave the terminal on a fresh line."""
        if self._terminal and self._width:
            self._rewrite("")

    def _rewrite(self, line: str) -> None:
        print("\r" + line.ljust(self._width), end="" if line else "\r", file=self._stream, flush=True)
        self._width = len(line)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
