"""Training steps: ours, plain transformers, and SpeechBrain's.

    python benchmarks/steps.py --data_folder /path/to/SAVEE

Full-size wav2vec2-base with random weights over real clips, the same clips
for all. Each measurement is a process of its own, and the contenders take
turns. Without --data_folder the clips are those of the embedded mini corpus.
Writes benchmarks/results/steps.json.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch
from common import ROOT, memory, write_report

CONTENDERS = ("plain fp32", "plain bf16", "SpeechBrain fp32")
CONTENDERS += ("ours fp32", "ours bf16")
# Task, clips in a batch, how often the contenders take turns.
PLAN = (("V-FT", 16, 2), ("V-FT", 64, 1), ("P3", 16, 1), ("TAPT", 16, 1))


# ------------------------------------------------------------- one process
def contender(task, name, utterances, scratch, words, device):
    """A step that can be run, its cache filled; seconds that this took."""
    kind, precision = name.split()
    source = Path(scratch, "base")
    if kind == "ours":
        from ours import OurStep

        step = OurStep(task, utterances, [*words, "--precision", precision])
        begun = time.perf_counter()
        if task != "TAPT":
            step.fill_cache()
        return step, time.perf_counter() - begun
    from plain import PLAIN, SpeechBrainFineTuning

    plain = PLAIN[task] if kind == "plain" else SpeechBrainFineTuning
    return plain(source, precision, device=device), 0.0


def measure(pipe, *given):
    """``timed`` in the memory there is, so that no other process is killed."""
    limit = available_memory()
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        pipe.send(timed(*given))
    except (RuntimeError, MemoryError) as error:
        if "alloc" not in str(error) and not isinstance(error, MemoryError):
            raise
        pipe.send({"does_not_fit_gb": round(limit / 2**30, 1)})


def available_memory():
    """Bytes that a process may take without pushing others out."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(0.95 * 1024 * int(line.split()[1]))
    return resource.RLIM_INFINITY


def timed(task, name, utterances, scratch, words, arguments):
    """One timed update after a short one."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    os.chdir(ROOT)
    device = arguments.device
    step, front_end = contender(task, name, utterances, scratch, words, device)
    step.update(sorted(utterances, key=lambda one: len(one.signal))[:2])
    finished(device)
    begun = time.perf_counter()
    step.update(utterances)
    finished(device)
    return {
        "seconds": round(time.perf_counter() - begun, 2),
        "front_end_seconds": round(front_end, 2),
        "peak_memory_gb": round(peak_memory(device), 2),
    }


def finished(device):
    """Waits for what a GPU still computes."""
    if device != "cpu":
        torch.cuda.synchronize(device)


def peak_memory(device):
    """Of the process, or on the GPU, in GB."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return memory(os.getpid())["peak_mb"] / 1024


def in_process(*given):
    """``measure`` in a fresh process; its record, or how it ended."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(theirs, *given))
    process.start()
    theirs.close()
    try:
        record = mine.recv()
    except EOFError:
        record = None
    process.join()
    return record or {"exit_code": process.exitcode}


# --------------------------------------------------------------- the batch
def corpus_words(data_folder, scratch):
    """What recipes are told: full size, the corpus, where to write."""
    words = ["--scale", "full", "--num_workers", "0"]
    words += ["--results", str(Path(scratch, "results"))]
    words += ["--encoder", str(Path(scratch, "base"))]
    words += ["--front_end_cache", "memory"]
    return words + (["--data_folder", data_folder] if data_folder else [])


def draw_batch(count, words, seed=0):
    """Clips of the last fold's training part, as a shuffled batch has them.

    Returns
    -------
    utterances : list of SimpleNamespace
        Decoded.
    words : list of str
        The words that choose the same fold.
    """
    from ser_brain.dataio.utterances import as_list, utterance_dataset
    from ser_brain.experiment.outline import Outline

    outline = Outline(["hparams/vft.yaml", *words], "SAVEE")
    outline.prepare()
    words = [*words, "--fold", outline.fold_names()[-1]]
    outline = Outline(["hparams/vft.yaml", *words], "SAVEE")
    outline.prepare()
    outline.choose_fold()
    train = outline.fold.train
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(train), generator=generator)[:count]
    dataset = utterance_dataset(
        outline.manifest,
        [train[number] for number in chosen.tolist()],
        outline.data_folder,
        outline.classes,
    )
    return as_list(dataset), words


def padding_share(utterances, seconds=None):
    """Share of padding in a batch that is cut into parts of some seconds."""
    from ser_brain.dataio.budget import padded_seconds
    from ser_brain.dataio.utterances import micro_batches

    parts = micro_batches(utterances, seconds)
    whole = sum(len(one.signal) for one in utterances) / 16000
    return round(1 - whole / sum(map(padded_seconds, parts)), 3)


# -------------------------------------------------------------- the figures
def rates(device):
    """The machine's matrix products, fp32 and bf16, a second."""
    from roof import matrix_rate

    kinds = {"fp32": torch.float, "bf16": torch.bfloat16}
    return {name: matrix_rate(kind, device) for name, kind in kinds.items()}


