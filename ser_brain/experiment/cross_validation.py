"""From a user's table to a cross-validated model: folds, then all clips.

Each fold is an ordinary run of the frozen recipe below ``runs`` in the model's
folder, so that a killed one continues where it stopped. The model is one more
run, on all clips, whose run folder is the model's folder itself.
"""

import hashlib
import json
import logging
import os
import sys
import tempfile
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from threadpoolctl import threadpool_limits

from ser_brain.assets import ROOT
from ser_brain.bars import passing_bar
from ser_brain.brains import FrozenBrain
from ser_brain.corpora import as_speakers, folds, validated_classes, with_folds
from ser_brain.corpora.folds import ALL
from ser_brain.corpora.manifest import manifest_key
from ser_brain.dataio.audio import read_audio
from ser_brain.errors import InputError
from ser_brain.evaluation.baseline import log_mel_baseline
from ser_brain.experiment.experiment import Experiment
from ser_brain.experiment.outline import Outline
from ser_brain.experiment.stage import forget
from ser_brain.experiment.stages import train_head
from ser_brain.files import write_atomically

METHOD = str(ROOT / "hparams" / "frozen.yaml")
REQUEST = "train.json"
LOCK = "train.lock"
# What `different_request` compares, and how a difference is reported.
REQUESTED = {
    "clips": "from another table, or from other clips or labels",
    "audio": "from other audio in files of the same names",
    "settings": "with other settings",
}
# Files of a fold's classifier, apart from its score.
CLASSIFIER = ("encoder", "head.safetensors", "classifier.json")


@dataclass(frozen=True)
class Table:
    """A table of clips, read and checked, with its folds and classes.

    Arguments
    ---------
    name : str
        The stem of its file.
    data_folder : Path
        The folder for which ``{data_root}`` in the manifest stands.
    manifest : dict
        Every clip with its class and fold.
    rule : str
        The kind of folds, as :func:`ser_brain.corpora.with_folds` returns it.
    settings_key : str
        Hash of the settings that a model depends on.
    batch_size : int
        Batch size of the settings, which a small table may not fill.
    """

    name: str
    data_folder: Path
    manifest: dict
    rule: str
    settings_key: str
    batch_size: int

    @property
    def validated(self):
        """The clips of the classes that folds can both learn and test."""
        classes = validated_classes(self.manifest)
        return as_speakers(
            {
                key: item
                for key, item in self.manifest.items()
                if item["emotion"] in classes
            }
        )

    @property
    def folds(self):
        """Name -> Fold of the cross-validation."""
        return folds(self.validated, "fold")

    def path(self, wav):
        """Path of a clip's file, from the manifest's ``wav``."""
        relative = wav.replace("{data_root}/", "", 1)
        return Path(os.path.normpath(self.data_folder.absolute() / relative))


def open_table(table, words=()):
    """Read and check a table and choose its folds; write nothing.

    Arguments
    ---------
    table : str or Path
        A .csv or .json file, see docs/your-own-corpus.md.
    words : sequence of str
        Further words of the recipe's command line.

    Returns
    -------
    Table
        The table.

    Raises
    ------
    InputError
        If the table, a file in it or a setting is bad, or there are fewer
        than two classes or folds.

    Example
    -------
    >>> open_table("/nowhere/calls.csv")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere/calls.csv does not exist: ...
    """
    with tempfile.TemporaryDirectory() as scratch, silence():
        argv = [METHOD, "--manifest", quoted(table)]
        outline = Outline([*argv, "--results", quoted(scratch), *words], "")
        outline.prepare()
    outline.settings.apply_overrides(
        run_folder=str(outline.name), n_classes=len(outline.classes)
    )
    manifest, rule = with_folds(outline.manifest)
    validated_classes(manifest)
    return Table(
        name=outline.name,
        data_folder=outline.data_folder,
        manifest=manifest,
        rule=rule,
        settings_key=outline.key("frozen", outline.manifest),
        batch_size=outline.settings.get("head_batch_size"),
    )


def baseline_rows(table):
    """Test log-mel and logistic regression on the table's folds.

    Arguments
    ---------
    table : Table
        The table.

    Returns
    -------
    list of dict
        As :func:`ser_brain.evaluation.baseline.log_mel_baseline` returns them.
    """

    def read(wav):
        return read_audio(table.path(wav))

    with one_thread():
        return log_mel_baseline(table.validated, table.folds, read)


