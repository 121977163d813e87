"""One run of one recipe: its settings, data, fold and run folder."""

import dataclasses
from pathlib import Path

import speechbrain as sb
import torch
from speechbrain.dataio.dataloader import SaveableDataLoader
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.train_logger import FileTrainLogger, TensorboardLogger

from ser_brain.corpora import (
    check_training_classes,
    class_names,
    find_data_folder,
    fold_rule,
    get_corpus,
    get_fold,
    load_manifest,
    manifest_key,
    prepare_table,
    select_classes,
)
from ser_brain.corpora.mini import default_target, unpack_mini
from ser_brain.dataio.audio import read_audio
from ser_brain.dataio.utterances import CachedReader, as_list, utterance_dataset
from ser_brain.errors import InputError
from ser_brain.evaluation.outputs import COLUMNS
from ser_brain.experiment.arguments import parse_arguments
from ser_brain.experiment.results import drop_results
from ser_brain.experiment.settings import Settings
from ser_brain.experiment.stage import Stage
from ser_brain.files import write_atomically

# SpeechBrain's run options that change what a stage computes.
RUN_OPTIONS = (
    "debug",
    "debug_batches",
    "debug_epochs",
    "eval_precision",
    "optimizer_step_limit",
    "precision",
    "remove_vector_weight_decay",
    "skip_nonfinite_grads",
)


