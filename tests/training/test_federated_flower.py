"""Flower carries the same training: in its simulation, and between processes on the loopback device."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from medrepro.training.federated import average, federate, federate_all, first_state, train_locally
from medrepro.training.processes import Processes, free_ports
from medrepro.training.reaper import kill_trees
from tabular_sites import make_sites, recipe

needs_flower = pytest.mark.skipif(
    find_spec("flwr") is None or find_spec("ray") is None,
    reason="Flower is not installed: pip install 'flwr[simulation]==1.35.*'",
)


def same(a, b) -> bool:
    """Bit for bit: weights of the best and of the last round, and the course."""
    states = all(torch.equal(getattr(a, s)[k], getattr(b, s)[k]) for s in ("state", "final") for k in a.state)
    course = np.array_equal(a.val_loss, b.val_loss) and np.array_equal(a.drift, b.drift)
    return states and course and (a.sites, a.round, dict(a.steps)) == (b.sites, b.round, dict(b.steps))


@pytest.fixture(scope="module")
def three():
    return make_sites([30, 50, 70], n_val=20, n_test=4)


@needs_flower
def test_one_simulation_gives_the_weights_of_the_plain_loop_for_every_job(three):
    """Other sites, fewer sites, another order and another recipe; the third diverges, as in the loop."""
    from medrepro.training.federated_run import simulate_all

    jobs = [
        (three, recipe()),
        (three[:0:-1], recipe(seed=1, aggregation="equal")),
        (three, recipe(optimiser="sgd", lr=1e38, weight_decay=1.0)),
        (three[1:2], recipe(rounds=1)),
    ]
    found, wanted = simulate_all(jobs, timeout_s=120), federate_all(jobs)
    assert [one is None for one in found] == [one is None for one in wanted] == [False, False, True, False]
    assert all(same(a, b) for a, b in zip(found, wanted, strict=True) if a is not None)


@needs_flower
def test_one_server_and_three_sites_as_processes_give_the_weights_of_the_plain_loop(three):
    from medrepro.training.federated_run import run_processes

    before = {process.pid for process in psutil.process_iter()}
    r = recipe(rounds=2, aggregation="equal")
    assert same(run_processes(three[::-1], r, timeout_s=240), federate(three, r))
    left = [p for p in psutil.process_iter() if p.pid not in before and "flower-" in " ".join(p.cmdline())]
    assert left == []


@needs_flower
def test_flowers_own_average_is_ours_to_single_precision(three):
    from medrepro.training.federated_apps import import_flower

    import_flower()
    from flwr.app import ArrayRecord, MetricRecord, RecordDict
    from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords

    updates = {s.name: train_locally(recipe(), s.name, s.train, first_state(recipe()), 1) for s in three}
    records = [
        RecordDict({"arrays": ArrayRecord(u.state), "metrics": MetricRecord({"weight": u.weight})})
        for u in updates.values()
    ]
    theirs = aggregate_arrayrecords(records, "weight").to_torch_state_dict()
    for key, value in average(updates).items():
        assert torch.allclose(theirs[key].to(value.dtype), value, rtol=0, atol=1e-6)


@needs_flower
def test_a_site_that_fails_ends_the_run_with_its_reason():
    """Flower itself would go on with the average of the others."""
    from medrepro.training.federated_apps import _contents, import_flower

    import_flower()
    from flwr.app import ConfigRecord, Error, Message, RecordDict

    asked = Message(content=RecordDict(), dst_node_id=1, message_type="train")
    asked.metadata.__dict__["_message_id"] = "1"
    answers = [
        Message(content=RecordDict({"config": ConfigRecord({"site": "a"})}), reply_to=asked),
        Message(Error(code=3, reason="Traceback ...\nValueError: no cases"), reply_to=asked),
    ]
    assert len(_contents(1, answers[:1])) == 1
    with pytest.raises(RuntimeError, match="a site failed in round 1: ValueError: no cases"):
        _contents(1, answers)


@needs_flower
def test_telemetry_is_off():
    from medrepro.training.federated_apps import import_flower

    import_flower()
    from flwr.supercore import telemetry

    assert telemetry.FLWR_TELEMETRY_ENABLED == "0"
    assert os.environ["FLWR_DISABLE_UPDATE_CHECK"] == "1"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_without_flower_the_message_says_what_to_install(monkeypatch):
    from medrepro.training.federated_apps import import_flower

    monkeypatch.setitem(sys.modules, "flwr", None)
    with pytest.raises(ImportError, match=r"pip install 'flwr\[simulation\]==1.35"):
        import_flower()


def test_free_ports_are_different_and_free():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(1024 <= port < 65536 for port in ports)


# A process with a child; neither ends by itself.
SLEEPER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
time.sleep(60)
"""


def _gone(pids: list[int], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids):
            return True
        time.sleep(0.05)
    return False


def _tree(pid: int, n: int) -> list[int]:
    """The process and its descendants, once there are n of them."""
    root = psutil.Process(pid)
    while len(found := [root, *root.children(recursive=True)]) < n:
        time.sleep(0.05)
    return [process.pid for process in found]


def test_killing_a_tree_ends_children_and_forgives_what_is_gone():
    parent = subprocess.Popen([sys.executable, "-c", SLEEPER])
    pids = _tree(parent.pid, 2)
    kill_trees([parent.pid, 2**22 + 1])
    parent.wait(timeout=5)
    assert _gone(pids)


def test_processes_end_with_the_block_also_on_an_error(tmp_path):
    pids: list[int] = []

    def fail_inside() -> None:
        with Processes(tmp_path) as group:
            pids.extend(_tree(group.start("sleeper", [Path(sys.executable).name, "-c", SLEEPER]).pid, 2))
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert len(pids) == 2
    assert _gone(pids)
    assert not tmp_path.exists()


def test_processes_end_when_whoever_started_them_is_killed(tmp_path):
    starter = f"""
import sys, time
from pathlib import Path
from medrepro.training.processes import Processes
with Processes(Path({str(tmp_path)!r})) as group:
    print(group.start("sleeper", [Path(sys.executable).name, "-c", {SLEEPER!r}]).pid, flush=True)
    time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = _tree(int(parent.stdout.readline()), 2)
    parent.send_signal(signal.SIGKILL)
    parent.wait(timeout=5)
    assert _gone(pids)
    deadline = time.monotonic() + 10
    while tmp_path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not tmp_path.exists()


def test_a_process_that_ends_early_and_a_deadline_are_errors_with_the_log(tmp_path):
    program = Path(sys.executable).name
    with Processes(tmp_path) as group:
        group.start("server", [program, "-c", "print('port is taken'); raise SystemExit(3)"]).wait(timeout=10)
        with pytest.raises(RuntimeError, match="server ended with code 3: port is taken"):
            group.check(time.monotonic() + 10)
    tmp_path.mkdir()
    with Processes(tmp_path) as group:
        group.start("server", [program, "-c", "import time; print('waiting', flush=True); time.sleep(60)"])
        with pytest.raises(TimeoutError, match="no model in time"):
            group.wait_for_port(free_ports(1)[0], time.monotonic() + 0.5)


def test_a_failed_submission_is_an_error_with_its_output(tmp_path):
    with Processes(tmp_path) as group, pytest.raises(RuntimeError, match="submit ended with code 2: no such app"):
        group.finish("submit", [Path(sys.executable).name, "-c", "print('no such app'); raise SystemExit(2)"],
                     time.monotonic() + 10)  # fmt: skip
