"""Several runs answer together: the mean, whatever their encoders."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from ser_brain import cli
from ser_brain.errors import InputError
from ser_brain.inference import EmotionRecognizer, save_classifier
from ser_brain.inference.ensemble import Ensemble
from ser_brain.lobes import load_encoder
from ser_brain.nnet.heads import UtteranceHead

CLASSES = ["angry", "happy", "sad"]


def make_run(folder, encoder, classes, seed):
    """A run folder with a head whose answers differ from others'."""
    torch.manual_seed(seed)
    encoder = load_encoder(encoder)
    head = UtteranceHead(encoder.dim, len(classes))
    with torch.no_grad():
        for weights in head.parameters():
            weights.mul_(5)
    save_classifier(folder / "save" / "classifier", encoder, head, classes)
    return folder


@pytest.fixture(scope="module")
def fold(tmp_path_factory, tiny_wav2vec2, tiny_whisper):
    """Two seeds with other encoders, and another order of the classes."""
    folder = tmp_path_factory.mktemp("fold_DC")
    make_run(folder / "seed_1", tiny_wav2vec2, CLASSES, 1)
    make_run(folder / "seed_2", tiny_whisper, CLASSES[::-1], 2)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Noise of unlike length."""
    folder = tmp_path_factory.mktemp("clips")
    draws = np.random.default_rng(0)
    paths = [folder / f"{n}.wav" for n in range(3)]
    for path, seconds in zip(paths, (0.6, 0.9, 0.3)):
        noise = 0.2 * draws.standard_normal(int(16000 * seconds))
        soundfile.write(path, noise, 16000)
    return [str(path) for path in paths]


@pytest.fixture(scope="module")
def expected(fold, files):
    """The mean over both runs, class by class, shape (files, classes)."""
    rows = []
    for file in files:
        shares = []
        for run in ("seed_1", "seed_2"):
            member = EmotionRecognizer.from_run(fold / run)
            found = member.classify_file(file)[0][0].tolist()
            named = dict(zip(member.classes, found))
            shares.append([named[name] for name in CLASSES])
        assert np.abs(np.diff(shares, axis=0)).max() > 0.01
        rows.append(np.mean(shares, axis=0))
    return np.array(rows)


def test_posteriors_are_the_mean_of_the_runs(fold, files, expected):
    ensemble = EmotionRecognizer.ensemble([fold / "seed_1", fold / "seed_2"])
    assert ensemble.classes == CLASSES
    for file, row in zip(files, expected):
        posteriors, score, index, label = ensemble.classify_file(file)
        np.testing.assert_allclose(posteriors[0], row, atol=1e-5)
        assert label == [CLASSES[row.argmax()]] and index[0] == row.argmax()
        assert float(score) == pytest.approx(row.max(), abs=1e-5)
    records = EmotionRecognizer.ensemble([fold]).classify_files(files)
    found = [[*record["posteriors"].values()] for record in records]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_shortest_clip_is_that_of_all_members(fold):
    """A member that also plays clips faster needs longer ones."""
    members = EmotionRecognizer.ensemble([fold]).members
    members[1].speeds = (1.0, 1.5)
    assert members[1].shortest == 1.5 * members[0].shortest
    ensemble = Ensemble(members)
    assert ensemble.shortest == members[1].shortest
    ensemble.classify_batch(torch.randn(ensemble.shortest))


def predicted(words, capsys):
    """The posteriors of a command, and what it says on stderr."""
    assert cli.main([*map(str, words), "--json"]) == 0
    out, err = capsys.readouterr()
    rows = json.loads(out)
    return [[row["posteriors"][c] for c in CLASSES] for row in rows], err


def test_the_command_takes_a_folder_of_runs_or_a_list(
    fold, files, expected, capsys
):
    found, err = predicted(["predict", fold, *files], capsys)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert err.startswith("an ensemble of 2 runs\n")
    one, other = fold / "seed_1", fold / "seed_2"
    words = ["predict", other, "--with", one, *files]
    found, _ = predicted(words, capsys)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_timeline_of_an_ensemble(fold, files, capsys):
    """As of one model; noise is no speech, so that there is none here."""
    assert cli.main(["timeline", str(fold), files[0], "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["classes"] == CLASSES
    assert err.startswith("an ensemble of 2 runs\n")


def test_runs_that_do_not_fit(fold, tmp_path, tiny_wav2vec2, files, capsys):
    """Other classes, the same run twice, an unfinished one: one sentence."""
    other = make_run(tmp_path / "other", tiny_wav2vec2, ["angry", "calm"], 3)
    with pytest.raises(InputError, match="other has the classes angry, calm"):
        EmotionRecognizer.ensemble([fold / "seed_1", other])
    words = ["predict", str(fold), "--with", str(fold / "seed_1"), files[0]]
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert "seed_1 is given twice" in err and err.count("\n") == 1
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "hyperparams.yaml").touch()
    assert cli.main(["predict", str(tmp_path), files[0]]) == 2
    assert "start its recipe again" in capsys.readouterr().err


def test_folders_of_folds_are_no_ensemble(fold, files, tmp_path, capsys):
    """Only by --with: the folds of a test are seldom meant together."""
    shutil.copytree(fold, tmp_path / "fold_DC")
    assert cli.main(["predict", str(tmp_path), files[0]]) == 2
    assert "is not a run folder" in capsys.readouterr().err
