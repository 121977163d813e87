"""train_log.txt has each epoch once, whatever ended the run before."""

import pytest

from ser_brain.experiment.epoch_log import EpochLog


def log_epochs(path, epochs, stage="classifier"):
    log = EpochLog(str(path), precision=4, stage=stage)
    for epoch in epochs:
        log.log_stats({"epoch": epoch}, {"loss": 10.0 - epoch}, verbose=False)


@pytest.mark.parametrize("cut", [1, 12, 23, 40])
def test_a_torn_line_is_written_again(tmp_path, cut):
    whole, torn = tmp_path / "whole.txt", tmp_path / "torn.txt"
    for path in (whole, torn):
        log_epochs(path, (1, 2), "adapted")
        log_epochs(path, (1, 2, 3))
    torn.write_bytes(torn.read_bytes()[:-cut])
    # The checkpoint is that of the second epoch.
    log_epochs(torn, (3,))
    assert torn.read_bytes() == whole.read_bytes()


def test_a_stage_that_begins_anew_leaves_the_others_alone(tmp_path):
    path = tmp_path / "train_log.txt"
    log_epochs(path, (1, 2), "adapted")
    log_epochs(path, (1, 2, 3))
    log_epochs(path, (1,))
    stages = [line.split(" - ")[0] for line in path.read_text().splitlines()]
    assert stages == [
        "stage: adapted, epoch: 1",
        "stage: adapted, epoch: 2",
        "stage: classifier, epoch: 1",
    ]
