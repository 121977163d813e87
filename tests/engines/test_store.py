"""What is carried home is there whole, or as it was before."""

import json
import shutil
from pathlib import Path
from uuid import uuid4

import pytest
from filelock import FileLock
from hypothesis import (
    given,
    settings,
    strategies as st,
)

from ser_brain.engines.carrier import Carrier, adaptation_parts, fetch_results
from ser_brain.engines.runs import Run
from ser_brain.engines.store import Home, Part, lock_of

NAMES = ["unfinished.json", "model.bin", "checkpoints/CKPT+1/a.ckpt"]
# A stage at two moments; no file keeps its name but changes its content.
BEFORE = {"unfinished.json": "k", "checkpoints/CKPT+1/a.ckpt": "1"}
AFTER = {"unfinished.json": "k", "checkpoints/CKPT+2/a.ckpt": "2"}
DONE = {"done.json": "k", "model.bin": "m"}


def write(folder, files):
    """Makes a folder hold these files and no others."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(folder):
    """The files of a folder, hidden ones too, locks left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def stage(folder):
    """A folder as a stage that is called the same everywhere."""
    return Part(folder, "few/vft/nano/fold_1/seed_1/save/classifier", True)


@pytest.fixture(params=["file", "memory"])
def url(request, tmp_path):
    """A home on a disk, and one in memory."""
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    return f"file://{tmp_path}/home"


@settings(deadline=None, max_examples=40)
@given(
    states=st.lists(
        st.dictionaries(st.sampled_from(NAMES), st.text("ab"), min_size=1),
        min_size=1,
        max_size=4,
    ),
    anew=st.booleans(),
)
def test_last_state_comes_back(tmp_path_factory, states, anew):
    """Whatever was there before, and by whichever process."""
    top = tmp_path_factory.mktemp("states")
    home = Home(f"memory://{uuid4().hex}")
    for state in states:
        write(top / "here", state)
        home = Home(home.url) if anew else home
        assert home.push(stage(top / "here"))
    write(top / "there", {"stale": "x"})
    assert Home(home.url).pull(stage(top / "there"))
    assert read(top / "there") == states[-1]


@pytest.mark.parametrize("after", [AFTER, DONE])
@pytest.mark.parametrize("writes", range(4))
def test_machine_dies_while_it_sends(url, tmp_path, monkeypatch, writes, after):
    """After each of its writes, the state before or the new one is there."""
    here, there = stage(tmp_path / "here"), stage(tmp_path / "there")
    write(here.folder, BEFORE)
    home = Home(url)
    assert home.push(here)
    write(here.folder, after)
    left, plain = [writes], home.store.open

    def dying(path, mode):
        if mode == "wb" and left[0] == 0:
            raise OSError("gone")
        left[0] -= mode == "wb"
        return plain(path, mode)

    monkeypatch.setattr(home.store, "open", dying)
    needed = len(after) + 1
    if writes < needed:
        with pytest.raises(OSError, match="gone"):
            home.push(here)
    else:
        assert home.push(here)
    monkeypatch.undo()
    assert Home(url).pull(there)
    assert read(there.folder) == (BEFORE if writes < needed else after)


def test_what_a_dead_machine_sent_is_cleared(tmp_path):
    """By the push of the finished stage, and nothing else is."""
    home = Home(f"file://{tmp_path}/home")
    part = stage(tmp_path / "here")
    at_home = tmp_path / "home" / part.place
    write(at_home, {"checkpoints/CKPT+9/a.ckpt": "lost", ".x.part": "lost"})
    write(part.folder, DONE)
    assert home.push(part)
    assert read(at_home).keys() == {*DONE, ".home.json"}


def test_damaged_stage_is_not_taken(url, tmp_path):
    """What is here stays as it is."""
    here, there = stage(tmp_path / "here"), stage(tmp_path / "there")
    write(here.folder, DONE)
    write(there.folder, BEFORE)
    home = Home(url)
    home.push(here)
    path = f"{home.base}/{here.place}/model.bin"
    home.store.pipe_file(path, b"other")
    assert not Home(url).pull(there)
    home.store.rm_file(path)
    assert not Home(url).pull(there)
    assert read(there.folder) == BEFORE
    assert not Home(url).pull(Part(tmp_path / "no", "no", True))


