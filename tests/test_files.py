"""Files are whole or not there."""

import pytest

from ser_brain.errors import InputError
from ser_brain.files import atomic_path, write_atomically


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
