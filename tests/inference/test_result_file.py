"""Results in a file: cut anywhere it is completed, anything else is kept."""

import json
import resource

import pytest

from ser_brain.errors import InputError
from ser_brain.inference.result_file import ResultFile

CLASSES = ["calm", "sad"]
# Names that a form must quote, and one that is not UTF-8.
FILES = ['a "b", c.wav', "two\nlines\n.wav", "ä.wav", "\udcff.wav", "e.wav"]


def record(file):
    """A result, or the fault of the last file."""
    if file == FILES[-1]:
        return {"file": file, "error": f"{file} is empty"}
    shares = {"calm": 0.25, "sad": 0.75}
    found = {"file": file, "label": "sad", "score": 0.75, "duration": 1.0}
    return {**found, "posteriors": shares, "warnings": ["quiet", "unsure"]}


def write(path, files=FILES, classes=CLASSES, model="1f", errors=True):
    """All results that the file lacks; how many those are."""
    with ResultFile(path, files, classes, model, errors) as results:
        rest = files[results.done :]
        for file in rest:
            results.write(record(file))
    return len(rest), results.bad


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_cut_at_any_byte_it_is_completed(tmp_path, ending):
    """What is complete is kept, what is torn is written again."""
    path = tmp_path / f"a.{ending}"
    assert write(path) == (5, 1)
    whole = path.read_bytes()
    missing = []
    ends = [n for n, byte in enumerate(whole, 1) if byte == ord("\n")]
    near = {
        end + n for end in ends for n in (-1, 0, 1) if end + n <= len(whole)
    }
    for cut in sorted({*range(0, len(whole), 7), *near}):
        path.write_bytes(whole[:cut])
        missing.append(write(path)[0])
        assert path.read_bytes() == whole, cut
    assert missing == sorted(missing, reverse=True)
    assert missing[0] == 5 and missing[-1] == 0 and set(missing) == {*range(6)}
    assert write(path) == (0, 1)


def test_a_line_is_in_the_file_at_once(tmp_path):
    path = tmp_path / "new" / "a.jsonl"
    with ResultFile(path, FILES, CLASSES, "1f") as results:
        results.write(record(FILES[0]))
        (line,) = path.read_text().splitlines()
    assert json.loads(line) == {**record(FILES[0]), "model": "1f"}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize(
    "change, part",
    [
        ({"model": "2e"}, "is of another model (1f, not 2e)"),
        ({"files": FILES[1:]}, "where two"),
        ({"files": FILES[:2]}, "where nothing would be"),
        ({"files": [*FILES[:3], "new.wav"]}, "where new.wav would be"),
    ],
)
def test_results_of_something_else_stay(tmp_path, ending, change, part):
    path = tmp_path / f"a.{ending}"
    write(path)
    whole = path.read_bytes()
    with pytest.raises(InputError) as caught:
        write(path, **change)
    assert part in str(caught.value) and str(path) in str(caught.value)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "name, content, line",
    [
        ("a.csv", "my notes", 1),
        ("a.csv", "file,label\n", 1),
        ("a.jsonl", "my notes", 1),
        ("a.jsonl", "my notes\n", 1),
        ("a.jsonl", "[1]\n", 1),
        ("a.jsonl", "{}\n", 1),
        ("a.jsonl", '{"file": "e.wav", "mo', 1),
    ],
)
def test_other_content_is_not_overwritten(tmp_path, name, content, line):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=f"{name}, line {line}, "):
        write(path)
    assert path.read_text() == content


def test_other_columns_and_short_rows(tmp_path):
    """Another class, or a row in the middle that was edited."""
    path = tmp_path / "a.csv"
    write(path)
    with pytest.raises(InputError, match="line 1, has other columns"):
        write(path, classes=["calm", "mad"])
    with pytest.raises(InputError, match="line 1, has other columns"):
        write(path, errors=False)
    lines = path.read_text(errors="surrogateescape").splitlines(keepends=True)
    lines[1] = lines[1].replace(",sad", "")
    path.write_text("".join(lines), errors="surrogateescape")
    with pytest.raises(InputError, match="line 2, is no result"):
        write(path)
    assert path.read_text(errors="surrogateescape") == "".join(lines)


def test_one_writer_and_a_file_that_cannot_be_written(tmp_path):
    path = tmp_path / "a.csv"
    with ResultFile(path, FILES, CLASSES, "1f") as results:
        results.write(record(FILES[0]))
        with pytest.raises(InputError, match="by another process"):
            write(path)
    assert path.read_text().count("\n") == 2
    with pytest.raises(InputError, match="cannot be written"):
        write(path / "b.csv")
    with pytest.raises(InputError, match="ends in neither .jsonl nor .csv"):
        write(tmp_path / "a.txt")


def test_a_file_without_a_result_is_removed(tmp_path):
    path = tmp_path / "a.csv"
    with pytest.raises(InputError, match="the first one"):
        with ResultFile(path, FILES, CLASSES, "1f"):
            raise InputError("the first one is bad")
    assert not path.exists()


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_nothing_is_left_where_there_is_no_space(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(InputError, match=r"free some space"):
            with ResultFile(path, ["a.wav"], ["calm"], "1f") as results:
                results.write({"file": "a.wav", "label": "calm"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not path.exists()
