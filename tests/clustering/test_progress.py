"""Centres on the way: taken up by the same k-means, and by no other."""

import pytest
import torch

from ser_brain.clustering import KMeansEnsemble
from ser_brain.clustering.progress import KMeansProgress


@pytest.fixture
def frames():
    return torch.randn(600, 8, generator=torch.Generator().manual_seed(0))


def test_a_killed_fit_goes_on_to_the_same_centres(
    frames, tmp_path, monkeypatch
):
    path = tmp_path / "kmeans.safetensors"
    expected = KMeansEnsemble((5, 50)).fit(frames).centres
    save = KMeansProgress.save
    saved = []

    def save_and_die(self, done, centres):
        save(self, done, centres)
        saved.append(done)
        if done == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(KMeansProgress, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        KMeansEnsemble((5, 50)).fit(frames, path)
    found = KMeansEnsemble((5, 50)).fit(frames, path).centres
    assert saved[:4] == [1, 2, 3, 4]
    assert all(map(torch.equal, found, expected))


def test_only_the_same_start_takes_it_up(tmp_path):
    path = tmp_path / "kmeans.safetensors"
    starts = [torch.zeros(2, 3), torch.ones(4, 3)]
    KMeansProgress(path, starts).save(5, [start + 1 for start in starts])
    done, centres = KMeansProgress(path, starts).load()
    assert done == 5 and centres[1].tolist() == [[2.0] * 3] * 4
    for other in ([starts[1], starts[0]], starts[:1], [s + 1 for s in starts]):
        assert KMeansProgress(path, other).load() == (0, other)


@pytest.mark.parametrize("content", [None, b"", b"junk", b"\0" * 100])
def test_a_damaged_file_costs_time_alone(tmp_path, content):
    path = tmp_path / "kmeans.safetensors"
    if content is not None:
        path.write_bytes(content)
    starts = [torch.zeros(2, 3)]
    assert KMeansProgress(path, starts).load() == (0, starts)
