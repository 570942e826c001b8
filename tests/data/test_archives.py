"""Archives and weights made by others: what is unpacked or loaded, and what is refused with nothing left behind."""

from __future__ import annotations

import io
import os
import pickle
import stat
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medrepro.data import DataError, archives
from medrepro.data.archives import unpack
from medrepro.data.readers import read_arrays
from medrepro.data.weights import read_weights


def tar(path, members, mode="w:gz"):
    """members: (name, content) or (TarInfo, None)."""
    with tarfile.open(path, mode) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if content is not None:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if content is not None else None)
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def refused(archive, where, said, **options):
    """Unpacking fails with one line that says this, and the folder looks as before."""
    before = sorted(p.name for p in where.rglob("*"))
    with pytest.raises(DataError, match=said) as caught:
        unpack(archive, where / "out", **options)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in where.rglob("*")) == before


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz", "tar.xz"])
def test_an_archive_is_unpacked_with_its_folders(tmp_path, ending):
    archive = tmp_path / f"a.{ending}"
    content = {"deep/a.txt": b"one", "b.txt": b"two" * 1000, "deep/er/empty": b""}
    if ending == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
            for name, text in content.items():
                made.writestr(name, text)
            made.mkdir("hollow")
    else:
        folder = tarfile.TarInfo("hollow")
        folder.type = tarfile.DIRTYPE
        tar(archive, [*content.items(), (folder, None)], "w:" + ending.partition(".")[2])
    out = unpack(archive, tmp_path / "out")
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} == content
    assert (out / "hollow").is_dir()
    assert sorted(p.name for p in tmp_path.iterdir()) == [archive.name, "out"]


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "C:\\evil", "..\\evil", "C:/evil", ""])
def test_a_tar_member_outside_its_folder_is_refused(tmp_path, name):
    refused(tar(tmp_path / "a.tgz", [("good", b"1"), (name, b"2")]), tmp_path, "outside its folder")
    assert not (tmp_path.parent / "evil").exists()


def test_a_zip_member_outside_its_folder_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good", "1")
        archive.writestr("../evil", "2")
    refused(tmp_path / "a.zip", tmp_path, "'../evil' would land outside its folder")


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (special("link", tarfile.SYMTYPE, "/etc"), "'link' is a link"),
        (special("hard", tarfile.LNKTYPE, "good"), "'hard' is a link"),
        (special("pipe", tarfile.FIFOTYPE), "'pipe' is a device"),
        (special("disk", tarfile.BLKTYPE), "'disk' is a device"),
    ],
)
def test_links_and_devices_are_refused(tmp_path, member, said):
    refused(tar(tmp_path / "a.tar", [("good", b"1"), (member, None)], "w"), tmp_path, said)


def test_a_link_inside_a_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", tmp_path, "'link' is a link")


def test_a_zip_bomb_is_refused_before_a_byte_is_written(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(5 * 2**20))
    refused(tmp_path / "a.zip", tmp_path, "refused as a bomb", bytes_at_most=2**20)


def test_the_limit_follows_the_size_of_the_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_SMALL", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**20))
    refused(tmp_path / "a.zip", tmp_path, "refused as a bomb")


def test_a_bomb_that_understates_its_size_is_stopped_while_it_is_written(tmp_path):
    """The header says 10 bytes, the stream holds 4 MiB."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(4 * 2**20))
    raw = path.read_bytes().replace((4 * 2**20).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(raw)
    refused(path, tmp_path, "cannot be unpacked|refused as a bomb", bytes_at_most=2**20)


def test_a_member_that_comes_twice_is_refused(tmp_path):
    refused(tar(tmp_path / "a.tgz", [("x/a", b"1"), ("x/A", b"2")]), tmp_path, "'x/A' comes twice")


def test_a_file_that_another_needs_as_folder_is_refused(tmp_path):
    refused(tar(tmp_path / "a.tgz", [("x", b"1"), ("x/a", b"2")]), tmp_path, "cannot be unpacked")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MEMBERS_AT_MOST", 3)
    refused(tar(tmp_path / "a.tgz", [(str(i), b"") for i in range(9)]), tmp_path, "3 members")


@pytest.mark.parametrize("cut", [0, 30, 200])
def test_a_damaged_archive_is_one_line(tmp_path, cut):
    whole = tar(tmp_path / "whole.tgz", [("a", os.urandom(1000))])
    (tmp_path / "a.tgz").write_bytes(whole.read_bytes()[:cut])
    refused(tmp_path / "a.tgz", tmp_path, "cannot be unpacked|neither a .zip nor a .tar")


def test_what_is_there_already_is_not_touched(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    refused(tar(tmp_path / "a.tgz", [("a", b"1")]), tmp_path, "exists already")


# arrays and weights


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return (os.system, (f"touch {self.marker}",))


def test_a_pickle_inside_an_npz_is_refused_and_not_run(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([Evil(tmp_path / "ran")], dtype=object))
    with pytest.raises(DataError, match=r"a.npz: is not an .npz file of plain arrays") as caught:
        read_arrays(tmp_path / "a.npz", ["x"])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("nested", [False, True])
def test_plain_tensors_are_loaded(tmp_path, nested):
    tensors = {"w": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}
    torch.save({"state_dict": tensors, "epoch": 3} if nested else tensors, tmp_path / "a.pth")
    found = read_weights(tmp_path / "a.pth")
    assert found.keys() == tensors.keys()
    assert torch.equal(found["w"], tensors["w"])


def test_safetensors_are_loaded(tmp_path):
    save_file({"w": torch.ones(2)}, tmp_path / "a.safetensors")
    assert torch.equal(read_weights(tmp_path / "a.safetensors")["w"], torch.ones(2))


def test_a_checkpoint_with_code_is_refused_and_not_run(tmp_path):
    torch.save({"w": torch.ones(2), "hook": Evil(tmp_path / "ran")}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Evil(tmp_path / "ran"), protocol=2))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(DataError, match=rf"{name}: holds code or foreign objects") as caught:
            read_weights(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", zlib.compress(b"x" * 999)])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_what_is_no_file_of_weights_is_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: (is not a readable|holds code)") as caught:
        read_weights(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_weights_without_a_tensor_are_refused(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(DataError, match=r"a.pth: holds no tensor"):
        read_weights(tmp_path / "a.pth")
    torch.save([torch.ones(1)], tmp_path / "b.pth")
    with pytest.raises(DataError, match=r"b.pth: must hold tensors by name, got list"):
        read_weights(tmp_path / "b.pth")
    with pytest.raises(DataError, match=r"c.pth: is not there"):
        read_weights(tmp_path / "c.pth")
