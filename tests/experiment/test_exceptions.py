"""Where an unexpected exception of a recipe is told."""

import errno
import sys
import threading

import pytest

from ser_brain.experiment.command import tell_of_thread
from ser_brain.experiment.experiment import tell_exception


def test_a_traceback_goes_to_stderr_and_to_the_log(capsys, caplog):
    caplog.set_level("DEBUG")
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        tell_exception(*sys.exc_info())
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" in err and "ZeroDivisionError" in err
    (record,) = caplog.records
    assert record.levelname == "DEBUG" and record.exc_info is not None


@pytest.mark.parametrize(
    "error, traceback",
    [
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (ValueError("unexpected"), True),
    ],
)
def test_a_thread_tells_of_a_full_disk_in_one_line(
    capsys, caplog, monkeypatch, error, traceback
):
    monkeypatch.setattr(threading, "excepthook", tell_of_thread)

    def fail():
        raise error

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert ("Traceback" in capsys.readouterr().err) == traceback
    found = [message for message in caplog.messages if "No space" in message]
    assert len(found) == (not traceback)
