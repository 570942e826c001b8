"""`medrepro data`: what each command prints, as text and as JSON, its exit code, and that it starts at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from medrepro import cli, data_cli
from medrepro.data import download

CONTENT = b"1,2,3\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


class Answer:
    """What a command printed and its exit code."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def faults(self):
        """Lines on standard error, each of which must be one line of ours."""
        lines = self.err.splitlines()
        assert not [line for line in lines if not line.startswith("medrepro")], f"more than our lines: {self.err}"
        return lines


@pytest.fixture
def say(capsys):
    """Run `medrepro data ...` in this process, without a data folder but that of --data."""

    def run(*words):
        with pytest.MonkeyPatch.context() as patch:  # --data sets the variable for the rest of a process
            patch.setenv("MEDREPRO_DATA", "")
            try:
                code = cli.main(["data", *map(str, words)])
            except SystemExit as stop:  # argparse
                code = stop.code
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture
def four(sets, server):
    """alpha: fetched from the loopback server; beta: in the user's folder; gamma: private cohort; delta: a model."""
    server.answers = [{"body": CONTENT}]
    sets.write(sets.raw("alpha", CONTENT, file={"sources": [{"url": server.url}]}, used_by=["01_tiny"]))
    sets.write(sets.raw("beta", CONTENT, used_by=["01_tiny", "02_other"], traps=["read with care"], since=2020))
    rules = {"labels": {"edema": [0, 1]}, "studies": {"02_other": ["edema"]}}
    cohort = {"files": None, "folder": "gamma", "layout": "PNG", "table": rules, "used_by": ["02_other"]}
    sets.write(sets.raw("gamma", access="private", **cohort))
    sets.write(sets.raw("delta", access="registration", kind="model", used_by=["roc"]))
    (sets.own / "beta").mkdir()
    (sets.own / "beta" / "a.csv").write_bytes(CONTENT)
    return sets


def listed(answer):
    return {entry["name"]: entry["state"] for entry in answer.json["sets"]}


# list


def test_list_shows_every_set_with_its_state(four, say):
    answer = say("list", "--json", "--data", four.own)
    assert answer.code == 0
    assert listed(answer) == {"alpha": "fetched", "beta": "here", "gamma": "absent", "delta": "absent"}
    text = say("list", "--data", four.own).out
    assert "beta" in text
    assert "on this machine" in text
    assert text.splitlines()[-1] == "4 of 4 data sets and models"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--study", "01_tiny"], ["alpha", "beta"]),
        (["--study", "02"], ["beta", "gamma"]),
        (["--access", "private"], ["gamma"]),
        (["--kind", "model"], ["delta"]),
        (["--study", "02", "--access", "open"], ["beta"]),
        (["--have"], ["beta"]),
    ],
)
def test_list_is_filtered(four, say, words, found):
    assert sorted(listed(say("list", "--json", "--data", four.own, *words))) == found


def test_list_have_says_which_presets_of_a_chapter_can_run(four, say, tiny):
    tiny.edit_card("seeds_vary:", "data: {embedded: [], real: [alpha, beta], paper: [gamma]}\nseeds_vary:")
    answer = say("list", "--have", "--json", "--data", four.own)
    assert answer.json["chapters"] == {"01_tiny": {"embedded": [], "real": [], "paper": ["gamma"]}}
    line = say("list", "--have", "--data", four.own).out.splitlines()[-1]
    assert line.split(maxsplit=1) == ["01_tiny", "embedded: ready; real: ready; paper: needs gamma"]
    without = say("list", "--have", "--json").json["chapters"]["01_tiny"]
    assert without["real"] == ["beta"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--study", "01_tinny"], "no data set names study '01_tinny'; did you mean '01_tiny'"),
        (["--access", "privat"], "unknown access class 'privat'; did you mean 'private'"),
        (["--kind", "modell"], "unknown kind 'modell'; did you mean 'model'"),
    ],
)
def test_a_filter_that_is_misspelt_is_answered_with_the_nearest_right_one(four, say, words, said):
    answer = say("list", *words)
    assert answer.code == 2
    assert said in answer.faults[0]


# show


def test_show_prints_what_the_manifest_says(four, say):
    text = say("show", "beta", "--data", four.own).out
    for fact in ("A sample", "CC BY 4.0", "Nobody 2024", "ask the authors", "patient", "read with care", "2020"):
        assert fact in text
    assert "6 bytes, SHA256 " in text
    assert "01_tiny, 02_other" in text
    facts = say("show", "beta", "--json", "--data", four.own).json
    assert (facts["name"], facts["access"], facts["state"]) == ("beta", "open", "on this machine")
    assert facts["files"][0]["bytes"] == len(CONTENT)


def test_show_says_what_a_table_of_a_cohort_must_hold(four, say):
    text = say("show", "gamma").out
    assert "columns path, patient_id, split (train, val, test)" in text
    assert "edema: 0, 1" in text
    assert "needs edema" in text


