"""The paper's tables beside ours, and their files."""

import csv
import shutil
import statistics
import subprocess

import numpy as np
import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.reporting import published
from ser_brain.reporting.cells import Scores, figure, mean_figure, ratio
from ser_brain.reporting.formats import shown
from ser_brain.reporting.paper_tables import (
    SHARES,
    accuracy_table,
    data_size_table,
    loss_table,
    systems_table,
)
from ser_brain.reporting.table import (
    Table,
    escaped,
    latex,
    markdown,
    write_table,
)

PERCENT = st.floats(0, 100)
SPEAKERS = ("DC", "JE", "JK", "KL")
AS_NANO = ("SAVEE", "ours (nano)")


def body(table):
    """Rows by their first cell."""
    return {row[0]: row[1:] for row in table.rows}


@pytest.mark.parametrize("key", sorted(published.PUBLISHED))
def test_printed_means_are_those_of_the_printed_folds(key):
    row = dict(published.PUBLISHED[key])
    mean = row.pop("mean")
    assert statistics.mean(row.values()) == pytest.approx(mean, abs=0.0501)


def test_printed_ratios_are_those_of_the_printed_figures():
    ours = [ratio(*values) for values in zip(*published.DATA_SIZE.values())]
    assert ours == pytest.approx(list(published.DATA_SIZE_RATIO), abs=0.06)


def test_all_data_of_table_4_is_the_fold_of_table_1():
    for procedure, figures in published.DATA_SIZE.items():
        row = published.PUBLISHED["IEMOCAP", procedure]
        assert figures[-1] == row[published.DATA_SIZE_FOLD]


@settings(deadline=None)
@given(st.lists(PERCENT, min_size=2, max_size=9), st.lists(PERCENT, max_size=3))
def test_a_cell_against_numpy(kept, discarded):
    cell = figure(Scores(tuple(kept), tuple(discarded)))
    everything = kept + discarded
    assert cell.mean == pytest.approx(np.mean(kept))
    assert cell.deviation == pytest.approx(np.std(kept, ddof=1), abs=1e-9)
    assert cell.mean_of_all == pytest.approx(np.mean(everything))
    assert (cell.runs, cell.discarded) == (len(kept), len(discarded))


def test_the_mean_over_folds_weighs_folds_alike():
    cells = [figure(Scores((10.0,) * 5)), figure(Scores((40.0, 50.0)))]
    mean = mean_figure(cells)
    assert mean.mean == 27.5
    # Worked by hand: variances 0 and 50, two folds.
    assert mean.deviation == pytest.approx(50**0.5 / 2)


def test_a_missing_fold_leaves_no_mean():
    assert mean_figure([figure(Scores((10.0,))), figure(Scores())]).mean is None


def test_deviation_of_the_mean_against_simulated_repetitions():
    rng = np.random.default_rng(0)
    runs = rng.normal([50, 60, 70], [2, 4, 6], (40_000, 3))
    cells = [figure(Scores(tuple(column))) for column in runs.T[:, :2000]]
    simulated = runs.mean(1).std(ddof=1)
    assert mean_figure(cells).deviation == pytest.approx(simulated, rel=0.05)


@pytest.mark.parametrize(
    "figures", [(60, 70, 60), (60, 70, 55), (None, 70, 80), (60, 70, None)]
)
def test_no_ratio_without_a_gain(figures):
    assert ratio(*figures) is None


def test_no_minus_before_zero():
    assert shown(-0.04) == "0.0"


def savee_scores():
    scores = {
        (procedure, fold): Scores((60.0, 62.0))
        for procedure in published.PROCEDURES
        for fold in SPEAKERS
    }
    scores["tapt", "JE"] = Scores((60.0, 62.0), discarded=(40.0,))
    return scores


def test_table_2_stands_figure_by_figure():
    table = accuracy_table(
        2, "SAVEE", AS_NANO, SPEAKERS, savee_scores(), ["Nano."]
    )
    rows = body(table)
    assert rows["V-FT, paper"] == ("75.2", "78.8", "56.0", "39.0", "62.3")
    assert rows["V-FT, ours (nano)"][0] == "61.0 ± 1.4"
    assert rows["V-FT, ours (nano)"][-1] == "61.0 ± 0.7"
    assert rows["V-FT, ours (nano) − paper"][0] == "−14.2"
    assert rows["human, paper"][-1] == "66.5"
    assert "V-FT, ours (nano), with discarded runs" not in rows
    both = rows["TAPT, ours (nano), with discarded runs"]
    assert (
        both[1] == "54.0 ± 12.2" and rows["TAPT, ours (nano)"][1][:4] == "61.0"
    )
    assert "nano" in table.title and "- Nano." in markdown(table)


