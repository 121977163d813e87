"""Who has to wait for a run folder is told so."""

import pytest

from ser_brain.errors import InputError
from ser_brain.experiment.locks import hold


def test_waiting_is_told(tmp_path, caplog):
    lock = hold(tmp_path / "run.lock", "taken: wait.")
    assert not caplog.messages
    with pytest.raises(InputError, match="taken: wait."):
        hold(tmp_path / "run.lock", "taken: wait.", seconds=0.1)
    (told,) = caplog.messages
    assert f"{tmp_path} is being written by another process: waiting" in told
    lock.release()
