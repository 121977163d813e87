"""One run of one recipe: its settings, data, fold and run folder."""

import dataclasses
import logging
import sys
from pathlib import Path

import speechbrain as sb
import torch
from speechbrain.dataio.dataloader import SaveableDataLoader
from speechbrain.utils.distributed import if_main_process, run_on_main
from threadpoolctl import threadpool_limits

from ser_brain.corpora import class_doubts
from ser_brain.dataio.audio import read_audio
from ser_brain.dataio.utterances import CachedReader, as_list, utterance_dataset
from ser_brain.errors import InputError
from ser_brain.experiment.early import check_layers
from ser_brain.experiment.environment import environment
from ser_brain.experiment.epoch_log import EpochLog
from ser_brain.experiment.other_corpus import ROOT as TEST_ROOT
from ser_brain.experiment.outline import Outline
from ser_brain.experiment.progress import view_of
from ser_brain.experiment.results import drop_results
from ser_brain.experiment.train_loggers import DEFAULT, chosen, open_logger
from ser_brain.files import write_atomically
from ser_brain.locks import hold
from ser_brain.stopping import ignore_in_worker

# Sections of the settings that use the random seed of the adaptation.
ADAPTATION = ("emotion_states", "clusters", "adaptation")
# The workers of a process just killed may still hold its lock.
LOCK_SECONDS = 30

logger = logging.getLogger(__name__)


