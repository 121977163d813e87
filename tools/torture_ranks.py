"""Recipes on several processes: the same weights, and one end for all.

Each objective takes ten updates or more on one process, and the same on
several (gloo): batches that they share unevenly, batches of fewer utterances
than processes, batches counted in seconds, dropped layers and weighted losses
among them. P3 starts from the pseudo-labels that one process made. Every
weight must be the same to 1e-6, every posterior, and the same files be there.
Then one of the processes fails, is killed, or is asked to end: the others must
end, too.
"""

import json
import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import recipe_trials as trials

HELP = "the same weights on one, two and four processes"
TOLERANCE = 1e-6
# After which all processes must have ended when one has failed.
END_SECONDS = 30
MODELS = ("model.safetensors", "head.safetensors")
# Adam moves a weight whose gradient is nothing but rounding as far as any
# other. These have none: softmax does not see what all keys have in common.
BLIND = ("k_proj.bias",)
STEPS = {"adaptation_steps": 10, "adaptation_checkpoint_steps": 10}
# Recipe, settings, and the sub-folders in which weights are compared.
CASES = {
    "V-FT": ("train_vft", {"epochs": 4, "batch_size": 5}, "classifier"),
    "frozen": (
        "train_frozen",
        {"head_epochs": 4, "head_batch_size": 5},
        "classifier",
    ),
    "TAPT": (
        "train_tapt",
        {"adaptation_batch_size": 5, "micro_batch_seconds": 4, **STEPS},
        "adapted",
    ),
    "P1": (
        "extract_pseudo",
        {"states_steps": 10, "states_checkpoint_steps": 10},
        "emotion_states",
    ),
    # Some batches hold two utterances, for four processes.
    "P3": (
        "train_ptapt",
        {"adaptation_batch_seconds": 5.0, **STEPS},
        "adapted",
    ),
}


def add_arguments(parser):
    """Add the arguments of this part."""
    parser.add_argument("--worlds", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--folder", type=Path, help="kept; else a temporary")


def run(arguments):
    """Compare all objectives; the number of those that differ."""
    trials.import_everything()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="ranks-"))
    inputs = trials.make_inputs(folder / "inputs", **trials.NO_DROPOUT)
    pseudo = folder / "pseudo"
    broken, largest = [], {}
    for case, (recipe, settings, stage) in CASES.items():
        alone = folder / case / "1"
        for world in (1, *arguments.worlds):
            results = folder / case / str(world)
            if case == "P3":
                shutil.copytree(pseudo, results)
            words = trials.command(recipe, inputs, results, **settings)
            log = folder / f"{case}-{world}.log"
            codes = start(words, log, world)
            if any(codes):
                told = log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"exit codes {codes}: {words}\n{told}")
            if case == "P1" and world == 1:
                shutil.copytree(results, pseudo)
            faults, error = compare(results, alone, stage)
            if log.read_text(errors="replace").count("recall angry") > 1:
                faults.append("results are printed more than once")
            print(f"{case}, {world} processes: {error:.1e}", flush=True)
            largest[case] = max(largest.get(case, 0), error)
            if faults:
                broken.append(case)
                print(f"DIFFERS: {results}: {faults}", flush=True)
    print(json.dumps({"largest difference": largest}), flush=True)
    for fault in (refuse, be_killed, be_asked):
        told = ends_together(folder / fault.__name__, inputs, fault)
        print(f"{fault.__name__}: {told or 'all ended'}", flush=True)
        broken += [fault.__name__] if told else []
    if arguments.folder is None and not broken:
        shutil.rmtree(folder)
    return len(broken)


def start(words, log, world, before=None, seconds=None):
    """Runs a recipe on some processes.

    Returns
    -------
    list of int
        Their exit codes; None for one that had to be killed after so many
        seconds.
    """
    common = {"WORLD_SIZE": str(world), **address()}
    processes = []
    for rank in range(world if world > 1 else 0):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), **common}
        processes.append(trials.fork(words, log, own, before))
    if world == 1:
        processes.append(trials.fork(words, log))
    codes = [trials.wait(process, seconds) for process in processes]
    for process, code in zip(processes, codes):
        if code is None:
            trials.kill(process)
    return codes


