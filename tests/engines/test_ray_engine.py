"""The same plan on a Ray cluster of two machines, one of which is lost."""

import os
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from recipe_runs import ROOT, command_line, pick_clips, start, write_table

from ser_brain.engines.ray_engine import RayEngine
from ser_brain.engines.runs import Run
from ser_brain.errors import InputError

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Many checkpoints, so that there is always one to go on from.
FEW = {"fold": "03", "seed": 1, "epochs": 8, "ckpt_interval_steps": 1}
MEMORY = 80 * 2**20
PATIENCE = 300

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/cmdline").exists(),
    reason="looks for processes in /proc, which Linux has",
)


@pytest.fixture(scope="module")
def cluster():
    """A head without CPUs and two machines of one each."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from ray.cluster_utils import Cluster

    options = {"object_store_memory": MEMORY}
    head = {"num_cpus": 0, "include_dashboard": False, **options}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, **options)
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture(scope="module")
def few(make_wav2vec2, tiny_wav2vec, tmp_path_factory):
    """Tiny models and 24 clips."""
    table = tmp_path_factory.mktemp("table") / "few.csv"
    write_table(table, pick_clips())
    models = SimpleNamespace(w2=make_wav2vec2(layerdrop=0.3), w1=tiny_wav2vec)
    return SimpleNamespace(table=table, models=models)


def make_run(few, results, **settings):
    """A V-FT run in a results folder."""
    settings = {**FEW, **settings}
    fold, seed = str(settings.pop("fold")), settings.pop("seed")
    yaml, *words = command_line(
        "train_vft", few.models, results, manifest=few.table, **settings
    )
    place = f"few/vft/nano/fold_{fold}/seed_{seed}"
    return Run(
        recipe="IEMOCAP",
        procedure="vft",
        yaml=ROOT / yaml,
        fold=fold,
        seed=seed,
        overrides=tuple(words),
        folder=Path(results) / place,
    )


@pytest.fixture(scope="module")
def undisturbed(few, tmp_path_factory):
    """Predictions of the run, carried out alone."""
    run = make_run(few, tmp_path_factory.mktemp("alone"))
    process = start(run.command()[1], run.command()[2:])
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    return (run.folder / "predictions.csv").read_bytes()


def processes(word):
    """Ids of the processes that have a word on their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(word).encode() in words:
            found.append(int(folder.name))
    return found


def ancestors(pid):
    """Ids of a process's parents, from the nearest on."""
    while pid > 1:
        # The name, in brackets, may hold anything.
        text = Path(f"/proc/{pid}/stat").read_text()
        pid = int(text.rpartition(")")[2].split()[1])
        yield pid


def wait_for(condition):
    """Waits until it holds; how long is the machine's affair."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def in_the_meantime(work):
    """Does something once beside the test; its exception is the test's."""
    caught = []

    def catch():
        try:
            work()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=catch)
    thread.start()
    return thread, caught


def execute(engine, run, work):
    """The outcome of a run to which something happens."""
    thread, caught = in_the_meantime(work)
    (outcome,) = engine.execute([run])
    thread.join()
    assert not caught, caught
    return outcome


def engine_of(cluster, **options):
    """An engine on the test's cluster."""
    return RayEngine(address=cluster.address, **options)


def test_lost_machine(cluster, few, undisturbed, tmp_path):
    """The run of a machine that dies goes on at the other one."""
    run = make_run(few, tmp_path)
    lost = []

    def lose():
        folder = run.folder / "save/classifier/checkpoints"
        wait_for(lambda: any(folder.glob("CKPT*")))
        (process,) = processes(tmp_path)
        # Halted, lest it end before its machine does.
        os.kill(process, signal.SIGSTOP)
        above = set(ancestors(process))
        (node,) = [
            node
            for node in cluster.worker_nodes
            if node.all_processes["raylet"][0].process.pid in above
        ]
        cluster.remove_node(node, allow_graceful=False)
        lost.append(process)
        assert not (run.folder / "predictions.csv").exists()

    outcome = execute(engine_of(cluster), run, lose)
    assert (outcome.run, outcome.returncode, outcome.error) == (run, 0, "")
    assert len(lost) == 1 and outcome.seconds > 0
    assert run.log.read_text().count("continues where it was stopped") == 1
    assert (run.folder / "predictions.csv").read_bytes() == undisturbed
    assert processes(tmp_path) == []