class Experiment(Outline):
    """A run as a recipe script uses it.

    Arguments
    ---------
    argv : list of str
        The command line after the script's name.
    corpus : str
        "IEMOCAP" or "SAVEE".
    prepare : callable
        ``prepare(data_folder, manifest, allow_incomplete, check_counts)``
        writes the manifest.
    folder : str or Path, optional
        The run folder, if it is not the usual one below ``results``.

    Raises
    ------
    InputError
        If the command line or the corpus is invalid, or another process writes
        to the run folder.
    """

    def __init__(self, argv, corpus, prepare, folder=None):
        super().__init__(argv, corpus, folder)
        self._start_processes()
        self._choose_view()
        self._use_threads()
        self.prepare(prepare)
        self._tell_doubts()
        self.choose_fold()
        check_layers(self.settings)
        self._take_folder()
        try:
            self._make_folder()
        except BaseException:
            self.close()
            raise

    def _start_processes(self):
        """Start data-parallel processing, with gloo if there is no GPU."""
        device = self.run_opts.device or sb.utils.distributed.infer_device()
        check_device(device)
        check_precision(self.run_opts, device)
        self._set_run_options(
            device=device,
            distributed_backend="nccl" if "cuda" in device else "gloo",
            # With layer drop, layers are missing in the backward pass.
            find_unused_parameters=True,
        )
        sb.utils.distributed.ddp_init_group(self.run_opts)

    def _choose_view(self):
        """Choose what the console shows of the run."""
        verbose = bool(self.settings.get("verbose"))
        unwanted = self.run_opts.noprogressbar
        self.view, self._log_config = view_of(verbose, unwanted)
        if not verbose:
            # SpeechBrain's own bars are replaced.
            self._set_run_options(noprogressbar=True)

    def _set_run_options(self, **chosen):
        """Set run options as the command line would."""
        overridden = self.run_opts.overridden_args | set(chosen)
        self.run_opts = dataclasses.replace(
            self.run_opts, overridden_args=overridden, **chosen
        )

    def _use_threads(self):
        """Use as many CPU threads as the settings require.

        The last bit of a sum depends on how it is split among threads.
        """
        threads = self.settings.get("threads")
        if threads is not None:
            torch.set_num_threads(threads)
            threadpool_limits(threads)

    def _tell_doubts(self):
        """Warn if the user's own classes make the score doubtful."""
        if self.table is not None and if_main_process():
            for sentence in class_doubts(self.manifest):
                print(f"warning: {sentence}", file=sys.stderr, flush=True)

    def _take_folder(self):
        """Lock the run folder: one process at a time may write to it."""
        self._lock, self._loggers = None, []
        if if_main_process():
            self._lock = hold(
                self.folder / "run.lock",
                lambda holder: (
                    f"{self.folder} is being written by {holder}: wait until "
                    "it has ended, or give another --results."
                ),
                LOCK_SECONDS,
            )

    def close(self):
        """End the loggers, and release the run folder."""
        self._end_logging()
        if self._lock is not None:
            self._lock.release()

    def _make_folder(self):
        """Create the run folder, its logs and the resolved settings."""
        try:
            sb.create_experiment_directory(
                self.folder, log_config=self._log_config, save_env_desc=False
            )
        finally:
            # The calling module is not a recipe, so no copy of it is kept.
            if if_main_process():
                Path(self.folder, Path(__file__).name).unlink(missing_ok=True)
        sys.excepthook = tell_exception
        if if_main_process():
            write_atomically(
                self.folder / "hyperparams.yaml", self.settings.resolved()
            )
            write_atomically(self.folder / "env.log", environment())
        self.wall_seconds, self.audio_per_second = {}, {}

    def run_stage(self, stage, work):
        """Run a stage and record its wall time and throughput."""

        def afresh():
            # Results with other settings are not this run's.
            run_on_main(drop_results, args=[self.folder])
            return work()

        try:
            record = stage.run(afresh)
        except BaseException:
            self._end_logging(failed=True)
            raise
        self.wall_seconds[stage.name] = record["seconds"]
        if "audio_per_second" in record:
            self.audio_per_second[stage.name] = record["audio_per_second"]
        return record

    def section(self, name):
        """Build a section of the settings with its own seed."""
        adapts = name in ADAPTATION
        seed = self.adaptation_seed if adapts else self.seed
        sb.utils.seed.seed_everything(seed)
        return self.settings.section(name)

    def dataset(self, ids, decodes=True):
        """Return utterances as a SpeechBrain dataset, decoded or not."""
        reader = None
        if decodes:
            hours = float(self.settings.get("audio_cache_hours"))
            reader = read_audio if hours == 0 else self._cached_reader(hours)
        entries = {key: self._located(self.manifest[key]) for key in ids}
        return utterance_dataset(
            entries, ids, self.data_folder, self.classes, reader
        )

    def _located(self, entry):
        """An entry of another corpus with the path of its audio."""
        if not self.tested:
            return entry
        wav = entry["wav"].replace(TEST_ROOT, str(self.test_root))
        return {**entry, "wav": wav}

    def _cached_reader(self, hours):
        """One cache for all stages of the run."""
        if not hasattr(self, "_reader"):
            self._reader = CachedReader(hours)
        return self._reader

    def loader(self, ids, sampler=None, batch_size=1, decodes=True):
        """Load batches of utterances, by a sampler or in order."""
        if not ids:
            # Fold "all" tests no clips.
            return []
        workers = int(self.settings.get("num_workers")) if decodes else 0
        order = (
            {"batch_sampler": sampler}
            if sampler is not None
            else {"batch_size": batch_size}
        )
        return SaveableDataLoader(
            self.dataset(ids, decodes),
            collate_fn=as_list,
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=ignore_in_worker,
            **order,
        )

    def train_loggers(self, stage, progress):
        """Open the loggers of a stage's epochs; those of the last one end."""
        self._end_logging()
        for name in chosen(self.settings.get("logger", DEFAULT)):
            self._loggers.append(open_logger(name, self, stage))
        file = str(self.folder / "train_log.txt")
        return [EpochLog(file, 4, stage.name), *self._loggers, progress]

    def log_scores(self, metrics, names):
        """Pass scores of the test to the loggers of the last stage.

        All data-parallel processes call it, because SpeechBrain's loggers wait
        for each other; the main process has the metrics.
        """
        if not self.fold.test:
            return
        scores = metrics and {name: metrics[name] for name in names}
        for each in self._loggers:
            each.log_stats({}, test_stats=scores)

    def _end_logging(self, failed=False):
        """End the loggers of the last stage that was trained."""
        while self._loggers:
            self._loggers.pop().close(failed)


def tell_exception(kind, error, traceback):
    """Write a traceback to log.txt and to stderr.

    SpeechBrain's own hook writes it to stdout, which is for results.
    """
    logger.debug("Exception:", exc_info=(kind, error, traceback))
    sys.__excepthook__(kind, error, traceback)


def check_device(device):
    """Refuse a device that this machine does not have.

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


def check_precision(run_opts, device):
    """Refuse fp16 without a GPU, which is needed to scale gradients.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> check_precision(
    ...     SimpleNamespace(precision="fp16", eval_precision="fp32"), "cpu"
    ... )
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: --precision fp16 needs a CUDA GPU, ...
    """
    chosen = (run_opts.precision, run_opts.eval_precision)
    if "fp16" in chosen and not device.startswith("cuda"):
        raise InputError(
            f"--precision fp16 needs a CUDA GPU, and the device is {device}: "
            "give bf16, which runs everywhere, or fp32."
        )