def test_a_part_of_the_folds_is_no_mean_of_the_paper():
    table = accuracy_table(2, "SAVEE", AS_NANO, ["DC"], savee_scores(), [])
    rows = body(table)
    assert rows["V-FT, paper"] == ("75.2", "–")
    assert rows["V-FT, ours (nano)"] == ("61.0 ± 1.4", "61.0 ± 1.4")
    assert rows["V-FT, ours (nano) − paper"] == ("−14.2", "–")


def test_table_4_has_hours_as_drawn_and_the_ratio():
    scores = {
        ("vft", SHARES[0]): Scores((50.0,)),
        ("tapt", SHARES[0]): Scores((53.0,)),
        ("ptapt", SHARES[0]): Scores((54.0,)),
        ("vft", SHARES[1]): Scores((50.0,)),
        ("tapt", SHARES[1]): Scores((53.0,)),
        ("ptapt", SHARES[1]): Scores((49.0,)),
    }
    table = data_size_table(
        ("mini-IEMOCAP", "ours (nano)"), scores, {SHARES[0]: 0.0123}, []
    )
    rows = body(table)
    assert rows["hours, ours (nano)"] == ("0.01", "–", "–", "–")
    name = "(TAPT − V-FT) / (P-TAPT − V-FT) in %"
    assert rows[f"{name}, paper"] == ("65.0", "62.5", "80.6", "81.3")
    assert rows[f"{name}, ours (nano)"] == ("75.0", "n/a", "n/a", "n/a")
    assert rows[f"{name}, ours (nano) − paper"] == ("10.0", "n/a", "n/a", "n/a")
    assert rows["V-FT, ours (nano) − paper"][0] == "−6.8"


def test_table_5_has_every_system_beside_the_paper():
    scores = {("vft", fold): Scores((50.0,)) for fold in "12345"}
    scores |= {("segments", fold): Scores((60.0, 64.0)) for fold in "12345"}
    table = systems_table(("IEMOCAP", "ours"), "12345", scores, [])
    rows = body(table)
    assert rows["V-FT"] == ("audio", "69.9", "50.0", "−19.9")
    assert rows["P-TAPT"] == ("audio", "74.3", "–", "–")
    cited = [note for note in table.notes if "the paper cites" in note]
    assert len(cited) == 6
    tuned = rows["wav2vec, fine-tuned [3]"]
    assert tuned == ("audio", "66.9", "62.0 ± 1.3", "−4.9")
    text = "MFCC and ALBERT [5]; ours: audio and text, frozen encoders"
    assert rows[text] == ("audio and text", "72.1", "–", "–")


def test_table_3_keeps_the_rows_that_nobody_measured():
    one = dict(clips=2, too_short=0, seconds=2.0, masked=50.0, loss=100.0)
    one |= dict(loss_per_frame=2.0, contrastive_per_frame=1.9, accuracy=0.105)
    rows = body(loss_table("ours (nano)", {"SAVEE": one, "mine": one}, []))
    assert rows["SAVEE"][3:6] == ("100.00", "41.37", "58.63")
    assert rows["mine"][4:] == ("–", "–", "2.000", "10.5")
    assert rows["IEMOCAP"][:5] == ("–", "–", "–", "–", "55.42")


def test_three_files(tmp_path):
    table = accuracy_table(2, "SAVEE", AS_NANO, SPEAKERS, savee_scores(), [])
    md, records, tex = write_table(table, tmp_path, "table_2")
    assert md.read_text() == markdown(table).rstrip("\n") + "\n"
    with records.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    found = {(line["row"], line["column"]): line for line in lines}
    assert float(found["tapt", "JE"]["ours_with_discarded"]) == 54.0
    assert found["human", "DC"]["ours"] == ""
    rows = [line for line in tex.read_text().split("\n") if " & " in line]
    assert {line.count(" & ") for line in rows} == {len(SPEAKERS) + 1}


@settings(deadline=None)
@given(st.text())
def test_nothing_of_latex_is_left_unescaped(text):
    plain = escaped(text)
    for command in (r"\textbackslash{}", r"\textasciitilde{}"):
        plain = plain.replace(command, "")
    plain = plain.replace(r"\textasciicircum{}", "").replace(r"$\pm$", "")
    plain = plain.replace("$-$", "")
    for character in "&%#$_{}":
        plain = plain.replace(f"\\{character}", "")
    assert not set(plain) & set("\\&%#$_{}~^")


@pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="no pdflatex on this machine"
)
def test_latex_compiles_without_packages(tmp_path):
    table = Table("50 % ± a_b − {x} – y", ("", "1"), (("~^\\", "#"),), ("&",))
    document = (
        "\\documentclass{article}\\begin{document}\n"
        f"{latex(table)}\\end{{document}}\n"
    )
    (tmp_path / "t.tex").write_text(document)
    subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
