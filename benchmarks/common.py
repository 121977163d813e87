"""Common code of the benchmarks: the machine, warm-up, figures on disk."""

import json
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CACHE = ROOT / "results" / "cache" / "benchmarks"
PACKAGES = ("torch", "torchaudio", "speechbrain", "transformers")
PACKAGES += ("scikit-learn", "numpy", "faiss-cpu")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def machine():
    """Properties that every figure depends on.

    Returns
    -------
    dict
        Cores, memory in GB, instruction sets, GPU and versions.
    """
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    found = {
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages * size / 2**30, 1),
        "instructions": instructions(),
        "gpu": None,
        "python": platform.python_version(),
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def instructions():
    """The processor's instruction sets that matrix products use."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split("flags", 2)[1]
    except (OSError, IndexError):
        return [torch.backends.cpu.get_cpu_capability()]
    return [name for name in INSTRUCTIONS if name in flags.split()]


def memory(pid):
    """Memory of a process in MB: the peak of all, and what is its own now.

    Not getrusage's peak: that starts at what the parent had.
    """
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.findall(r"^(VmHWM|RssAnon):\s+(\d+) kB", text, re.MULTILINE)
    names = {"VmHWM": "peak_mb", "RssAnon": "own_mb"}
    return {names[name]: int(number) / 1024 for name, number in found}


def write_report(name, report):
    """Writes ``results/<name>.json``, with the machine it was measured on.

    Arguments
    ---------
    name : str
        The benchmark.
    report : dict
        Settings and figures; JSON values.

    Returns
    -------
    Path
        The file.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    report = {**report, "machine": machine(), "load": os.getloadavg()}
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return path


def read_report(name):
    """Reads what ``write_report`` wrote, or an empty dict if there is none."""
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return {}
    return json.loads(path.read_text(encoding="utf-8"))
