"""Processes that belong together on this machine: started quietly, ended together, leaving nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from .federated_apps import QUIET
from .reaper import kill_trees

HERE = "127.0.0.1"


class Processes:
    """Processes that end together: on leaving the block, and when this process is killed (see `reaper`).

    Their output goes to files in `folder`, which is theirs alone and is removed with them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        self.reaper = subprocess.Popen(
            [sys.executable, "-m", "medrepro.training.reaper", str(self.folder)],
            stdin=subprocess.PIPE,
            env={**os.environ, **quiet_environment(self.folder)},
            start_new_session=True,  # Ctrl-C in a terminal must not end it first
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self.reaper.stdin is not None
        self.reaper.stdin.close()
        kill_trees(process.pid for process in self.running.values())  # in case the reaper is gone itself
        for process in [*self.running.values(), self.reaper]:
            process.wait(timeout=30)

    def start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start one of Flower's commands of this environment."""
        program = Path(sys.executable).with_name(command[0])
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(
                [str(program), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **quiet_environment(self.folder)},
                cwd=self.folder,
                start_new_session=True,
            )
        self.running[name] = process
        assert self.reaper.stdin is not None
        self.reaper.stdin.write(f"{process.pid}\n".encode())
        self.reaper.stdin.flush()
        return process

    def finish(self, name: str, command: Sequence[str], deadline: float) -> None:
        """Start a command and wait for its end; RuntimeError when it fails."""
        process = self.start(name, command)
        while process.poll() is None:
            self.check(deadline)
            time.sleep(0.05)
        del self.running[name]
        if process.returncode != 0:
            raise RuntimeError(f"{name} ended with code {process.returncode}: {self.tail(name)}")

    def wait_for_port(self, port: int, deadline: float) -> None:
        """Wait until something listens there."""
        while True:
            with socket.socket() as trial:
                if trial.connect_ex((HERE, port)) == 0:
                    return
            self.check(deadline)
            time.sleep(0.05)

    def check(self, deadline: float) -> None:
        """Raise when a process has ended, a site or the server reported an error, or time is up."""
        for name, process in self.running.items():
            if process.poll() not in (None, 0) or (process.returncode == 0 and name != "submit"):
                raise RuntimeError(f"{name} ended with code {process.returncode}: {self.tail(name)}")
        error = self.folder / "out" / "error.txt"
        if error.exists():
            raise RuntimeError(error.read_text(encoding="utf-8"))
        if time.monotonic() > deadline:
            raise TimeoutError(f"no model in time; the server's log ends with: {self.tail('server')}")

    def tail(self, name: str, n: int = 2000) -> str:
        """The end of a process's output."""
        return self._log(name).read_text(encoding="utf-8", errors="replace")[-n:].strip()

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


def free_ports(n: int) -> list[int]:
    """Ports of the loopback device that nobody listens on now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind((HERE, 0))
        return [each.getsockname()[1] for each in sockets]


def quiet_environment(folder: Path) -> dict[str, str]:
    """Environment of the processes: quiet, one thread, nothing in the user's home, loopback past any proxy."""
    package = str(Path(__file__).resolve().parents[2])
    programs = str(Path(sys.executable).parent)  # Flower starts its own commands by name
    earlier = os.environ.get("PYTHONPATH", "")
    direct = ",".join(filter(None, [os.environ.get("no_proxy", ""), HERE, "localhost"]))
    return {
        **QUIET,
        "FLWR_HOME": str(folder / "home"),
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the default warns of its own change
        "OMP_NUM_THREADS": "1",
        "PATH": os.pathsep.join([programs, os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(filter(None, [package, earlier])),
        "no_proxy": direct,
        "NO_PROXY": direct,
    }
