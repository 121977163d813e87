"""``ser-brain doctor``: what is installed, what is missing, how to fix it."""

import os
import platform
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path

from ser_brain import __version__
from ser_brain.errors import InputError
from ser_brain.reporting.formats import counted

HELP = "what is installed, what is missing, how to fix it"
EXAMPLES = ("ser-brain doctor",)
HUB_MODEL = "facebook/wav2vec2-base"
HUB_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
ASSETS = ("nano_wav2vec2", "nano_wav2vec", "whisper_tiny_en", "mini_corpus")


@dataclass(frozen=True)
class Finding:
    """One thing that the doctor checked.

    Arguments
    ---------
    name : str
        What was checked.
    detail : str
        What was found.
    fix : str
        What to do about it; empty if nothing is wrong.
    vital : bool
        Whether nothing works until it is fixed.
    """

    name: str
    detail: str
    fix: str = ""
    vital: bool = False


def add_arguments(sub):
    """The doctor takes no arguments.

    Arguments
    ---------
    sub : argparse.ArgumentParser
        The subparser of ``doctor``.
    """


def run(arguments):
    """Print what is installed, and how to fix each gap."""
    findings = {
        "Installed": [*check_packages(), check_torch_pair()],
        "Devices": [*check_devices()],
        "Corpora": [*check_corpora()],
        "Checkpoints": [*check_assets(), check_hub(), check_wav2vec_large()],
    }
    for title, group in findings.items():
        print(f"\n{title}")
        for finding in group:
            mark = "gap" if finding.fix else "ok"
            print(f"  {mark:<4}{finding.name:<24}{finding.detail}")
            if finding.fix:
                print(f"      -> {finding.fix}")
    every = [finding for group in findings.values() for finding in group]
    gaps = [finding for finding in every if finding.fix]
    print(f"\n{len(every)} looked at, {counted(len(gaps), 'gap')}")
    return 1 if any(finding.vital for finding in gaps) else 0


def check_packages():
    """Compare the requirements of setup.py with what is installed."""
    from packaging.requirements import Requirement

    yield Finding("python", platform.python_version())
    try:
        asked = metadata.requires("ser_brain")
    except metadata.PackageNotFoundError:
        fix = "pip install -e . in the repository's folder"
        yield Finding("ser_brain", "not installed", fix, vital=True)
        return
    yield Finding("ser_brain", __version__)
    for requirement in map(Requirement, asked):
        if requirement.marker is None:
            yield _check_package(requirement)


def _check_package(requirement):
    """Check one requirement that is not an extra."""
    fix = f"pip install '{requirement}'"
    try:
        found = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding(requirement.name, "not installed", fix, vital=True)
    if requirement.specifier.contains(found, prereleases=True):
        return Finding(requirement.name, found)
    detail = f"{found}, but {requirement.specifier} is needed"
    return Finding(requirement.name, detail, fix, vital=True)


def check_torch_pair():
    """Check that torch and torchaudio import and are of the same release."""
    name = "torch with torchaudio"
    fix = "install the torch and torchaudio of one release and one CUDA"
    try:
        pair = [import_module(part) for part in ("torch", "torchaudio")]
    # A torchaudio of another CUDA version raises RuntimeError or OSError.
    except (ImportError, OSError, RuntimeError) as error:
        return Finding(name, str(error), fix, vital=True)
    releases = [part.__version__.split("+")[0] for part in pair]
    detail = " with ".join(part.__version__ for part in pair)
    if releases[0].split(".")[:2] != releases[1].split(".")[:2]:
        return Finding(name, detail, fix, vital=True)
    return Finding(name, detail)


def check_devices():
    """List the processor's cores and every GPU that torch sees."""
    yield Finding("cpu", f"{os.cpu_count()} cores")
    try:
        import torch

        gpus = [
            torch.cuda.get_device_properties(number)
            for number in range(torch.cuda.device_count())
        ]
    except (ImportError, OSError, RuntimeError) as error:
        yield Finding("gpu", str(error), "fix torch first, see above")
        return
    for number, gpu in enumerate(gpus):
        memory = f"{gpu.total_memory / 2**30:.0f} GiB"
        yield Finding(f"cuda:{number}", f"{gpu.name}, {memory}")
    if not gpus:
        fix = "nano scale runs on the CPU; full scale needs a CUDA GPU"
        yield Finding("gpu", "none that torch can use", fix)


def check_corpora():
    """Check for each corpus where it is and whether it is complete."""
    from ser_brain.corpora import CORPORA

    for corpus in CORPORA.values():
        try:
            yield _check_corpus(corpus)
        except InputError as error:
            fix = f"fix {corpus.environment} or the folder that it names"
            yield Finding(corpus.name, str(error), fix)


def _check_corpus(corpus):
    """Check one corpus by its labels only: no audio is decoded."""
    from ser_brain.corpora import (
        count_differences,
        find_data_folder,
        read_corpus,
    )
    from ser_brain.corpora.mini import is_mini

    folder = find_data_folder(corpus)
    if folder is None:
        fix = (
            f"set {corpus.environment} or give --data_folder (to have it, "
            f"ask {corpus.source}); until then the mini corpus is used"
        )
        return Finding(corpus.name, "no folder is named", fix)
    clips = read_corpus(corpus, folder).clips
    detail = f"{folder}, {counted(len(clips), 'clip')}"
    if is_mini(folder):
        fix = f"let {corpus.environment} name the real corpus"
        return Finding(corpus.name, f"{detail} of the mini corpus", fix)
    differences = count_differences(corpus, clips)
    if differences:
        detail = f"{detail}, incomplete: {'; '.join(differences)}"
        fix = "copy it again, or pass --allow_incomplete to the recipes"
        return Finding(corpus.name, detail, fix)
    return Finding(corpus.name, f"{detail}, complete")


def check_assets():
    """Check the files that come with the package."""
    from ser_brain.assets import folder

    for name in ASSETS:
        try:
            folder(name)
        except InputError:
            fix = "install ser_brain again from a whole copy"
            yield Finding(name, "missing", fix)
        else:
            yield Finding(name, "embedded")


def check_hub():
    """Look for wav2vec 2.0 base in the hub's cache, without a download."""
    from huggingface_hub import try_to_load_from_cache

    names = ("config.json", *HUB_WEIGHTS)
    config, *weights = [try_to_load_from_cache(HUB_MODEL, n) for n in names]
    # The cache also records, by an object, files that the hub lacks.
    if isinstance(config, str) and any(isinstance(w, str) for w in weights):
        return Finding(HUB_MODEL, str(Path(config).parent))
    fix = (
        "the first full-scale run downloads it; without a network copy its "
        "folder here and give --encoder DIR"
    )
    return Finding(HUB_MODEL, "not in the hub's cache", fix)


def check_wav2vec_large():
    """Look for wav2vec 1.0 large, which P-TAPT needs at full scale."""
    named = os.environ.get("WAV2VEC_LARGE")
    path = Path(named or "wav2vec_large.pt")
    # The recipes also accept a folder that this toolkit wrote.
    if path.exists():
        return Finding("wav2vec_large.pt", str(path.absolute()))
    fix = (
        "download wav2vec_large.pt (fairseq, examples/wav2vec) and let "
        "WAV2VEC_LARGE name it; only P-TAPT at full scale needs it"
    )
    detail = f"WAV2VEC_LARGE names {path}, which is not there"
    return Finding("wav2vec_large.pt", detail if named else "not found", fix)
