"""The ensemble: backends agree, a file comes back, bad input is told."""

import json

import numpy as np
import pytest
import torch

from ser_brain.clustering import KMeansEnsemble
from ser_brain.errors import InputError

N_CLUSTERS = (3, 10, 40)


@pytest.fixture(scope="module")
def frames():
    generator = torch.Generator().manual_seed(0)
    groups = 3 * torch.randn(7, 16, generator=generator)
    which = torch.randint(7, (800,), generator=generator)
    noise = torch.randn(800, 16, generator=generator)
    return (groups[which] + noise).relu()


@pytest.fixture(scope="module", params=["sklearn", "torch", "auto"])
def fitted(request, frames):
    return KMeansEnsemble(N_CLUSTERS, backend=request.param).fit(frames)


def test_centres_and_labels_have_one_part_for_each_k(fitted, frames):
    shapes = [tuple(centres.shape) for centres in fitted.centres]
    assert shapes == [(3, 16), (10, 16), (40, 16)]
    assert all(c.dtype == torch.float32 for c in fitted.centres)
    labels = fitted.predict(frames)
    assert labels.dtype == torch.int64
    assert [len(column.unique()) for column in labels.T] == [3, 10, 40]


def test_numpy_frames_give_the_same_labels_as_numpy(fitted, frames):
    labels = fitted.predict(frames.numpy())
    assert isinstance(labels, np.ndarray) and labels.dtype == np.int64
    assert np.array_equal(labels, fitted.predict(frames).numpy())


def test_more_clusters_lie_closer(fitted, frames):
    labels = fitted.predict(frames)
    errors = [
        (frames - centres[column]).square().sum().item()
        for centres, column in zip(fitted.centres, labels.T, strict=True)
    ]
    assert errors == sorted(errors, reverse=True)


def test_one_seed_always_gives_the_same_centres(fitted, frames):
    again = KMeansEnsemble(N_CLUSTERS, backend=fitted.backend).fit(frames)
    for one, other in zip(fitted.centres, again.centres, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_both_backends_find_the_same_clusters(frames):
    labels = [
        KMeansEnsemble((10,), backend=backend).fit(frames).predict(frames)
        for backend in ("sklearn", "torch")
    ]
    assert torch.equal(*labels)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_labels_of_the_cpu(fitted, frames):
    on_gpu = fitted.predict(frames.cuda())
    assert on_gpu.is_cuda
    assert torch.equal(on_gpu.cpu(), fitted.predict(frames))


def test_it_comes_back_from_its_folder(fitted, frames, tmp_path):
    folder = tmp_path / "new" / "ensemble"
    fitted.save(folder)
    loaded = KMeansEnsemble.load(folder)
    assert vars(loaded).keys() == vars(fitted).keys()
    assert loaded.n_clusters == N_CLUSTERS
    assert loaded.backend == fitted.backend
    assert torch.equal(loaded.predict(frames), fitted.predict(frames))
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["centres.safetensors", "ensemble.json"]


def test_one_saved_before_there_were_starts_comes_back(frames, tmp_path):
    KMeansEnsemble(N_CLUSTERS, iterations=1).fit(frames).save(tmp_path)
    settings = json.loads((tmp_path / "ensemble.json").read_text())
    del settings["start"]
    (tmp_path / "ensemble.json").write_text(json.dumps(settings))
    assert KMeansEnsemble.load(tmp_path).start == "random"


def test_the_frames_may_be_a_file(fitted, frames, tmp_path):
    np.save(tmp_path / "frames.npy", frames.numpy())
    stored = np.load(tmp_path / "frames.npy", mmap_mode="r")
    again = KMeansEnsemble(N_CLUSTERS, backend=fitted.backend).fit(stored)
    for one, other in zip(fitted.centres, again.centres, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    labels = fitted.predict(stored)
    assert np.array_equal(labels, fitted.predict(frames.numpy()))


def test_k_means_plus_plus_starts_closer(frames):
    errors = {}
    for start in ("random", "k-means++"):
        ensemble = KMeansEnsemble((40,), iterations=1, start=start)
        (centres,) = ensemble.fit(frames).centres
        nearest = torch.cdist(frames, centres).amin(dim=-1)
        errors[start] = nearest.square().sum().item()
    assert errors["k-means++"] < errors["random"]


def change_settings(folder, **changes):
    path = folder / "ensemble.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, **changes}))


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "ensemble.json").unlink(),
        lambda folder: (folder / "ensemble.json").write_text("{"),
        lambda folder: (folder / "ensemble.json").write_text("[]"),
        lambda folder: (folder / "centres.safetensors").unlink(),
        lambda folder: (folder / "centres.safetensors").write_bytes(b"junk"),
        lambda folder: change_settings(folder, format="another"),
        lambda folder: change_settings(folder, n_clusters=[3, 10, 41]),
        lambda folder: change_settings(folder, n_clusters=[3, 10, 40, 2]),
    ],
)
def test_a_damaged_folder_is_refused(frames, tmp_path, harm):
    KMeansEnsemble(N_CLUSTERS, iterations=1).fit(frames).save(tmp_path)
    harm(tmp_path)
    with pytest.raises(InputError, match="not hold a whole k-means ensemble"):
        KMeansEnsemble.load(tmp_path)


@pytest.mark.parametrize("backend", ["sklearn", "torch"])
def test_too_large_a_k_names_the_largest(backend):
    frames = np.repeat(np.eye(5, dtype=np.float32), 3, axis=0)
    with pytest.raises(InputError, match="largest possible k is 5"):
        KMeansEnsemble((2, 6), backend=backend).fit(frames)
    centres = KMeansEnsemble((2, 5), backend=backend).fit(frames).centres[1]
    found = centres[centres.argmax(dim=-1).argsort()]
    torch.testing.assert_close(found, torch.eye(5))


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"backend": "faiss"}, "must be one of auto, torch, sklearn"),
        ({"start": "grid"}, "must be one of random, k-means"),
        ({"n_clusters": ()}, "n_clusters is empty"),
        ({"n_clusters": (4, 0)}, "n_clusters has the value 0"),
        ({"n_clusters": (2.5,)}, "n_clusters has the value 2.5"),
        ({"iterations": 0}, "iterations has the value 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        KMeansEnsemble(**arguments)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_frames_that_are_no_numbers_are_refused(frames, value):
    bad = frames.clone()
    bad[3, 2] = value
    with pytest.raises(InputError, match="1 of 800 frames hold NaN"):
        KMeansEnsemble((3,)).fit(bad)


def test_frames_of_another_shape_are_refused(fitted, frames):
    with pytest.raises(InputError, match="have size 5 .*frames of size 16"):
        fitted.predict(frames[:, :5])
    with pytest.raises(InputError, match=r"shape \(0, 16\)"):
        KMeansEnsemble((3,)).fit(frames[:0])


def test_an_ensemble_without_centres_says_so(frames, tmp_path):
    ensemble = KMeansEnsemble((3,))
    with pytest.raises(InputError, match="fit it first"):
        ensemble.predict(frames)
    with pytest.raises(InputError, match="fit it first"):
        ensemble.save(tmp_path)
    assert not list(tmp_path.iterdir())