@contextmanager
def one_thread():
    """Run small computations on one thread.

    Several threads wait for one another longer than they compute, ten times as
    long on a machine with other work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def audio_digests(table):
    """Digest of each clip's decoded samples, whatever its file's name.

    Arguments
    ---------
    table : Table
        The table.

    Returns
    -------
    dict
        Id -> 64 hexadecimal digits.
    """
    found = {}
    for key, item in table.manifest.items():
        samples, rate = soundfile.read(table.path(item["wav"]), dtype="float32")
        text = f"{rate} {samples.shape}"
        found[key] = hashlib.sha256(text.encode() + samples.tobytes())
    return {key: digest.hexdigest() for key, digest in found.items()}


def check_request(output, table, digests):
    """Refuse a folder that holds anything other than this model.

    Arguments
    ---------
    output : Path
        The model's folder, which need not exist.
    table : Table
        The table that the model is to be trained on.
    digests : dict
        Digests of its audio, see :func:`audio_digests`.

    Raises
    ------
    InputError
        If it holds a model from another table, audio or settings, or other
        files.
    """
    path = output / REQUEST
    request = {
        "clips": manifest_key(table.manifest),
        "audio": hashlib.sha256(
            json.dumps(digests, sort_keys=True).encode()
        ).hexdigest(),
        "settings": table.settings_key,
    }
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        for name, said in REQUESTED.items():
            if before.get(name) != request[name]:
                raise InputError(
                    f"{output} holds a model that was trained {said}: give "
                    "another --output, or remove that folder."
                )
        return
    own = {LOCK, Path(LOCK).with_suffix(".owner").name}
    foreign = {each.name for each in output.glob("*")} - own
    if foreign:
        raise InputError(
            f"{output} holds {sorted(foreign)[0]} and no model of ser-brain "
            "train: give a new folder as --output."
        )
    write_atomically(path, json.dumps(request, indent=2) + "\n")


def train_all(table, output, words=(), progress=True):
    """Run each fold and then all clips, except those already finished.

    Arguments
    ---------
    table : Table
        The table.
    output : Path
        The model's folder, afterwards a run folder with ``save/classifier``.
    words : sequence of str
        Further words of the recipe's command line, except the classes.
    progress : bool
        Show a progress bar on a terminal.

    Returns
    -------
    dict
        Fold -> its run folder.
    """
    copy = output / "table" / f"{table.name}.json"
    write_copy(copy, table)
    argv = [METHOD, "--manifest", quoted(copy), "--fold_by", "fold"]
    argv += ["--results", quoted(output / "runs"), *words]
    if not any(word.startswith("--head_batch_size") for word in words):
        least = min(len(fold.train) for fold in table.folds.values())
        argv += ["--head_batch_size", str(min(table.batch_size, least))]
    classes = {name: [name] for name in validated_classes(table.manifest)}
    chosen = ["--classes", quoted(classes)]
    found = {}
    bar = passing_bar(
        [*table.folds, ALL],
        "folds",
        unit="fold",
        disable=None if progress else True,
    )
    for name in bar:
        if name == ALL:
            run_quietly([*argv, "--fold", ALL], output)
            continue
        bar.set_description(f"fold {name}")
        found[name] = run_quietly([*argv, *chosen, "--fold", quoted(name)])
        drop_classifier(found[name] / "save" / "classifier")
    return found


def write_copy(path, table):
    """Write the table as it was read: ids, classes, speakers, folds."""
    clips = {
        key: {
            "path": str(table.path(item["wav"])),
            **{name: item[name] for name in ("emotion", "speaker", "fold")},
        }
        for key, item in as_speakers(table.manifest).items()
    }
    text = json.dumps(clips, indent=2, ensure_ascii=False) + "\n"
    # With a new time, all files would be checked again.
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)


def run_quietly(argv, folder=None):
    """Run the recipe once in this process; return the run folder."""
    with silence():
        with closing(Experiment(argv, "", None, folder)) as experiment:
            train_head(experiment, FrozenBrain, "frozen")
            return experiment.folder


def drop_classifier(folder):
    """Remove a fold's classifier, which was only needed for its test.

    Otherwise one copy of the encoder would remain per fold.
    """
    forget(folder, CLASSIFIER)


@contextmanager
def silence():
    """Print nothing on the terminal; a run's log.txt has everything."""
    root, hook = logging.getLogger(), sys.excepthook
    level, handlers = root.level, root.handlers[:]
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        with redirect_stdout(nowhere), redirect_stderr(nowhere):
            try:
                yield
            finally:
                # A run leaves its own handlers, which write to what is closed
                # here.
                root.handlers[:] = handlers
                root.setLevel(level)
                sys.excepthook = hook


def quoted(value):
    r"""Quote a value as one word, whatever it contains.

    Example
    -------
    >>> print(quoted("null"), quoted("a=b: #c"), quoted({"x": ["y"]}))
    "null" "a\u003db: #c" {"x": ["y"]}
    """
    if not isinstance(value, dict):
        value = str(value)
    # SpeechBrain's parser replaces every "=" by a space.
    return json.dumps(value, ensure_ascii=False).replace("=", "\\u003d")