def test_home(cluster, few, undisturbed, tmp_path):
    """Killed here, it goes on in another folder from what lay at home."""
    home = tmp_path / "home"
    engine = engine_of(cluster, home=f"file://{home}")
    here = make_run(few, tmp_path / "here")
    there = make_run(few, tmp_path / "there")
    stage = home / "few/vft/nano/fold_03/seed_1/save/classifier"

    def kill():
        folder = here.folder / "save/classifier/checkpoints"
        wait_for(lambda: any(folder.glob("CKPT*")))
        # Halted, lest it end before its checkpoint is home.
        (process,) = processes(tmp_path / "here")
        os.kill(process, signal.SIGSTOP)
        wait_for(lambda: "CKPT.yaml" in read(stage / ".home.json"))
        os.kill(process, signal.SIGKILL)

    cut = execute(engine, here, kill)
    assert (cut.returncode, cut.error) == (-9, "ended by SIGKILL")
    (outcome,) = engine.execute([there])
    assert (outcome.returncode, outcome.error) == (0, "")
    assert "classifier: continues where it was stopped" in there.log.read_text()
    for folder in (there.folder, stage.parents[1]):
        assert (folder / "predictions.csv").read_bytes() == undisturbed
    assert not list(home.rglob("CKPT*/*"))


def read(path):
    """The text of a file, if there is one."""
    return path.read_text() if path.exists() else ""


def test_closing_stops_what_runs(cluster, few, tmp_path):
    """One fails, which is told; the other is stopped with the plan."""
    bad = make_run(few, tmp_path / "bad", fold="09")
    long = make_run(few, tmp_path / "long", epochs=1000)
    engine = engine_of(cluster, cpus_per_run=0.5)
    handler = signal.getsignal(signal.SIGTERM)
    with closing(engine.execute([bad, long])) as outcomes:
        outcome = next(outcomes)
        assert signal.getsignal(signal.SIGTERM) is handler
        assert (outcome.run, outcome.returncode) == (bad, 2)
        assert "09" in outcome.error
        wait_for(lambda: processes(tmp_path / "long"))
    wait_for(lambda: not processes(tmp_path / "long"))


@pytest.mark.parametrize(
    "options, told",
    [
        ({"gpus_per_run": 0.5}, "no machine of the Ray cluster has 0.5 GPU"),
        ({"cpus_per_run": 64}, "and 64 CPU.* for a run"),
    ],
)
def test_no_machine_is_large_enough(cluster, few, tmp_path, options, told):
    """Said at once, not waited for."""
    engine = engine_of(cluster, **options)
    with pytest.raises(InputError, match=told):
        next(engine.execute([make_run(few, tmp_path)]))


def test_without_ray(monkeypatch):
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'ser_brain\[ray\]'"):
        next(RayEngine(address="127.0.0.1:1").execute([]))


@pytest.mark.parametrize(
    "address, reason",
    [
        ("127.0.0.1:1", "refused"),
        ("127.0.0.1:99999", "."),
        ("ray://127.0.0.1:10001", "client protocol"),
        ("somewhere", "Invalid address format"),
    ],
)
def test_unreachable(address, reason):
    """One sentence, soon."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with pytest.raises(InputError, match=f"{address}.*{reason}"):
        next(RayEngine(address=address).execute([]))


@pytest.mark.parametrize(
    "options, told",
    [
        ({"gpus_per_run": 2}, "--gpus_per_run is 2: .* torchrun"),
        ({"gpus_per_run": -1}, "--gpus_per_run is -1"),
        ({"cpus_per_run": 0}, "--cpus_per_run is 0"),
        ({"home": "nothing://x"}, "--home nothing://x cannot be opened"),
        ({"home": "file:///proc/x"}, "--home file:///proc/x cannot be written"),
    ],
)
def test_bad_options(options, told):
    """Refused before anything is asked of a cluster."""
    with pytest.raises(InputError, match=told):
        RayEngine(**options)
