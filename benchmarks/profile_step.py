"""Profile of one of our own updates.

    python benchmarks/profile_step.py --data_folder /path/to/SAVEE

One update of the full-size model under torch's profiler: processor time by
kind of work. Writes benchmarks/results/profile_<task>_<precision>.json.
"""

import argparse
import os
import tempfile
from pathlib import Path

import torch
from common import ROOT, write_report
from torch.profiler import ProfilerActivity, profile

# Kinds of work, and the parts of names of torch's operators that do it.
KINDS = {
    "matrix products": ("addmm", "::mm", "bmm", "linear", "matmul"),
    "attention": ("attention", "softmax"),
    "convolutions": ("conv",),
    "GELU": ("gelu",),
    "norms": ("norm",),
    "dropout": ("bernoulli", "dropout", "random_", "_keep"),
    "optimizer": ("adam", "optimizer"),
    "copies and casts": ("copy", "::to", "::cat", "contiguous", "clone"),
}


def kind_of(name):
    """The kind of work that an operator does.

    Example
    -------
    >>> kind_of("aten::gelu_backward")
    'GELU'
    """
    lower = name.lower()
    for kind, parts in KINDS.items():
        if any(part in lower for part in parts):
            return kind
    return "other"


def shares(events):
    """Share of each kind, and of the largest operators, largest first."""
    total = sum(event.self_cpu_time_total for event in events)
    kinds, names = {}, {}
    for event in events:
        share = event.self_cpu_time_total / total
        names[event.key] = share
        kind = kind_of(event.key)
        kinds[kind] = kinds.get(kind, 0.0) + share
    return ordered(kinds), dict(list(ordered(names).items())[:15])


def ordered(parts):
    """Largest first, rounded."""
    pairs = sorted(parts.items(), key=lambda pair: -pair[1])
    return {name: round(share, 3) for name, share in pairs}


def main():
    """Reads the command line, profiles, writes the figures."""
    from full_size import random_checkpoints
    from ours import OurStep
    from steps import corpus_words, draw_batch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", help="a copy of SAVEE")
    parser.add_argument("--task", default="V-FT")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    os.chdir(ROOT)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as scratch:
        random_checkpoints(Path(scratch))
        words = corpus_words(arguments.data_folder, scratch)
        utterances, words = draw_batch(arguments.batch_size, words)
        words += ["--precision", arguments.precision]
        step = OurStep(arguments.task, utterances, words)
        if arguments.task != "TAPT":
            step.fill_cache()
        step.update(utterances[:2])
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            step.update(utterances)
    kinds, operators = shares(profiler.key_averages())
    for name, share in {**kinds, "": 0, **operators}.items():
        print(f"{100 * share:5.1f} %  {name}")
    report = {**vars(arguments), "kinds": kinds, "operators": operators}
    report["data_folder"] = "SAVEE" if arguments.data_folder else "mini corpus"
    name = f"profile_{arguments.task}_{arguments.precision}"
    write_report(name, report)


if __name__ == "__main__":
    main()
