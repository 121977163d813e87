"""Files are whole or not there."""

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import (
    example,
    given,
    strategies as st,
)

from ser_brain.errors import InputError
from ser_brain.files import atomic_path, folder_name, write_atomically


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "labels.bin"
    write_atomically(path, b"old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as beside:
        beside.write_bytes(b"half of the ne")
        1 / 0  # noqa: B018
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


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
