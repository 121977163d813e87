"""Definition of a run before it is computed: settings, data, fold, folder."""

import copy
import dataclasses
from pathlib import Path

from speechbrain.utils.distributed import if_main_process, run_on_main

from ser_brain.corpora import (
    Fold,
    check_training_classes,
    class_names,
    find_data_folder,
    fold_rule,
    folds,
    get_corpus,
    get_fold,
    load_manifest,
    manifest_key,
    prepare as prepare_corpus,
    prepare_table,
    select_classes,
    training_share,
    without_texts,
)
from ser_brain.corpora.mini import default_target, unpack_mini
from ser_brain.dataio.audio import RESAMPLER
from ser_brain.errors import InputError
from ser_brain.experiment.arguments import parse_arguments
from ser_brain.experiment.early import check_early
from ser_brain.experiment.other_corpus import (
    check_apart,
    label_map,
    read_test_table,
)
from ser_brain.experiment.settings import Settings
from ser_brain.experiment.stage import Stage, in_round
from ser_brain.experiment.targets import with_targets
from ser_brain.files import folder_name
from ser_brain.results.outputs import COLUMNS

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
# A text encoder or recogniser with random weights, as lobes name it.
RANDOM = "random"


class Outline:
    """The definition of a run, which creates nothing but the manifest.

    The settings come first, then ``prepare``, then ``choose_fold``; the run
    folder and the keys of the stages are known after that. A plan of many
    runs reads them from here without starting a process.

    Arguments
    ---------
    argv : list of str
        The command line after the script's name.
    corpus : str
        "IEMOCAP" or "SAVEE".
    folder : str or Path, optional
        The run folder, if it is not the usual one below ``results``.

    Attributes
    ----------
    settings : Settings
        The merged settings.
    name : str
        The corpus's name in results: ``SAVEE``, ``mini-SAVEE``, or the
        stem of the user's own table.
    procedure, scale : str
        The yaml's stem; ``full``, ``small`` or ``nano`` with what stands
        apart.
    manifest : dict
        Utterances of the selected classes.
    classes : list of str
        Class names; an emotion's index is its position.
    fold : Fold
        Ids of the training and the test part.
    seed, adaptation_seed : int
        Seeds of the run, and of the adaptation that it fine-tunes.
    folder, adaptation_folder : Path
        Their run folders.

    Example
    -------
    >>> outline = Outline(["hparams/vft.yaml", "--scale", "nano"], "SAVEE")
    >>> outline.procedure, outline.scale
    ('vft', 'nano')
    """

    def __init__(self, argv, corpus, folder=None):
        path, self.run_opts, overrides = parse_arguments(argv)
        self.procedure = path.stem
        self._given_folder = folder
        # Another corpus, tested instead of a fold.
        self.tested = {}
        self.settings = Settings(path, overrides)
        self._choose_data(corpus)
        self._apply_layers(corpus)

    def _choose_data(self, corpus):
        """Choose the user's table, else the corpus, else the mini corpus."""
        settings = self.settings
        asked = settings.overrides.get("corpus")
        if asked is not None and asked.casefold() != corpus.casefold():
            raise InputError(
                f"--corpus is {asked!r}, but a recipe is for one corpus, here "
                f"{corpus or 'the table'}: leave it out, or start that "
                "corpus's own recipe."
            )
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
        """Apply corpus, then scale, then variant, then the command line."""
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
        self.train_share = float(settings.get("train_share"))
        if self.train_share != 1:
            self.scale = f"{self.scale}-share{self.train_share:g}"
        if RANDOM in (settings.get("text_encoder"), settings.get("asr")):
            self.scale = f"{self.scale}-random_text"
        if self.run_opts.debug:
            self.scale = f"{self.scale}-debug"
        settings.apply_overrides()
        check_early(settings)

    def prepare(self, prepare=None):
        """Write the manifest once, read it, and keep the selected classes.

        Arguments
        ---------
        prepare : callable, optional
            ``prepare(data_folder, manifest, allow_incomplete,
            check_counts)``; the corpus' own by default.

        Raises
        ------
        InputError
            As ``ser_brain.corpora.prepare``, or if a class has the name of
            a column of predictions.csv.
        """
        path = self.corpus_folder / "manifest.json"
        allow = bool(self.settings.get("allow_incomplete"))
        corpus = self.name.removeprefix("mini-")
        labels = None
        if self.table is not None:
            self.data_folder = Path(self.table).expanduser().parent
            run_on_main(prepare_table, args=[self.table, path])
        else:
            if self.mini:
                self._unpack_mini(corpus)
            args = [self.data_folder, path, allow, not self.mini]
            if prepare is None:
                run_on_main(prepare_corpus, args=[corpus, *args])
            else:
                run_on_main(prepare, args=args)
            labels = get_corpus(corpus).labels
        self._keep_classes(load_manifest(path), labels)
        if self.settings.get("test_manifest") is not None:
            self._add_test_table()

    def _add_test_table(self):
        """Add another corpus, which is tested instead of a fold."""
        table = Path(self.settings.get("test_manifest")).expanduser()
        self.test_root = table.parent
        self.tested = read_test_table(
            table,
            self.corpus_folder / folder_name(f"test_{table.stem}.json"),
            self.classes,
            label_map(self.settings.get("labels")),
        )
        check_apart(
            self.manifest, self.tested, self.data_folder, self.test_root
        )
        self.tested_name = f"to_{table.stem}"
        self.manifest = {**self.manifest, **self.tested}

    def _unpack_mini(self, corpus):
        """Warn clearly that this is not the corpus."""
        self.data_folder = default_target(corpus)
        run_on_main(unpack_mini, args=[corpus, self.data_folder])
        if if_main_process():
            print(
                f"{corpus} is not configured (--data_folder or "
                f"{get_corpus(corpus).environment}): this run uses the "
                f"embedded mini corpus at {self.settings.get('scale')} scale, "
                "for checking the pipeline; its figures say nothing about "
                "emotion.",
                flush=True,
            )

    def _keep_classes(self, whole, labels):
        """Reduce the manifest to the classes of the settings."""
        classes = self.settings.get("classes")
        if classes is None:
            emotions = {entry["emotion"] for entry in whole.values()}
            classes = {name: [name] for name in sorted(emotions)}
        classes = {
            str(name): list(taken) if isinstance(taken, list) else taken
            for name, taken in classes.items()
        }
        self.classes = class_names(classes)
        taken = sorted(set(self.classes) & set(COLUMNS))
        if taken:
            raise InputError(
                f"a class is called '{taken[0]}', which is a column of "
                "predictions.csv: give it another name."
            )
        if len(self.classes) < 2:
            raise InputError(
                f"there are fewer than two classes ({self.classes}), so that "
                "every clip would be right: give clips of at least two "
                "emotions."
            )
        self.manifest = select_classes(whole, classes, labels)
        self.manifest = with_targets(self, classes)

    def fold_by(self):
        """The rule that makes folds: session, speaker, or fold."""
        if self.table is not None and "fold_by" not in self.settings.overrides:
            return fold_rule(self.manifest)
        return self.settings.get("fold_by")

    def fold_names(self):
        """Names of all folds of the corpus, in natural order."""
        if self.tested:
            return [self.tested_name]
        return list(folds(self.manifest, self.fold_by()))

    def _find_fold(self):
        """Find the fold that the settings name, or all for another corpus."""
        name = str(self.settings.get("fold"))
        if not self.tested:
            return get_fold(self.manifest, self.fold_by(), name)
        if "fold" in self.settings.overrides and name != self.tested_name:
            raise InputError(
                f"--fold is {name}, but --test_manifest tests all of its "
                "clips on a model of the whole corpus: leave --fold out."
            )
        train = sorted(self.manifest.keys() - self.tested.keys())
        return Fold(self.tested_name, tuple(train), tuple(sorted(self.tested)))

    def choose_fold(self):
        """Choose the test group, its training part, seeds and run folders."""
        fold = self._find_fold()
        check_training_classes(self.manifest, fold, self.classes)
        train = training_share(self.manifest, fold.train, self.train_share)
        self.fold = dataclasses.replace(fold, train=train)
        self.seed = int(self.settings.get("seed"))
        given = self.settings.get("adaptation_seed")
        # The yaml's own value refers to the seed.
        self.adaptation_seed = given if isinstance(given, int) else self.seed
        self.folder = self._folder(self.procedure, self.seed)
        if self._given_folder is not None:
            self.folder = Path(self._given_folder)
        self.adaptation_folder = self.folder_of(self.procedure)
        self._settle_settings()

    def _settle_settings(self):
        """Set the settings that only the run knows."""
        settled = {
            "run_folder": str(self.folder),
            "n_classes": len(self.classes),
            "n_targets": len(self.settings.get("targets", ())),
            "scale": self.scale.split("-")[0],
            "fold": self.fold.name,
        }
        settled = {
            key: settled[key] for key in settled if key in self.settings.tree
        }
        if "adapted" in self.settings.tree:
            last = in_round("adapted", 1 + len(self.further_rounds))
            settled["adapted"] = str(self.adaptation_folder / "save" / last)
        self.settings.apply_overrides(**settled)

    def of(self, fold, **settings):
        """Return the same prepared run with another fold and seed.

        Arguments
        ---------
        fold : str
            Its name.
        **settings
            ``seed`` and the like.

        Returns
        -------
        Outline
            With its fold chosen.
        """
        other = copy.copy(self)
        other.settings = copy.deepcopy(self.settings)
        other.settings.overrides.update(fold=fold, **settings)
        other.settings.apply_overrides()
        other.choose_fold()
        return other

    @property
    def further_rounds(self):
        """Numbers of the rounds of clustering after the first, from 2."""
        rounds = self.settings.get("rounds", 1)
        if rounds < 1:
            raise InputError(
                f"rounds is {rounds}: give 1 for P-TAPT itself, or more."
            )
        return range(2, rounds + 1)

    @property
    def corpus_folder(self):
        """Folder of all results on the corpus."""
        return Path(self.settings.get("results"), folder_name(self.name))

    def folder_of(self, procedure, scale=None):
        """Run folder of a procedure with this fold, scale and adaptation."""
        return self._folder(procedure, self.adaptation_seed, scale)

    def _folder(self, procedure, seed, scale=None):
        # The procedure is the stem of a file, the fold a speaker's name.
        parts = [procedure, scale or self.scale, f"fold_{self.fold.name}"]
        parts = map(folder_name, [*parts, f"seed_{seed}"])
        return self.corpus_folder.joinpath(*parts)

    def entries(self, ids):
        """What is known of some utterances' audio."""
        return without_texts({key: self.manifest[key] for key in ids})

    def key(self, section, ids, *depends):
        """Hash of a section, its samples and earlier stages."""
        return self.settings.key(
            section,
            RESAMPLER,
            manifest_key(self.entries(ids)),
            self._run_options(),
            *depends,
        )

    def _run_options(self):
        """The run options that a stage's result depends on."""
        chosen = {name: self.run_opts[name] for name in RUN_OPTIONS}
        # The yaml's own value applies unless the command line overrides it.
        if "max_grad_norm" in self.run_opts.overridden_args:
            chosen["max_grad_norm"] = self.run_opts.max_grad_norm
        return chosen

    def stage(self, name, folder, key):
        """Return a stage in ``save/`` of a run folder."""
        return Stage(name, Path(folder) / "save" / name, key)

    def describe(self):
        """Describe the run, for metrics.json and the classifier."""
        return {
            "corpus": self.name,
            "procedure": self.procedure,
            "scale": self.scale,
            "fold": self.fold.name,
            "seed": self.seed,
            "adaptation_seed": self._told_adaptation_seed(),
        }

    def _told_adaptation_seed(self):
        """None if nothing is adapted."""
        adapts = "adaptation_seed" in self.settings.tree
        return self.adaptation_seed if adapts else None