@pytest.mark.parametrize("command", ["show", "where", "fetch", "verify"])
def test_an_unknown_name_is_answered_with_the_nearest_right_one(four, say, command):
    answer = say(command, "bta")
    assert answer.code == 2
    assert answer.faults == ["medrepro: unknown data set 'bta'; did you mean 'beta'?"]
    assert answer.out == ""


def test_an_unknown_name_in_import_is_answered_with_the_nearest_right_one(four, say):
    answer = say("import", "bta", four.own)
    assert (answer.code, answer.faults) == (2, ["medrepro: unknown data set 'bta'; did you mean 'beta'?"])


# fetch


def test_fetch_prints_the_paths_of_verified_files(four, say):
    answer = say("fetch", "alpha", "beta", "--data", four.own, "--quiet")
    paths = [four.cache / "data" / "alpha" / "a.csv", four.own / "beta" / "a.csv"]
    assert (answer.code, answer.out.split(), answer.faults) == (0, [str(p) for p in paths], [])
    assert [p.read_bytes() for p in paths] == [CONTENT, CONTENT]
    again = say("fetch", "alpha", "--json")
    assert again.json == {"files": {"alpha": {"a.csv": str(paths[0])}}, "faults": []}


def test_fetch_goes_on_after_a_set_that_must_be_asked_for(four, say):
    answer = say("fetch", "beta", "gamma", "alpha")
    assert answer.code == 4
    assert answer.out.split() == [str(four.cache / "data" / "alpha" / "a.csv")]
    assert [line.split(":")[1].strip() for line in answer.faults] == ["beta", "gamma"]
    assert all("to obtain it: ask the authors" in line for line in answer.faults)
    faults = say("fetch", "beta", "--json").json["faults"]
    assert len(faults) == 1
    assert "beta: a.csv is missing" in faults[0]


def test_fetch_asks_no_server_when_one_of_the_names_is_wrong(four, say, server):
    assert say("fetch", "alpha", "bta").code == 2
    assert server.ranges == []


def test_fetch_without_a_network_says_so_in_one_line_and_soon(four, say, server):
    server.close()
    started = time.monotonic()
    answer = say("fetch", "alpha")
    assert time.monotonic() - started < 5
    assert answer.code == 4
    assert len(answer.faults) == 1
    assert f"no connection (ConnectionError) ({download.ATTEMPTS} attempts)" in answer.faults[0]
    assert "ask the authors" in answer.faults[0]
    assert four.left_behind() == []


def test_a_wrong_copy_in_the_users_folder_is_refused(four, say):
    (four.own / "beta" / "a.csv").write_bytes(b"9,9,9\n")
    answer = say("fetch", "beta", "--data", four.own)
    assert answer.code == 4
    assert "your copy" in answer.faults[0]
    assert "was altered: SHA256" in answer.faults[0]


def test_progress_is_one_renewed_line_on_a_terminal_and_nothing_elsewhere(monkeypatch, capsys):
    progress = data_cli._Progress()
    progress("a.csv", 5, 10)
    progress.close()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress("a.bin", 50_000_000, 100_000_000)
    progress("a.bin", 50_100_000, 100_000_000)  # too soon after the first
    progress("a.bin", 100_000_000, 100_000_000)
    progress.close()
    assert capsys.readouterr().err == "\ra.bin: 50.0 MB of 100 MB (50 %)\ra.bin: 100 MB of 100 MB (100 %)\n"


# verify and where


def test_verify_hashes_what_is_here_and_counts_a_named_set_that_is_not_as_a_fault(four, say):
    answer = say("verify", "--data", four.own)
    assert (answer.code, answer.out) == (0, f"beta: a.csv: verified: {four.own / 'beta' / 'a.csv'}\n")
    answer = say("verify", "alpha", "--data", four.own)
    assert (answer.code, answer.faults) == (4, ["medrepro: alpha: a.csv: is not on this machine"])


def test_verify_names_a_file_that_was_altered(four, say):
    (four.own / "beta" / "a.csv").write_bytes(b"9,9,9\n")
    answer = say("verify", "--data", four.own)
    assert answer.code == 4
    assert "was altered: SHA256" in answer.faults[0]
    answer = say("verify", "--json", "--data", four.own)
    assert answer.code == 4
    assert "was altered" in answer.json["states"]["beta"]["a.csv"]
    assert len(answer.json["faults"]) == 1


def test_verify_on_an_empty_machine_says_so(four, say):
    assert say("verify").out == "no data set is on this machine\n"
    assert say("verify", "--json").json == {"states": {}, "faults": []}


def test_where_prints_paths_and_fetches_nothing(four, say, server):
    answer = say("where", "beta", "--data", four.own)
    assert (answer.code, answer.out) == (0, f"{four.own / 'beta' / 'a.csv'}\n")
    answer = say("where", "alpha")
    assert (answer.code, answer.out) == (4, "")
    assert answer.faults == ["medrepro: alpha: a.csv is not on this machine; to obtain it: ask the authors"]
    answer = say("where", "alpha", "--json")
    assert (answer.code, answer.json) == (4, {"a.csv": None})
    assert server.ranges == []


