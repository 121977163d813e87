"""Layers of HyperPyYAML: method, corpus, scale, variant, command line.

Each layer is a plain override file; later layers win. The merged text is
resolved once for the record (``hyperparams.yaml``), and each stage
instantiates its own section of it, so that only what is run is built.
"""

import copy
import difflib
import functools
import hashlib
from io import StringIO
from pathlib import Path

import ruamel.yaml
import yaml
from hyperpyyaml import load_hyperpyyaml, resolve_references
from hyperpyyaml.core import recursive_update

from ser_brain.errors import InputError
from ser_brain.results.later import as_before

YAML = ruamel.yaml.YAML()

# Names of settings elsewhere.
OTHER_NAMES = {
    "learning_rate": "lr",
    "num_epochs": "epochs",
    "number_of_epochs": "epochs",
}
# Settings that name a model: its content counts, not its location.
SOURCES = (
    "encoder",
    "wav2vec",
    "wav2vec1",
    "states_encoder",
    "text_encoder",
    "asr",
)
# Settings that affect the speed of a stage, never its result.
NEUTRAL = {
    "num_workers": 0,
    "audio_cache_hours": 0,
    "micro_batch_seconds": None,
    "front_end_cache": False,
    "quick_dropout": True,
    "run_folder": "RUN",
    "adapted": "RUN/save/adapted",
    "results": "RESULTS",
    "data_folder": None,
    "manifest": None,
    "verbose": False,
    "logger": None,
    # The manifest's entries and the fold's name are in the keys themselves.
    "fold": "FOLD",
}


def load_layer(path):
    """Load a yaml file as a tree with its tags.

    Raises
    ------
    InputError
        If the file is missing or not a mapping.
    """
    if not path.is_file():
        raise InputError(
            f"{path} does not exist: give one of the yaml files in hparams, "
            "as hparams/ptapt.yaml."
        )
    tree = YAML.load(path.read_text(encoding="utf-8"))
    if not isinstance(tree, dict):
        raise InputError(f"{path} is not a yaml mapping of settings.")
    return tree


def tag_of(value):
    """The yaml tag of a setting, such as ``!new:torch.nn.ReLU``, or None."""
    return getattr(getattr(value, "tag", None), "value", None)


def is_section(value):
    """Whether a setting is a plain mapping, which overrides can extend."""
    return isinstance(value, dict) and not tag_of(value)


@functools.lru_cache
def known_elsewhere(hparams):
    """Keys of every method file in the folder, with the files' names."""
    keys = {}
    for path in sorted(hparams.glob("*.yaml")):
        for key in load_layer(path):
            keys.setdefault(key, []).append(path.name)
    return keys


class UnknownSetting(InputError):
    """A key of the command line that no yaml has.

    Arguments
    ---------
    sentence : str
        As of any InputError.
    key : str
        The key, without its dashes.
    """

    def __init__(self, sentence, key):
        super().__init__(sentence)
        self.key = key


def check_overrides(overrides, method, hparams):
    """Refuse keys of the command line that the method does not have.

    Raises
    ------
    InputError
        With the nearest key, or the files that have it.
    """
    elsewhere = known_elsewhere(hparams)
    for key in overrides:
        if key in method:
            continue
        if key in elsewhere:
            raise InputError(
                f"--{key} is not a setting of this method, but of "
                f"{', '.join(elsewhere[key])}: leave it out."
            )
        near = difflib.get_close_matches(key, method, n=1)
        meant = OTHER_NAMES.get(key, near[0] if near else None)
        hint = f"did you mean --{meant}?"
        if meant not in method:
            hint = f"the yaml files in {hparams} list all settings."
        raise UnknownSetting(
            f"--{key} is not a setting that any yaml knows: {hint}", key
        )


def dumped(tree):
    """Serialise a tree as yaml text."""
    stream = StringIO()
    YAML.dump(tree, stream)
    return stream.getvalue()


@functools.lru_cache(maxsize=64)
def loaded(text):
    """Parse yaml text into a tree, which must not be changed."""
    return YAML.load(text)


@functools.lru_cache(maxsize=64)
def resolve(text):
    """Resolve the references of HyperPyYAML text, which takes a while."""
    return resolve_references(text).getvalue()


