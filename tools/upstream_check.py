"""Runs SpeechBrain's own checks on the exported recipes.

    python tools/upstream_check.py /path/to/speechbrain

The checkout is left as it is: the recipes are exported into a clone of it
below build/upstream. An environment beside the clone has the linters at the
versions that SpeechBrain pins, and sees the clone and the packages of this
one, but not ser_brain.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import yaml
from export_upstream import PROCEDURES, RECIPES, ROOT, export

from ser_brain.errors import InputError, exit_code

BUILD = ROOT / "build" / "upstream"
# The packages of the hooks in SpeechBrain's .pre-commit-config.yaml.
LINTERS = {
    "pre-commit-hooks": "pre-commit-hooks",
    "ruff-pre-commit": "ruff",
    "yamllint": "yamllint",
    "codespell": "codespell",
}
# What runs one recipe of SpeechBrain's tables on its samples.
DEBUG = """
import sys
from tests.utils.recipe_tests import run_recipe_tests
passed = run_recipe_tests(
    filters_fields=["Hparam_file"], filters=[sys.argv[1]]
)
sys.exit(not passed)
"""


def clone(checkout):
    """A fresh clone of the commit that a checkout is at.

    Arguments
    ---------
    checkout : Path
        Of SpeechBrain.

    Returns
    -------
    Path
        The clone.

    Raises
    ------
    InputError
        If it is not a git checkout.
    """
    if not (checkout / ".git").exists():
        raise InputError(
            f"{checkout} is not a git checkout: clone "
            "https://github.com/speechbrain/speechbrain and give its folder."
        )
    target = BUILD / "speechbrain"
    shutil.rmtree(target, ignore_errors=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    words = ["git", "clone", "--quiet", "--shared", checkout.resolve(), target]
    subprocess.run(words, check=True)
    return target


def environment(target):
    """An environment with the pinned linters that sees the clone.

    Arguments
    ---------
    target : Path
        The clone.

    Returns
    -------
    dict
        Environment variables with which its programs are found.
    """
    folder = BUILD / "venv"
    if not folder.is_dir():
        venv.create(folder, with_pip=True)
    base = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "posix_prefix", base))
    # In this order, and without the .pth file that leads to ser_brain.
    packages = [sysconfig.get_path(kind) for kind in ("purelib", "platlib")]
    paths = [str(target), *dict.fromkeys(packages)]
    (site / "clone.pth").write_text("\n".join(paths) + "\n", "utf-8")
    text = (target / ".pre-commit-config.yaml").read_text("utf-8")
    repos = {
        Path(repo["repo"]).name: repo["rev"].lstrip("v")
        for repo in yaml.safe_load(text)["repos"]
    }
    pins = [f"{LINTERS[name]}=={repos[name]}" for name in LINTERS]
    installed = folder / "pins.txt"
    if not installed.is_file() or installed.read_text("utf-8").split() != pins:
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", *pins, "pathspec"], check=True)
        installed.write_text("\n".join(pins), "utf-8")
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    return {
        **{k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        "PATH": path,
        "VIRTUAL_ENV": str(folder),
        "HF_HUB_OFFLINE": "1",
    }


def checks(paths):
    """SpeechBrain's checks, as (what, command).

    Arguments
    ---------
    paths : list of str
        Exported files, relative to the checkout.

    Yields
    ------
    tuple
        What is checked, and the words of the command.
    """
    scripts = [path for path in paths if path.endswith(".py")]
    needs = [path for path in paths if path.endswith("requirements.txt")]
    ignored = [".dict-speechbrain.txt", "*.ipynb", "'base64,.*?=='"]
    spelling = zip(("ignore-words", "skip", "ignore-regex"), ignored)
    yield "linters", ["bash", "tests/.run-linters.sh"]
    words = [f"--{name}={value}" for name, value in spelling]
    yield "codespell", ["codespell", *words, *paths]
    yield "trailing whitespace", ["trailing-whitespace-fixer", *paths]
    yield "end of files", ["end-of-file-fixer", *scripts]
    yield "requirements", ["requirements-txt-fixer", *needs]
    pytest = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    consistency = [
        f"tests/consistency/test_{name}.py"
        for name in ("recipe", "yaml", "docstrings")
    ]
    yield "consistency", [*pytest, *consistency]
    examples = ["speechbrain/lobes/models/ptapt"]
    examples += ["speechbrain/integrations/models/wav2vec"]
    yield "docstring examples", [*pytest, "--doctest-modules", *examples]
    yield (
        "unit tests",
        [*pytest, "speechbrain/integrations/tests/test_ptapt.py"],
    )
    for folder in RECIPES.values():
        for script in PROCEDURES:
            hparams = f"{folder}/hparams/{script}.yaml"
            yield hparams, ["python", "-c", DEBUG, hparams]


def run(checkout, only=""):
    """Exports the recipes and runs every check, or those that are named.

    Arguments
    ---------
    checkout : Path
        Of SpeechBrain.
    only : str
        Part of the names of the checks to run.

    Returns
    -------
    int
        How many of them failed.
    """
    target = clone(checkout)
    paths = export(target)
    variables = environment(target)
    subprocess.run(["git", "add", "--all"], cwd=target, check=True)
    failed = 0
    for name, words in checks(paths):
        if only not in name:
            continue
        ended = subprocess.run(
            words, cwd=target, env=variables, capture_output=True, text=True
        )
        good = ended.returncode == 0
        print(f"{'passed' if good else 'FAILED'}  {name}", flush=True)
        if not good:
            failed += 1
            print(ended.stdout[-4000:], ended.stderr[-4000:], flush=True)
    print(f"{failed} checks failed", flush=True)
    return failed


def main():
    """Reads the command line."""
    if len(sys.argv) not in (2, 3) or not sys.argv[1]:
        print(__doc__, file=sys.stderr)
        return 2
    return exit_code(lambda: int(run(Path(sys.argv[1]), *sys.argv[2:]) > 0))


if __name__ == "__main__":
    sys.exit(main())
