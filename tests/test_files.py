"""Files are whole or not there."""

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import (
    example,
    given,
    strategies as st,
)

from ser_brain.errors import InputError
from ser_brain.files import HOST, atomic_path, folder_name, write_atomically


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "labels.bin"
    write_atomically(path, b"old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as beside:
        beside.write_bytes(b"half of the ne")
        1 / 0  # noqa: B018
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_removed(tmp_path):
    """Of this machine's; another one's may still be at it."""
    path = tmp_path / "labels.bin"
    left = {
        f".labels.{HOST}-{os.getpid()}.bin": True,
        f".labels.{HOST}-4194305.bin": False,
        f".labels.{HOST}-99999999999999999999.bin": False,
        ".labels.other-4194305.bin": True,
        f".labels.{HOST}-4194305.txt": True,
        f".label.{HOST}-4194305.bin": True,
    }
    for name in left:
        (tmp_path / name).write_bytes(b"half")
    write_atomically(path, b"whole")
    found = {each.name for each in tmp_path.iterdir()}
    # This process's own is the one it has just written.
    kept = {name for name, stays in left.items() if stays}
    assert found == kept - {f".labels.{HOST}-{os.getpid()}.bin"} | {path.name}


def test_the_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    path, told = tmp_path / "labels.bin", []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor):
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        told.append("folder" if target.is_dir() else target.read_bytes())
        fsync(descriptor)

    def replaced(source, target):
        told.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_atomically(path, b"whole")
    assert told == [b"whole", "name", "folder"]


def test_a_file_in_place_of_the_folder_is_one_sentence(tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(InputError, match="a.txt cannot be written"):
        write_atomically(tmp_path / "out" / "a.txt", "text")


def test_text_is_utf_8_and_replaces(tmp_path):
    for text in ("old", "grün\n"):
        write_atomically(tmp_path / "a.txt", text)
    assert (tmp_path / "a.txt").read_bytes() == "grün\n".encode()


@given(st.text(min_size=1), st.text(min_size=1))
@example("../../x", "..%2F..%2Fx")
@example("a/b", "a%2Fb")
@example("x" * 500, "x" * 501)
@example("ü" * 200, "." * 300)
def test_any_name_is_one_folder_and_its_own(one, other):
    for name in (folder_name(one), folder_name(other)):
        assert len(PurePosixPath(name).parts) == 1
        assert len(PureWindowsPath("C:/", name).parts) <= 2
        assert name.isprintable() and name not in (".", "..")
        assert len(f"fold_{name}".encode()) < 256
    assert (folder_name(one) == folder_name(other)) == (one == other)


@pytest.mark.parametrize("name", ["DC", "Ann B.", "03", "fold_1", "Jürgen"])
def test_an_ordinary_name_stays_as_it_is(name):
    assert folder_name(name) == name


@pytest.mark.parametrize("name", ["..", "../../x", "/etc/x", "\ud800", "\0"])
def test_a_hostile_name_can_be_made_as_a_folder(tmp_path, name):
    folder = tmp_path / folder_name(name)
    folder.mkdir()
    assert [Path(each) for each in tmp_path.iterdir()] == [folder]
