"""What a recipe shows: stages, epochs and scores, or all with --verbose."""

import logging

from ser_brain.brains import UtteranceBrain

CHATTER = (
    "Saved an end-of-epoch checkpoint",
    "Going into epoch 1",
    "Model Statistics",
    "Beginning experiment!",
)


def test_a_recipe_is_quiet_and_its_log_is_not(run, tmp_path):
    got = run("SAVEE", "train_vft", epochs=2)
    assert got.code == 0, got.err
    (log,) = tmp_path.glob("results/few/vft/nano/*/*/log.txt")
    logged = log.read_text()
    for words in CHATTER:
        assert words in logged
        assert words not in got.out + got.err
    told = [line for line in got.err.splitlines() if line]
    assert told[0].startswith("warning: a recall from fewer than 10 clips")
    assert [line.split(", loss")[0] for line in told[1:]] == [
        "classifier: epoch 1/2",
        "classifier: epoch 2/2",
    ]
    lines = got.out.splitlines()
    assert lines[:3] == ["classifier: begins.", "", lines[2]]
    assert lines[2] == "few, vft, nano, fold 03, seed 1"
    again = run("SAVEE", "train_vft", epochs=2)
    assert again.out.startswith("classifier: finished before, kept.")


def test_verbose_shows_the_log_and_speechbrains_bars(run, tmp_path):
    got = run("SAVEE", "train_vft", more=["--verbose"])
    assert got.code == 0, got.err
    for words in CHATTER:
        assert words in got.out
    assert "train_loss=" in got.err
    assert "left" not in got.err
    # The same run: nothing is computed again.
    again = run("SAVEE", "train_vft")
    assert "classifier: finished before, kept." in again.out


def test_warnings_are_shown(run, monkeypatch):
    started = UtteranceBrain.on_fit_start

    def warned(self):
        logging.getLogger("some.package").warning("the data look odd")
        started(self)

    monkeypatch.setattr(UtteranceBrain, "on_fit_start", warned)
    got = run("SAVEE", "train_vft")
    assert got.code == 0, got.err
    assert "warning: the data look odd\n" in got.out
