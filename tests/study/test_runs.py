"""Runs: cached by what they depend on, atomic, and clean after every fault."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from helpers import tiny_cells
from medrepro import cli
from medrepro.study.store import RunStore


def medrepro(*words: str, capsys) -> tuple[int, str, str]:
    """One command in this process: exit code, standard output, standard error."""
    try:
        code = cli.main([*words])
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def run_json(*words: str, capsys):
    code, out, err = medrepro("run", "01_tiny", "--json", "--quiet", *words, capsys=capsys)
    assert code == 0, err
    return json.loads(out)


def leftovers(runs: Path) -> list[str]:
    """Anything half-made: working folders and partial files."""
    return [path.name for path in runs.rglob("*") if path.name.startswith((".tmp", ".part"))]


def test_a_run_is_stored_and_reused_until_something_it_depends_on_changes(tiny, capsys):
    first = run_json(capsys=capsys)
    assert first["executed"]
    assert [v["status"] for v in first["verdicts"]] == ["holds", "not testable"]
    assert not run_json(capsys=capsys)["executed"]
    assert run_json("-p", "n=60", capsys=capsys)["executed"]
    assert run_json("-p", "seed=1", capsys=capsys)["executed"]
    assert not run_json("-p", "n=60", capsys=capsys)["executed"]
    assert run_json("--force", capsys=capsys)["executed"]
    assert leftovers(tiny.runs) == []


def test_equal_seeds_give_equal_estimates(tiny, capsys):
    one = run_json(capsys=capsys)["verdicts"][0]["parts"]
    assert run_json("--force", capsys=capsys)["verdicts"][0]["parts"] == one


def test_an_edited_criterion_executes_nothing_and_changes_the_verdict(tiny, capsys):
    run_json(capsys=capsys)
    tiny.edit_card("bound: 0.0", "bound: 5.0")
    again = run_json(capsys=capsys)
    assert not again["executed"]
    assert again["verdicts"][0]["status"] == "fails"


def test_edited_prose_executes_nothing_and_edited_code_executes(tiny, capsys):
    run_json(capsys=capsys)
    cells = tiny_cells()
    cells[0] = ("markdown", "# Another title")
    tiny.write(cells)
    assert not run_json(capsys=capsys)["executed"]
    tiny.write(tiny_cells(extra="x = x + 0.0"))
    assert run_json(capsys=capsys)["executed"]


def test_the_lock_is_part_of_the_key_and_why_says_so(tiny, capsys):
    run_json(capsys=capsys)
    assert "nothing changed" in medrepro("why", "01_tiny", capsys=capsys)[1]
    (tiny.root / "requirements.lock").write_text("numpy==1\n")
    assert "lock changed" in medrepro("why", "01_tiny", capsys=capsys)[1]
    assert "parameter n: 50 -> 70" in medrepro("why", "01_tiny", "-p", "n=70", capsys=capsys)[1]
    tiny.write(tiny_cells(extra="pass"))
    assert "cell" in medrepro("why", "01_tiny", capsys=capsys)[1]


def test_the_opposite_planted_in_the_data_fails(tiny, capsys):
    assert run_json("-p", "effect=-1", capsys=capsys)["verdicts"][0]["status"] == "fails"


def test_infinity_null_lists_and_booleans_reach_the_notebook(tiny, capsys):
    tiny.write(
        tiny_cells(
            extra="assert p.effect == float('inf') and p.cap is None and p.arms == ('b',) and p.verbose\nx = x * 0"
        )
    )
    found = run_json("-p", "effect=inf", "-p", "cap=null", "-p", 'arms=["b"]', "-p", "verbose=true", capsys=capsys)
    assert found["verdicts"][0]["status"] == "undecided"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "01_tny"], "did you mean '01_tiny'"),
        (["show", "nothing_like_it"], "unknown study 'nothing_like_it'; known: 01_tiny"),
        (["run", "01_tiny", "-p", "m=3"], "unknown parameter 'm'"),
        (["run", "01_tiny", "-p", "n=1"], "n = '1': allowed is int from 2 to 1000"),
        (["run", "01_tiny", "-p", "effect=nan"], "effect = 'nan'"),
        (["run", "01_tiny", "--preset", "ral"], "did you mean 'real'"),
        (["run", "01_tiny", "--preset", "real", "-p", "preset=open"], "preset is given twice"),
        (["run", "01_tiny", "-f", "absent.yaml"], "no such parameter file"),
        (["run", "01_tiny", "--time-limit", "0"], "must be a whole number above 0"),
        (["sweep", "01_tiny", "-p", "n=2;x"], "n = 'x'"),
        (["compare", "01_tiny"], "at least two runs"),
        (["compare", "01_tiny/aaaa", "01_tiny/bbbb"], "no run '01_tiny/aaaa'"),
        (["read", "absent.ipynb"], "no such notebook"),
        (["brew"], "invalid choice"),
        ([], "required"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line_and_exit_code_2_before_any_kernel_starts(tiny, capsys, words, message):
    code, out, err = medrepro(*words, capsys=capsys)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert not list(tiny.runs.rglob("executed.ipynb"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("embedded: 50", "embedded: 51", "n = 50, but the card's embedded value is 51"),
        ("name: effect", "name: effects", "unknown parameter 'effect'; did you mean 'effects'"),
        (
            "  - {name: verbose",
            "  - {name: api_key, type: str, embedded: x}\n  - {name: verbose",
            "looks like a secret",
        ),
    ],
)
def test_a_card_that_contradicts_its_notebook_is_refused(tiny, capsys, old, new, message):
    tiny.edit_card(old, new)
    code, _, err = medrepro("run", "01_tiny", capsys=capsys)
    assert code == 2
    assert message in err


def test_a_notebook_with_stored_outputs_is_refused(tiny, capsys):
    raw = json.loads(tiny.notebook.read_text())
    raw["cells"][1]["execution_count"] = 1
    tiny.notebook.write_text(json.dumps(raw))
    code, _, err = medrepro("run", "01_tiny", capsys=capsys)
    assert code == 2
    assert "outputs are stored" in err


def test_a_failing_cell_ends_with_code_3_names_cell_and_error_and_is_no_cache_entry(tiny, capsys):
    tiny.write(tiny_cells(extra="raise RuntimeError('boom')"))
    code, _, err = medrepro("run", "01_tiny", "--quiet", capsys=capsys)
    assert code == 3
    assert "RuntimeError: boom" in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert RunStore(tiny.runs).all("01_tiny") == []
    assert RunStore(tiny.runs).failed("01_tiny").info["error_name"] == "RuntimeError"
    tiny.write(tiny_cells())
    run_json(capsys=capsys)
    assert RunStore(tiny.runs).failed("01_tiny") is None


@pytest.mark.parametrize(
    ("code_line", "words", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", [], "the kernel died in cell"),
        ("import time; time.sleep(60)", ["--time-limit", "4"], "its limit is 4 s"),
        ("block = np.ones(int(2.5e8)); import time; time.sleep(60)", ["--memory-limit", "1"], "its limit is 1 GiB"),
        ("ledger.table = lambda: None", [], "displayed no verdict table"),
    ],
)
def test_a_kernel_that_dies_or_exceeds_its_limits_is_one_line_and_leaves_no_process(
    tiny, capsys, code_line, words, message
):
    tiny.write(tiny_cells(extra=code_line))
    code, _, err = medrepro("run", "01_tiny", "--quiet", *words, capsys=capsys)
    assert code == 3
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert leftovers(tiny.runs) == []
    time.sleep(0.5)
    assert kernels_of(tiny) == []


def kernels_of(tiny) -> list[psutil.Process]:
    """Workers and kernels that still run in this project."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and str(tiny.root) in process.cwd() + " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(("signal_sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_run_leaves_nothing_and_a_rerun_is_clean(tiny, capsys, signal_sent, code):
    tiny.write(tiny_cells(extra="import pathlib, time\npathlib.Path('started').touch()\ntime.sleep(p.effect)"))
    command = [sys.executable, "-m", "medrepro.cli", "run", "01_tiny", "-p", "effect=60"]
    process = subprocess.Popen(command, env=tiny.environment, stderr=subprocess.PIPE, text=True, cwd=tiny.root)
    deadline = time.monotonic() + 60
    while not list(tiny.runs.rglob("started")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal_sent)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in err
    deadline = time.monotonic() + 10
    while kernels_of(tiny) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert kernels_of(tiny) == []
    assert RunStore(tiny.runs).all("01_tiny") == []
    if signal_sent == signal.SIGINT:
        assert leftovers(tiny.runs) == []
    tiny.write(tiny_cells())
    assert run_json("-p", "effect=60", capsys=capsys)["executed"]


def test_the_rest_of_a_killed_run_is_removed_by_the_next_one_with_its_key(tiny, capsys):
    key = run_json(capsys=capsys)["run"].rpartition("/")[2]
    rest = tiny.runs / "01_tiny" / f".tmp-{key}-0123"
    rest.mkdir()
    (rest / "executed.ipynb").write_text("{")
    run_json("--force", capsys=capsys)
    assert leftovers(tiny.runs) == []


def test_two_identical_runs_started_at_once_execute_once(tiny):
    tiny.write(tiny_cells(extra="import time\ntime.sleep(2)"))
    command = [sys.executable, "-m", "medrepro.cli", "run", "01_tiny", "--json", "--quiet"]
    started = [subprocess.Popen(command, env=tiny.environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [json.loads(process.communicate(timeout=90)[0]) for process in started]
    assert sorted(answer["executed"] for answer in answers) == [False, True]
    assert answers[0]["run"] == answers[1]["run"]


@pytest.mark.parametrize("damage", ["older format", "half a json", "altered notebook", "missing notebook"])
def test_a_damaged_or_older_entry_is_never_used(tiny, capsys, damage):
    folder = Path(run_json(capsys=capsys)["run"])
    info = folder / "run.json"
    if damage == "older format":
        info.write_text(json.dumps({**json.loads(info.read_text()), "format": 0}))
    elif damage == "half a json":
        info.write_text(info.read_text()[:100])
    elif damage == "altered notebook":
        (folder / "executed.ipynb").write_text((folder / "executed.ipynb").read_text() + " ")
    else:
        (folder / "executed.ipynb").unlink()
    assert RunStore(tiny.runs).all("01_tiny") == []
    assert run_json(capsys=capsys)["executed"]
    assert not run_json(capsys=capsys)["executed"]
    if damage == "older format":
        info.write_text(json.dumps({**json.loads(info.read_text()), "format": 0}))
        code, _, err = medrepro("compare", str(folder), str(folder), capsys=capsys)
        assert code == 2
        assert "older version" in err


def test_an_unwritable_folder_of_runs_is_one_line(tiny, capsys):
    (tiny.root / "file").write_text("")
    code, _, err = medrepro("run", "01_tiny", "--quiet", "--runs", str(tiny.root / "file" / "runs"), capsys=capsys)
    assert code == 2
    assert "cannot write runs here" in err
    assert len(err.strip().splitlines()) == 1


def test_a_full_disk_leaves_no_entry(tiny, capsys, monkeypatch):
    real = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, _, err = medrepro("run", "01_tiny", "--quiet", capsys=capsys)
    assert code == 3
    assert "No space left on device" in err
    assert leftovers(tiny.runs) == []
    monkeypatch.setattr(os, "fsync", real)
    assert run_json(capsys=capsys)["executed"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_run_that_fills_the_disk_ends_with_one_line_and_spoils_nothing(tiny, small_disk, capsys):
    words = ["run", "01_tiny", "--quiet", "--json", "--runs", str(small_disk)]
    first = json.loads(medrepro(*words, capsys=capsys)[1])["run"]
    tiny.write(tiny_cells(extra="print('x' * 1_000_000)"))
    code, _, err = medrepro(*words, capsys=capsys)
    assert code == 3
    assert "No space left on device" in err
    assert len(err.strip().splitlines()) == 1
    assert leftovers(small_disk) == []
    assert [str(run.path) for run in RunStore(small_disk).all("01_tiny")] == [first]
    tiny.write(tiny_cells(extra="print('x')"))
    assert medrepro(*words, capsys=capsys)[0] == 0


def test_the_executed_notebook_names_no_path_of_this_machine(tiny, capsys):
    folder = Path(run_json(capsys=capsys)["run"])
    assert str(tiny.root) not in (folder / "executed.ipynb").read_text()


def test_compare_shows_what_moved(tiny, capsys):
    one = run_json(capsys=capsys)["run"]
    two = run_json("-p", "effect=-1", capsys=capsys)["run"]
    code, out, _ = medrepro("compare", one, two, capsys=capsys)
    assert code == 0
    assert re.search(r"effect: 1\.0\s+\|\s+-1\.0", out)
    assert re.search(r"\* C1\s+holds\s+\|\s+fails", out)
    as_json = json.loads(medrepro("compare", one, two, "--json", capsys=capsys)[1])
    assert as_json["parameters"] == {"effect": [1.0, -1.0]}
    assert [claim["moved"] for claim in as_json["claims"]] == [True, False]


def test_a_sweep_runs_each_point_and_a_failed_point_is_a_row(tiny, capsys):
    tiny.write(tiny_cells(extra="assert p.effect < 2, 'too large'"))
    code, out, _ = medrepro("sweep", "01_tiny", "-p", "effect=-1;1;3", "--quiet", capsys=capsys)
    assert code == 3
    lines = out.strip().splitlines()
    assert [re.search(r"C1 (\w+)|(too large)", line).group() for line in lines] == ["C1 fails", "C1 holds", "too large"]


def test_list_and_show_answer_without_importing_torch(tiny):
    script = "import sys; from medrepro import cli; cli.main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    for words in (["list"], ["show", "01_tiny"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *words], env=tiny.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "A tiny study" in done.stdout


MANIFEST = """\
name: tiny_table
title: A tiny table
access: open
licence: CC0
citation: none
obtain: ask the authors
units: case
files:
  - {path: table.csv, sha256: SHA, bytes: 4, user_path: tiny/table.csv}
"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "table.csv is missing"),
        (b"a,", "has 2 bytes, expected 4: truncated"),
        (b"a,c\n", "was altered"),
        (b"a,b\n", ""),
    ],
)
def test_data_that_are_missing_or_altered_end_with_code_4_before_a_kernel_starts(
    tiny, capsys, monkeypatch, content, message
):
    digest = hashlib.sha256(b"a,b\n").hexdigest()
    (tiny.root / "data_manifests" / "tiny_table.yaml").write_text(MANIFEST.replace("SHA", digest))
    tiny.edit_card("seeds_vary:", "data: {embedded: [tiny_table]}\nseeds_vary:")
    folder = tiny.root / "mine" / "tiny"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MEDREPRO_CACHE", str(tiny.root / "cache"))
    monkeypatch.setenv("MEDREPRO_DATA", "")  # restored after the test; --data sets it for the kernels
    if content is not None:
        (folder / "table.csv").write_bytes(content)
    words = ["run", "01_tiny", "--quiet", "--data", str(folder.parent)]
    code, _, err = medrepro(*words, capsys=capsys)
    assert code == (4 if message else 0)
    assert message in err
    assert len(err.strip().splitlines()) == (1 if message else 0)
    assert bool(list(tiny.runs.rglob("executed.ipynb"))) == (not message)


def test_a_data_folder_that_does_not_exist_and_an_unknown_data_set_are_one_line(tiny, capsys, monkeypatch):
    monkeypatch.setenv("MEDREPRO_DATA", "")
    code, _, err = medrepro("run", "01_tiny", "--quiet", "--data", "absent", capsys=capsys)
    assert code == 4
    assert "does not exist: absent" in err
    tiny.edit_card("seeds_vary:", "data: {embedded: [nothing]}\nseeds_vary:")
    code, _, err = medrepro("run", "01_tiny", "--quiet", capsys=capsys)
    assert code == 2
    assert "nothing" in err