def take_turns(task, size, turns, words, scratch, arguments):
    """Records of all contenders, the clips, and the matrix rates between."""
    utterances, words = draw_batch(size, words)
    names = [
        name
        for name in arguments.contenders
        if task == "V-FT" or not name.startswith("SpeechBrain")
    ]
    records, between = {name: [] for name in names}, [rates(arguments.device)]
    for turn in range(1, turns + 1):
        more = ["--seed", str(turn), "--device", arguments.device]
        for name in names:
            record = in_process(
                task, name, utterances, scratch, words + more, arguments
            )
            records[name].append(record)
            print(task, size, name, record, flush=True)
        between.append(rates(arguments.device))
    middle = {
        kind: statistics.median(one[kind] for one in between)
        for kind in between[0]
    }
    return records, utterances, middle


def front_end_passes(task, name):
    """How often an update runs the CNN: see ``roof.step_work``."""
    if task == "TAPT":
        return 3
    return 0 if name.startswith("ours") else 1


def figures(records, audio, operations, rate):
    """Median and spread of one contender, or how it ended."""
    for record in records:
        if "seconds" not in record:
            return record
    taken = sorted(record["seconds"] for record in records)
    middle = statistics.median(taken)
    return {
        "seconds": taken,
        "audio_per_second": {
            "median": round(audio / middle, 2),
            "low": round(audio / taken[-1], 2),
            "high": round(audio / taken[0], 2),
        },
        "front_end_seconds": records[0]["front_end_seconds"],
        "peak_memory_gb": max(one["peak_memory_gb"] for one in records),
        "share_of_matrix_rate": round(operations / middle / rate, 3),
    }


def measure_task(task, size, turns, words, scratch, arguments):
    """All figures of one task and batch."""
    from roof import step_work
    from transformers import Wav2Vec2Config

    from ser_brain.dataio.budget import CPU_SECONDS

    records, utterances, rate = take_turns(
        task, size, turns, words, scratch, arguments
    )
    config = Wav2Vec2Config.from_pretrained(Path(scratch, "base"))
    clips = [len(one.signal) for one in utterances]
    audio = sum(clips) / 16000
    rows = []
    for name, found in records.items():
        work = step_work(clips, config, front_end_passes(task, name))
        found = figures(found, audio, work, rate[name.split()[1]])
        rows.append({"task": task, "batch": size, "contender": name, **found})
    batch = {
        "task": task,
        "batch": size,
        "audio_seconds": round(audio, 1),
        "padding_whole": padding_share(utterances),
        "padding_in_parts": padding_share(utterances, CPU_SECONDS),
        "matrix_gflops": {kind: round(one / 1e9) for kind, one in rate.items()},
    }
    return batch, rows


def ratios(rows):
    """How many times as fast ours is as each of the others."""
    found = {}
    for row in rows:
        speed = row.get("audio_per_second", {}).get("median")
        place = found.setdefault(f"{row['task']} {row['batch']}", {})
        if speed is not None:
            place[row["contender"]] = speed
    return {
        place: {
            f"{ours} / {other}": round(speeds[ours] / speeds[other], 2)
            for ours in speeds
            for other in speeds
            if ours.startswith("ours") and not other.startswith("ours")
        }
        for place, speeds in found.items()
    }


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", help="a copy of SAVEE")
    parser.add_argument("--contenders", nargs="+", default=[*CONTENDERS])
    parser.add_argument(
        "--plan",
        nargs="+",
        default=[":".join(map(str, one)) for one in PLAN],
        help="TASK:BATCH:TURNS, such as V-FT:16:2",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="torch's own by default")
    parser.add_argument("--output", default="steps", help="of the JSON")
    return parser.parse_args()


def main():
    """Reads the command line, measures, writes the figures."""
    from full_size import random_checkpoints

    arguments = parse()
    os.chdir(ROOT)
    batches, rows = [], []
    with tempfile.TemporaryDirectory() as scratch:
        random_checkpoints(Path(scratch))
        words = corpus_words(arguments.data_folder, scratch)
        for line in arguments.plan:
            task, size, turns = line.split(":")
            given = (task, int(size), int(turns), words, scratch, arguments)
            batch, found = measure_task(*given)
            batches.append(batch)
            rows += found
    corpus = "SAVEE" if arguments.data_folder else "mini corpus"
    report = {
        "corpus": corpus,
        "device": arguments.device,
        "batches": batches,
        "steps": rows,
        "ratios": ratios(rows),
    }
    print(write_report(arguments.output, report))


if __name__ == "__main__":
    main()