class Settings:
    """The merged, unresolved settings of one run.

    Arguments
    ---------
    path : Path
        The method file; its neighbours ``corpora/``, ``scale/`` and
        ``variants/`` hold the other layers.
    overrides : dict
        Settings of the command line.

    Example
    -------
    >>> from ser_brain.assets import ROOT
    >>> settings = Settings(ROOT / "hparams" / "vft.yaml", {"lr": 0.5})
    >>> settings.apply("corpora", "savee")
    >>> settings.apply_overrides()
    >>> settings.get("epochs"), settings.get("lr")
    (30, 0.5)
    """

    def __init__(self, path, overrides):
        self.path = path
        self.hparams = path.parent
        self.tree = load_layer(path)
        # Cached for the keys of several sections, until the tree changes.
        self._neutral_text = None
        check_overrides(overrides, self.tree, self.hparams)
        self.overrides = {
            # A flag without a value means True.
            key: True if value is None and self.tree[key] is False else value
            for key, value in overrides.items()
        }

    def get(self, key, default=None):
        """Return a top-level setting, that of the command line if given."""
        return self.overrides.get(key, self.tree.get(key, default))

    def apply(self, kind, name):
        """Apply an override file; keys of other methods are ignored.

        Arguments
        ---------
        kind : str
            corpora, scale or variants.
        name : str
            The file's stem.
        """
        path = self.hparams / kind / f"{name}.yaml"
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        # Only a name, not the path of a file elsewhere.
        if name not in known:
            raise InputError(
                f"'{name}' is not one of {kind}: {', '.join(known)}."
            )
        self._neutral_text = None
        layer = load_layer(path)
        elsewhere = known_elsewhere(self.hparams)
        for key, value in layer.items():
            if key in self.tree:
                # Classes and the like are replaced, not merged.
                self.tree[key] = value
            elif key not in elsewhere:
                raise InputError(
                    f"{path} sets '{key}', which no method file knows: "
                    "remove it, or correct its name."
                )

    def apply_overrides(self, **more):
        """Apply the command line, then the run's own settings."""
        self._neutral_text = None
        for key, value in {**self.overrides, **more}.items():
            both = is_section(self.tree[key]) and is_section(value)
            # Another choice of classes replaces the corpus's own.
            if key == "classes" or not both:
                self.tree[key] = value
                continue
            try:
                recursive_update(self.tree[key], value, must_match=True)
            except (TypeError, KeyError) as error:
                raise InputError(
                    f"--{key} {dict(value)} does not fit the yaml ({error}): "
                    "give only what the section has."
                ) from error

    def resolved(self):
        """Return the settings as HyperPyYAML text with resolved references."""
        return resolve(dumped(self.tree))

    def value(self, key):
        """Return a top-level setting after references are resolved."""
        return YAML.load(self.resolved())[key]

    def section_text(self, name):
        """Return one section of the resolved settings."""
        return dumped(self.value(name))

    def section(self, name):
        """Instantiate one section.

        Raises
        ------
        InputError
            If something that the section names cannot be built.
        """
        try:
            return load_hyperpyyaml(self.section_text(name))
        except (ValueError, OSError) as error:
            raise InputError(" ".join(str(error).split())) from error
        except (ImportError, AttributeError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"the section {name} of {self.path} cannot be built "
                f"({reason}): correct the setting that this names."
            ) from error

    def _neutral(self):
        """Return resolved text without settings that do not change results.

        The runs of a plan then differ only in their seeds, and most of them
        need not be resolved again.
        """
        tree = copy.copy(self.tree)
        tree.update({k: v for k, v in NEUTRAL.items() if k in tree})
        values = loaded(resolve(dumped(tree)))
        for key in SOURCES:
            if key in tree:
                tree[key] = fingerprint(values[key])
        return resolve(dumped(tree))

    def key(self, name, *depends):
        """Hash everything that the result of a section depends on.

        Arguments
        ---------
        name : str
            The section.
        *depends : str
            Keys of the data and of earlier stages.
        """
        if self._neutral_text is None:
            self._neutral_text = self._neutral()
        text = canonical_section(self._neutral_text, name)
        parts = "\n".join([text, *map(str, depends)])
        return hashlib.sha256(parts.encode()).hexdigest()


@functools.lru_cache(maxsize=256)
def canonical_section(text, name):
    """One section of resolved settings, for its key."""
    section = {
        key: value
        for key, value in loaded(text)[name].items()
        if not as_before(key, value)
    }
    return canonical(dumped(section))


def canonical(text):
    """Normalise yaml text: no comments, one layout.

    Example
    -------
    >>> canonical("{lr: 1, warm: 2}") == canonical("lr: 1  # high\\nwarm: 2")
    True
    """
    return yaml.serialize(yaml.compose(text), canonical=True)


def fingerprint(source):
    """Content hash of a checkpoint file or folder; a hub name unchanged.

    Example
    -------
    >>> fingerprint("facebook/wav2vec2-base")
    'facebook/wav2vec2-base'
    """
    path = Path(str(source))
    if path.is_file():
        files = [path]
    elif path.is_dir():
        files = [
            file
            for file in sorted(path.iterdir())
            if file.suffix in {".json", ".safetensors", ".bin", ".txt"}
        ]
    else:
        return str(source)
    states = [file.stat() for file in files]
    times = tuple((state.st_size, state.st_mtime_ns) for state in states)
    return content_hash(tuple(files), times)


@functools.lru_cache
def content_hash(files, times):
    """Hash of files, cached by their sizes and times."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
