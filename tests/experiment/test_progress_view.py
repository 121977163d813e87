"""The two quiet views: lines for a pipe, one bar for a terminal."""

import io
import re
import sys

import pytest

from ser_brain.experiment.progress import Bar, Lines, Progress, view_of


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self):
        return True


def train(view, epochs=2, updates=6, resumed=0, valid=None):
    """Lets a Brain's calls happen, without one."""
    progress = view("classifier", epochs, updates)
    each = updates // epochs
    for epoch in range(1 + resumed // each, epochs + 1):
        first = resumed % each if epoch == 1 + resumed // each else 0
        progress.begin(epoch, (epoch - 1) * each + first)
        for step in range(first, each):
            progress.step(loss=1 / (epoch + step))
        progress.log_stats({"epoch": epoch}, {"loss": 1 / epoch}, valid)
    progress.close()
    return progress


def test_a_line_per_epoch_where_there_is_no_terminal(capsys):
    train(Lines, valid={"loss": 0.25})
    first, last = capsys.readouterr().err.splitlines()
    told = "classifier: epoch 1/2, loss 1.0000, valid 0.2500, "
    assert re.fullmatch(re.escape(told) + r"\d\d:\d\d left", first)
    assert last.startswith("classifier: epoch 2/2, loss 0.5000")
    assert last.endswith("00:00 left")


def test_time_left_is_that_of_the_whole_stage(capsys, monkeypatch):
    # A run that goes on after 100 of 400 updates, at 2 s per update.
    seconds = iter([0.0, 600.0])
    monkeypatch.setattr(
        "ser_brain.experiment.progress.time.monotonic", lambda: next(seconds)
    )
    lines = Lines("adapted", 4, 400)
    lines.begin(2, 100)
    for _ in range(300):
        lines.step(1.0)
        if lines.done == 200:
            break
    lines.log_stats({"epoch": 2}, {"loss": 1.0})
    assert capsys.readouterr().err.endswith("20:00 left\n")


def test_one_bar_for_all_epochs_on_a_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    # Goes on after two of three updates in its first epoch.
    progress = Bar("classifier", epochs=2, updates=6)
    progress.begin(1, 2)
    progress.step(loss=0.75)
    progress.log_stats({"epoch": 1}, {"loss": 0.75}, {"loss": 0.5})
    *_, shown = terminal.getvalue().split("\r")
    told = "classifier: epoch 1/2, loss 0.7500, valid 0.5000 |#####     |"
    assert shown.startswith(told)
    progress.begin(2, 3)
    for _ in range(3):
        progress.step(loss=0.25)
    progress.log_stats({"epoch": 2}, {"loss": 0.25})
    progress.close()
    *_, shown = terminal.getvalue().split("\r")
    assert shown.startswith("classifier: epoch 2/2, loss 0.2500 |##########|")
    assert terminal.getvalue().count("\n") == 1


def test_the_bar_of_a_test_is_not_left(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = train(Bar)
    terminal.truncate(0)
    progress.begin_test(3)
    for _ in range(3):
        progress.step()
    progress.close()
    assert "classifier: test |" in terminal.getvalue()
    assert terminal.getvalue().split("\r")[-2].strip() == ""


@pytest.mark.parametrize(
    "terminal, verbose, noprogressbar, view",
    [
        (True, False, False, Bar),
        (False, False, False, Lines),
        (True, False, True, Lines),
        (True, True, False, Progress),
    ],
)
def test_view_of(monkeypatch, terminal, verbose, noprogressbar, view):
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    assert view_of(verbose, noprogressbar)[0] is view
