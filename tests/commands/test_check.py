"""``ser-brain check``: a table looked at before training."""

import pytest
from recipe_runs import pick_clips, write_table

from ser_brain import cli


@pytest.fixture
def check(tmp_path, capsys):
    """``check(rows)``: exit code, stdout, stderr."""

    def check(rows):
        table = tmp_path / "few.csv"
        write_table(table, rows)
        code = cli.main(["check", str(table)])
        return code, *capsys.readouterr()

    return check


def test_counts_lengths_and_doubts(check, tmp_path):
    """Of every speaker and class; nothing is written."""
    rows = pick_clips()
    code, out, err = check(rows)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[-1] == "all"
    total = next(line for line in lines if line.startswith("all "))
    assert total.split()[-1] == str(len(rows))
    assert any("s in all; shortest" in line for line in lines)
    assert "one fold for each speaker" in out
    assert "warning: a recall from fewer than 10 clips" in out
    assert "ser-brain train takes this table" in err
    assert [path.name for path in tmp_path.iterdir()] == ["few.csv"]


def test_a_bad_table_is_one_sentence(check):
    """As training would say it."""
    code, out, err = check([("none.wav", "angry", "01")])
    assert (code, out) == (2, "")
    assert "which does not exist" in err