# import


def test_import_takes_a_file_from_a_folder_into_the_cache(four, say, tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "a.csv").write_bytes(CONTENT)
    answer = say("import", "beta", tmp_path / "downloads")
    stored = four.cache / "data" / "beta" / "a.csv"
    assert (answer.code, answer.out.split()) == (0, [str(stored)])
    assert stored.read_bytes() == CONTENT
    assert say("import", "beta", tmp_path / "downloads", "--json").json == {"files": [str(stored)]}


def test_import_refuses_another_file_and_leaves_nothing(four, say, tmp_path):
    (tmp_path / "a.csv").write_bytes(b"9,9,9\n")
    answer = say("import", "beta", tmp_path / "a.csv")
    assert answer.code == 4
    assert "was altered" in answer.faults[0]
    answer = say("import", "beta", tmp_path / "none")
    assert answer.code == 4
    assert "none of its files is in" in answer.faults[0]
    assert four.left_behind() == []


@pytest.fixture
def cohort(four, tmp_path):
    """A function that writes a table of three films of gamma; cells: of its second row."""
    (four.own / "gamma").mkdir()
    for film in "abc":
        (four.own / "gamma" / f"{film}.png").write_bytes(PNG)

    def write(second="b.png,p2,val,1"):
        path = tmp_path / "table.csv"
        path.write_text(f"path,patient_id,split,edema\na.png,p1,train,0\n{second}\nc.png,p3,test,1\n")
        return path

    return write


def test_import_stores_a_table_without_problems(four, cohort, say):
    answer = say("import", "gamma", cohort(), "--data", four.own, "--study", "02_other")
    stored = four.own / "cohort_tables" / "gamma.csv"
    assert answer.code == 0
    assert answer.out.splitlines() == [
        f"stored: {stored}",
        "3 rows of 3 patients: train < 10, val < 10, test < 10",
        "labels are complete for: 02_other",
    ]
    facts = say("import", "gamma", cohort(), "--data", four.own, "--json").json
    assert facts["stored"] == str(stored)
    assert (facts["rows"], facts["patients"], facts["studies"], facts["problems"]) == (3, 3, ["02_other"], [])


def test_import_lists_every_problem_of_a_table_by_row(four, cohort, say):
    answer = say("import", "gamma", cohort("lost.png,p1,val,2"), "--data", four.own)
    assert answer.code == 4
    assert answer.out.splitlines() == [
        "rows 2-3: patient_id: is one patient on two sides of the split",
        "row 3: edema: must be one of 0, 1",
        "row 3: path: does not exist",
    ]
    assert answer.faults == ["medrepro: gamma: 3 problems: nothing was imported"]
    assert not (four.own / "cohort_tables").exists()
    answer = say("import", "gamma", cohort("b.png,p2,val,2"), "--data", four.own, "--json")
    assert (answer.code, answer.json["stored"]) == (4, None)
    assert answer.json["problems"] == [{"rows": [3], "column": "edema", "problem": "must be one of 0, 1"}]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["gamma", "{table}"], 4, "gamma: no data folder is set (MEDREPRO_DATA or --data)"),
        (["gamma", "{table}x", "--data", "{own}"], 4, "cannot be read: No such file"),
        (["gamma", "{table}", "--data", "{own}", "--study", "2_other"], 2, "did you mean '02_other'"),
        (["beta", "{table}", "--study", "01_tiny"], 2, "--study is for tables of cohorts"),
        (["gamma", "{table}", "--data", "{own}x"], 4, "the data folder does not exist"),
        (["gamma"], 2, "SOURCE"),
    ],
)
def test_a_wrong_import_is_one_line(four, cohort, say, words, code, said):
    answer = say("import", *[word.format(table=cohort(), own=four.own) for word in words])
    assert answer.code == code
    assert len(answer.faults) == 1
    assert said in answer.faults[0]


@pytest.mark.parametrize("words", [["lst"], ["list", "--hav3"], []])
def test_a_wrong_command_or_option_is_one_line(say, words):
    answer = say(*words)
    assert (answer.code, len(answer.faults), answer.out) == (2, 1, "")


# start


@pytest.mark.parametrize("words", [["list"], ["list", "--have"], ["show", "busi"], ["where", "busi"], ["verify"]])
def test_no_command_imports_torch_and_each_is_there_within_a_second(words, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDREPRO_CACHE", str(tmp_path))
    monkeypatch.delenv("MEDREPRO_DATA", raising=False)
    script = (
        "import sys, time; from medrepro.cli import main; code = main(['data', *sys.argv[1:]]); "
        "heavy = {'torch', 'pandas', 'matplotlib', 'requests'} & set(sys.modules); "
        "print(code, sorted(heavy), time.process_time(), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    code, heavy, seconds = done.stderr.splitlines()[-1].split(" ", 2)
    assert code == ("4" if words[0] == "where" else "0")
    assert heavy == "[]"
    assert float(seconds) < 1.0  # processor time: a busy machine is no fault of ours
