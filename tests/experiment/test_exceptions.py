"""Where an unexpected exception of a recipe is told."""

import sys

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