class Experiment:
    """What a recipe script holds in its hands.

    Arguments
    ---------
    argv : list of str
        The command line after the script's name.
    corpus : str
        "IEMOCAP" or "SAVEE".
    prepare : callable
        ``prepare(data_folder, manifest, allow_incomplete, check_counts)``
        writes the manifest.

    Attributes
    ----------
    settings : Settings
        The merged settings.
    folder : Path
        The run folder.
    classes : list of str
        Class names; an emotion's index is its place.
    fold : Fold
        Ids of the training and the test part.
    """

    def __init__(self, argv, corpus, prepare):
        path, self.run_opts, overrides = parse_arguments(argv)
        self.procedure = path.stem
        self.settings = Settings(path, overrides)
        self._choose_data(corpus)
        self._apply_layers(corpus)
        self._start_processes()
        self._prepare(prepare)
        self._choose_fold()
        self._make_folder()

    def _choose_data(self, corpus):
        """The user's table, else the corpus, else the mini corpus."""
        settings = self.settings
        self.mini = False
        self.table = settings.get("manifest")
        if self.table is not None:
            self.name = Path(self.table).stem
            return
        self.name = corpus
        data_folder = settings.get("data_folder")
        self.data_folder = find_data_folder(corpus, data_folder)
        if self.data_folder is None:
            self.mini = True
            self.name = f"mini-{corpus}"

    def _apply_layers(self, corpus):
        """Corpus, then scale, then variant, then the command line."""
        settings = self.settings
        if self.table is None:
            settings.apply("corpora", corpus.lower())
        if self.mini and corpus == "SAVEE":
            settings.apply("corpora", "mini_savee")
        default = "nano" if self.mini else settings.get("scale")
        self.scale = str(settings.overrides.get("scale", default))
        if self.scale != "full":
            settings.apply("scale", self.scale)
        variant = settings.get("variant")
        if variant != "paper":
            settings.apply("variants", variant)
            self.scale = f"{self.scale}-{variant}"
        if self.run_opts.debug:
            self.scale = f"{self.scale}-debug"
        settings.apply_overrides()

    def _start_processes(self):
        """Data-parallel processes, gloo where there is no GPU."""
        device = self.run_opts.device or sb.utils.distributed.infer_device()
        check_device(device)
        chosen = {
            "device": device,
            "distributed_backend": "nccl" if "cuda" in device else "gloo",
            # Layer drop leaves layers out of the backward pass.
            "find_unused_parameters": True,
        }
        overridden = self.run_opts.overridden_args | set(chosen)
        self.run_opts = dataclasses.replace(
            self.run_opts, overridden_args=overridden, **chosen
        )
        sb.utils.distributed.ddp_init_group(self.run_opts)

    def _prepare(self, prepare):
        """Writes the manifest once, reads it, keeps the chosen classes."""
        results = Path(self.settings.get("results"))
        path = results / self.name / "manifest.json"
        allow = bool(self.settings.get("allow_incomplete"))
        labels = None
        if self.table is not None:
            self.data_folder = Path(self.table).expanduser().parent
            run_on_main(prepare_table, args=[self.table, path])
        else:
            if self.mini:
                self._unpack_mini()
            run_on_main(
                prepare, args=[self.data_folder, path, allow, not self.mini]
            )
            labels = get_corpus(self.name.removeprefix("mini-")).labels
        whole = load_manifest(path)
        classes = self.settings.get("classes")
        if classes is None:
            emotions = {entry["emotion"] for entry in whole.values()}
            classes = {name: [name] for name in sorted(emotions)}
        classes = {name: list(taken) for name, taken in classes.items()}
        self.classes = class_names(classes)
        taken = sorted(set(self.classes) & set(COLUMNS))
        if taken:
            raise InputError(
                f"a class is called '{taken[0]}', which is a column of "
                "predictions.csv: give it another name."
            )
        self.manifest = select_classes(whole, classes, labels)

    def _unpack_mini(self):
        """Says clearly that this is not the corpus."""
        corpus = self.name.removeprefix("mini-")
        self.data_folder = default_target(corpus)
        run_on_main(unpack_mini, args=[corpus, self.data_folder])
        if if_main_process():
            print(
                f"{corpus} is not configured (--data_folder or "
                f"{get_corpus(corpus).environment}): this run uses the "
                "embedded mini corpus at nano scale, for checking the "
                "pipeline; its figures say nothing about emotion.",
                flush=True,
            )

    def _choose_fold(self):
        """The tested group and its training part."""
        by = self.settings.get("fold_by")
        if self.table is not None and "fold_by" not in self.settings.overrides:
            by = fold_rule(self.manifest)
        self.fold = get_fold(self.manifest, by, str(self.settings.get("fold")))
        check_training_classes(self.manifest, self.fold, self.classes)

    def _make_folder(self):
        """Run folder, logs and the resolved settings."""
        self.seed = int(self.settings.get("seed"))
        self.folder = self.folder_of(self.procedure)
        self.settings.apply_overrides(
            run_folder=str(self.folder),
            n_classes=len(self.classes),
            scale=self.scale.split("-")[0],
            fold=self.fold.name,
        )
        sb.create_experiment_directory(self.folder)
        # The module that made the folder is no recipe to keep a copy of.
        if if_main_process():
            Path(self.folder, Path(__file__).name).unlink(missing_ok=True)
            write_atomically(
                self.folder / "hyperparams.yaml", self.settings.resolved()
            )
        self.file_logger = FileTrainLogger(
            str(self.folder / "train_log.txt"), precision=4
        )
        self.wall_seconds, self.audio_per_second = {}, {}

    def folder_of(self, procedure):
        """Run folder of another procedure with this fold, scale and seed."""
        return Path(
            self.settings.get("results"),
            self.name,
            procedure,
            self.scale,
            f"fold_{self.fold.name}",
            f"seed_{self.seed}",
        )

    def entries(self, ids):
        """Manifest entries of some utterances."""
        return {key: self.manifest[key] for key in ids}

    def key(self, section, ids, *depends):
        """Hash of a section, of the data it sees and of earlier stages."""
        return self.settings.key(
            section,
            manifest_key(self.entries(ids)),
            self._run_options(),
            *depends,
        )

    def _run_options(self):
        """Those run options that a stage's result depends on."""
        chosen = {name: self.run_opts[name] for name in RUN_OPTIONS}
        # The yaml's own holds unless the command line has another.
        if "max_grad_norm" in self.run_opts.overridden_args:
            chosen["max_grad_norm"] = self.run_opts.max_grad_norm
        return chosen

    def stage(self, name, folder, key):
        """A stage in ``save/`` of a run folder."""
        return Stage(name, Path(folder) / "save" / name, key)

    def run_stage(self, stage, work):
        """Runs a stage and keeps its wall time and throughput."""
        if stage.done is None:
            # What other settings gave is not this run's result.
            run_on_main(drop_results, args=[self.folder])
        record = stage.run(work)
        self.wall_seconds[stage.name] = record["seconds"]
        if "audio_per_second" in record:
            self.audio_per_second[stage.name] = record["audio_per_second"]
        return record

    def section(self, name):
        """Builds a section of the settings, seeded on its own."""
        sb.utils.seed.seed_everything(self.seed)
        return self.settings.section(name)

    def dataset(self, ids):
        """Decoded utterances as a SpeechBrain dataset."""
        hours = float(self.settings.get("audio_cache_hours"))
        reader = read_audio if hours == 0 else self._cached_reader(hours)
        return utterance_dataset(
            self.manifest, ids, self.data_folder, self.classes, reader
        )

    def _cached_reader(self, hours):
        """One cache for all stages of the run."""
        if not hasattr(self, "_reader"):
            self._reader = CachedReader(hours)
        return self._reader

    def loader(self, ids, sampler=None, batch_size=1):
        """Batches of utterances, by a sampler or in order."""
        workers = int(self.settings.get("num_workers"))
        order = (
            {"batch_sampler": sampler}
            if sampler is not None
            else {"batch_size": batch_size}
        )
        return SaveableDataLoader(
            self.dataset(ids),
            collate_fn=as_list,
            num_workers=workers,
            persistent_workers=workers > 0,
            **order,
        )

    def tensorboard(self, stage):
        """TensorBoard events of one stage."""
        return TensorboardLogger(str(self.folder / "tensorboard" / stage))

    def describe(self):
        """What a run says it is, for metrics.json and the classifier."""
        return {
            "corpus": self.name,
            "procedure": self.procedure,
            "scale": self.scale,
            "fold": self.fold.name,
            "seed": self.seed,
        }


def check_device(device):
    """Refuses a device that this machine does not have.

    Example
    -------
    >>> check_device("cpu")
    >>> check_device("abacus")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: --device abacus cannot be used (...): ...
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"--device {device} cannot be used ({reason}): give cpu, or cuda "
            "where there is a GPU and a torch built for it."
        ) from error