def refuse():
    """What a process does that meets bad input."""
    from ser_brain.errors import InputError

    raise InputError("clip 7 cannot be read: copy it again.")


def be_killed():
    """What becomes of a process whose machine runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def be_asked():
    """What a cluster sends to one process, or to all of them."""
    os.kill(os.getpid(), signal.SIGTERM)


def ends_together(folder, inputs, fault):
    """Something happens to one of three processes in its fourth update.

    Returns
    -------
    str
        What was not as it should be; empty if all was.
    """
    words = trials.command("train_vft", inputs, folder / "results", epochs=9)
    log = folder / "log"
    folder.mkdir()
    began = folder / "failed"

    def before():
        from ser_brain.brains import UtteranceBrain

        fit_batch = UtteranceBrain.fit_batch

        def failing(brain, batch):
            if brain.process_rank == 1 and brain.update == 3:
                began.write_text(str(time.time()))
                fault()
            return fit_batch(brain, batch)

        UtteranceBrain.fit_batch = failing

    codes = start(words, log, 3, before, seconds=600)
    if fault is be_asked:
        left = list(folder.rglob("checkpoints/CKPT*"))
        asked = codes == [128 + signal.SIGTERM] * 3 and left
        again = asked and start(words, log, 3)
        return "" if again == [0] * 3 else f"exit codes {codes}, {again}"
    if None in codes or 0 in codes:
        return f"exit codes {codes}"
    seconds = time.time() - float(began.read_text())
    if seconds > END_SECONDS:
        return f"the last of them ended after {seconds:.0f} s"
    told = log.read_text(errors="replace")
    if fault is refuse and told.count("error: clip 7 cannot be read") != 1:
        return "its reason is not told"
    if told.count("error: another of the data-parallel processes") != 2:
        return "the others do not tell why they end"
    return ""


def address():
    """Where processes find each other: a port of this machine."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def compare(found, expected, stage):
    """What differs between two results folders.

    Returns
    -------
    faults : list of str
        Names of files that are missing, too many or too different.
    error : float
        Largest difference of a weight of the stage or of a posterior.
    """
    names, wanted = files_of(found), files_of(expected)
    faults = sorted(set(names) ^ set(wanted))
    largest = 0.0
    for name in names.keys() & wanted.keys():
        if f"/save/{stage}/" in name and name.endswith(MODELS):
            error = weight_error(names[name], wanted[name])
        elif name.endswith("posteriors.json"):
            error = posterior_error(names[name], wanted[name])
        else:
            continue
        largest = max(largest, error)
        if error > TOLERANCE:
            faults.append(f"{name} by {error:.1e}")
    return faults, largest


def files_of(results):
    """Files below a folder, without what their names hold by chance.

    Returns
    -------
    dict
        Name -> path. The key of a front-end cache depends on the weights of
        the CNN to the last bit.
    """
    found = {}
    for path in results.rglob("*"):
        if path.is_file():
            name = path.relative_to(results).as_posix()
            name = name.split("events.out.tfevents")[0]
            folder, _, last = name.rpartition("front_end/")
            found[f"{folder}front_end" if folder else last] = path
    return found


def weight_error(path, other):
    """Largest difference of two weights, of those that have a gradient."""
    from safetensors.torch import load_file

    one, two = load_file(path), load_file(other)
    if one.keys() != two.keys():
        return float("inf")
    return max(
        float((one[name].double() - two[name].double()).abs().max())
        for name in one
        if not name.endswith(BLIND)
    )


def posterior_error(path, other):
    """Largest difference of two posteriors; infinite for other clips."""
    one, two = (json.loads(each.read_text()) for each in (path, other))
    if one.keys() != two.keys():
        return float("inf")
    return max(
        abs(first - second)
        for name in one
        for first, second in zip(one[name], two[name], strict=True)
    )
