"""One run of a plan, how it ended, and the interface of an engine."""

import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ser_brain.assets import ROOT
from ser_brain.errors import InputError

LOG = "process.log"
# How an InputError is printed. The end of the log has it, or a traceback.
TOLD = "error: "
TAIL_BYTES = 20_000
# Method files whose script is not called after them.
SCRIPTS = {
    "pseudo": "extract_pseudo.py",
    "fcn": "train_vft.py",
    "wav2vec_frozen": "train_frozen.py",
    "layer_weights": "train_frozen.py",
    "audio_text": "train_bimodal.py",
    "audio_asr": "train_bimodal.py",
}


@dataclass(frozen=True)
class Run:
    """One fold and seed: an ordinary recipe process and its run folder.

    Arguments
    ---------
    recipe : str
        "SAVEE", a folder below ``recipes``, or the path of such a folder.
    procedure : str
        "vft", "tapt", "ptapt": selects the script of the folder.
    yaml : Path
        The method file.
    fold : str
        The fold that is tested.
    seed : int
        Seed of the run.
    overrides : tuple of str
        Further words of the command line.
    folder : Path
        The run folder, which the recipe creates.

    Example
    -------
    >>> run = Run("SAVEE", "vft", Path("vft.yaml"), "DC", 2, (), Path("runs"))
    >>> [Path(run.command()[1]).name, *run.command()[2:]]
    ['train_vft.py', 'vft.yaml', '--fold', 'DC', '--seed', '2',
     '--noprogressbar']
    """

    recipe: str
    procedure: str
    yaml: Path
    fold: str
    seed: int
    overrides: tuple[str, ...]
    folder: Path

    @property
    def name(self):
        """A description of the run: ``fold DC, seed 2``."""
        return f"fold {self.fold}, seed {self.seed}"

    @property
    def log(self):
        """The file with the output of its process."""
        return self.folder / LOG

    def command(self):
        """The command line of the process, as a user would type it."""
        script = recipe_folder(self.recipe) / script_name(self.procedure)
        words = ["--fold", self.fold, "--seed", str(self.seed)]
        words += [*self.overrides, "--noprogressbar"]
        return [sys.executable, str(script), str(self.yaml), *words]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Arguments
    ---------
    run : Run
        The run.
    returncode : int
        Exit code of its process; 0 for success, negative for a signal.
    error : str
        Error in one sentence; empty if there is none.
    seconds : float
        Wall time of the process.
    """

    run: Run
    returncode: int
    error: str
    seconds: float


class Engine(Protocol):
    """Interface of what executes the runs of a plan."""

    def execute(self, runs: Iterable[Run]) -> Iterator[Outcome]:
        """Execute runs.

        Arguments
        ---------
        runs : iterable of Run
            In the order in which they should start.

        Yields
        ------
        Outcome
            One per run, in the order in which they end. Closing the iterator
            stops runs that are still running.
        """


def script_name(procedure):
    """Return the script of a procedure.

    Example
    -------
    >>> script_name("ptapt"), script_name("pseudo"), script_name("fcn")
    ('train_ptapt.py', 'extract_pseudo.py', 'train_vft.py')
    """
    return SCRIPTS.get(procedure, f"train_{procedure}.py")


def recipe_folder(recipe):
    """Find the folder of a recipe's scripts.

    Arguments
    ---------
    recipe : str or Path
        A folder below ``recipes``, or a path.

    Raises
    ------
    InputError
        If there is none.

    Example
    -------
    >>> recipe_folder("SAVEE").name
    'SAVEE'
    >>> recipe_folder("SAVE")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: There is no recipe 'SAVE': the recipes are ...
    """
    recipes = ROOT / "recipes"
    own = Path(recipe).expanduser()
    for folder in (recipes / recipe, own, ROOT / own):
        if folder.is_dir() and any(folder.glob("train_*.py")):
            return folder
    known = sorted(path.parent.name for path in recipes.glob("*/train_vft.py"))
    raise InputError(
        f"There is no recipe {str(recipe)!r}: the recipes are "
        f"{', '.join(known)}; give one, or the path of a script."
    )


def find_recipe(recipe, yaml):
    """Find the recipe and procedure that a user requests.

    Arguments
    ---------
    recipe : str
        A folder below ``recipes``, or the path of a folder or script.
    yaml : str or Path
        The method file, after which a folder's script is chosen.

    Returns
    -------
    tuple of str
        Recipe and procedure as for ``Run``, and the corpus, which is the name
        of the recipe's folder.

    Raises
    ------
    InputError
        If there is no such script, or it tests nothing.

    Example
    -------
    >>> find_recipe("recipes/SAVEE/train_vft.py", "hparams/vft.yaml")
    ('SAVEE', 'vft', 'SAVEE')
    >>> find_recipe("IEMOCAP", "hparams/ptapt.yaml")
    ('IEMOCAP', 'ptapt', 'IEMOCAP')
    """
    path = Path(recipe).expanduser()
    script = script_name(Path(yaml).stem)
    if path.suffix == ".py":
        path, script = path.parent, path.name
    folder = recipe_folder(path)
    if not (folder / script).is_file() or not script.startswith("train_"):
        known = ", ".join(sorted(p.name for p in folder.glob("train_*.py")))
        raise InputError(
            f"{folder} has no script {script} that trains and tests: the "
            f"scripts are {known}."
        )
    ours = folder.resolve().parent == ROOT / "recipes"
    name = folder.name if ours else str(folder.resolve())
    procedure = script.removeprefix("train_").removesuffix(".py")
    return name, procedure, folder.resolve().name


def last_error(log, returncode):
    """Read the last message of a process that failed.

    Arguments
    ---------
    log : Path
        Its output.
    returncode : int
        As in subprocess.

    Returns
    -------
    str
        One line; empty for 0.

    Example
    -------
    >>> last_error(Path("/nowhere"), 0)
    ''
    >>> last_error(Path("/nowhere"), -9)
    'ended by SIGKILL'
    """
    if returncode == 0:
        return ""
    if returncode < 0:
        return f"ended by {signal.Signals(-returncode).name}"
    lines = _last_lines(log)
    told = [line for line in lines if line.startswith(TOLD)]
    if told:
        return told[-1].removeprefix(TOLD)
    return lines[-1] if lines else f"exit code {returncode}, nothing said"


def _last_lines(log):
    """The lines at the end of a log, without empty ones."""
    text = log.read_bytes()[-TAIL_BYTES:].decode("utf-8", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]