def test_stage_that_changes_is_sent_later(url, tmp_path, monkeypatch):
    """A mixture of two moments never counts."""
    here, there = stage(tmp_path / "here"), stage(tmp_path / "there")
    write(here.folder, BEFORE)
    home = Home(url)
    plain = home.store.open

    def meanwhile(path, mode):
        (here.folder / "more").write_text("x")
        return plain(path, mode)

    monkeypatch.setattr(home.store, "open", meanwhile)
    assert not home.push(here)
    monkeypatch.undo()
    assert not home.pull(there)
    assert home.push(here)
    assert Home(url).pull(there)


def test_what_is_carried(tmp_path):
    """Neither locks nor half-written files; a run's stages apart."""
    files = {
        "predictions.csv": "p",
        "save/classifier/done.json": "d",
        "run.lock": "",
        ".metrics.1.json": "half",
    }
    write(tmp_path, files)
    assert Part(tmp_path, "run", False).files().keys() == {"predictions.csv"}
    write(tmp_path, {"x.lock": "", "partial+CKPT/a": "half", "save/a": "s"})
    assert stage(tmp_path).files().keys() == {"save/a"}


def test_stage_in_work_is_left(url, tmp_path):
    """To the process of this machine that is at it."""
    here, there = stage(tmp_path / "here"), stage(tmp_path / "there")
    write(here.folder, DONE)
    Home(url).push(here)
    with FileLock(lock_of(there.folder)):
        assert not Home(url).pull(there)
    assert Home(url).pull(there)


def make_run(results, procedure, seed, *words):
    """A run with an absolute run folder."""
    folder = results / f"few/{procedure}/nano/fold_1/seed_{seed}"
    yaml = Path(f"{procedure}.yaml")
    return Run("IEMOCAP", procedure, yaml, "1", seed, words, folder)


def test_adaptation_of_ptapt(tmp_path):
    """P1 and P2 lie in the folder of `pseudo`; a shared seed in its own."""
    for words, seed in [((), 2), (("--adaptation_seed", "1"), 1)]:
        run = make_run(tmp_path, "ptapt", 2, *words)
        end = f"nano/fold_1/seed_{seed}/save"
        parts = adaptation_parts(run)
        assert [part.place for part in parts] == [
            f"few/pseudo/{end}/emotion_states",
            f"few/pseudo/{end}/clusters",
            f"few/ptapt/{end}/adapted",
        ]
        assert all(part.folder == tmp_path / part.place for part in parts)


def test_run_goes_from_machine_to_machine(url, tmp_path):
    """Its stages, those it shares, and its results."""
    words = ("--adaptation_seed", "1")
    one = make_run(tmp_path / "one", "tapt", 2, *words)
    two = make_run(tmp_path / "two", "tapt", 2, *words)
    shared = "few/tapt/nano/fold_1/seed_1/save"
    carrier = Carrier(one, url)
    write(one.folder, {"save/classifier/unfinished.json": "k"})
    write(tmp_path / "one" / shared, {"adapted/done.json": "k", "x/y": "no"})
    carrier.send_checkpoints()
    carrier = Carrier(two, url)
    assert read(two.folder) == {"save/classifier/unfinished.json": "k"}
    assert (tmp_path / "two" / shared / "adapted/done.json").exists()
    assert not (tmp_path / "two" / shared / "x").exists()
    write(two.folder, {"save/classifier/done.json": "k", "metrics.json": "m"})
    carrier.send_all()
    assert fetch_results(one, url)
    assert (one.folder / "metrics.json").read_text() == "m"
    assert not (one.folder / "save/classifier/unfinished.json").exists()


def test_store_that_fails_can_wait(tmp_path, monkeypatch, caplog):
    """In the midst of a run it is a warning, at its end an error."""
    run = make_run(tmp_path, "vft", 1)
    carrier = Carrier(run, f"file://{tmp_path}/home")
    write(run.folder, {"save/classifier/done.json": json.dumps({})})

    def fail(*arguments):
        raise OSError("no network")

    monkeypatch.setattr(carrier.home.store, "open", fail)
    carrier.send_checkpoints()
    assert "no network" in caplog.text
    with pytest.raises(OSError, match="no network"):
        carrier.send_all()
