"""A trained classifier on disk: weights and JSON, never code.

``encoder/`` is a folder that transformers reads, ``head.safetensors`` holds
the head's weights, and ``classifier.json``, written last, how to build the
head, the classes, the run it came from, and the checksums of the other files.
"""

import json
import math
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from transformers.utils import logging as transformers_logging

from ser_brain.errors import InputError
from ser_brain.files import changed_file, digest, digests, write_atomically
from ser_brain.lobes import load_frame_encoder
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.nnet.layer_heads import layer_head
from ser_brain.nnet.segment_head import SegmentHead

FORMAT = "ser_brain-classifier-2"
ENCODER, HEAD = "encoder", "head.safetensors"
# Errors of missing, truncated or edited files: torch raises RuntimeError for
# other names or shapes.
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    RecursionError,
    SafetensorError,
)


def quiet_loading():
    """Switch off the progress bars and warnings of transformers."""
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()


def save_classifier(
    folder, encoder, head, classes, speeds=(1.0,), **provenance
):
    """Write a trained classifier.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder to write to; other files in it are kept. A reader finds a
        complete classifier there, or none.
    encoder : ser_brain.lobes.frame_encoder.FrameEncoder
        The fine-tuned encoder.
    head : UtteranceHead or LayerHead
        The trained head.
    classes : list of str
        Class names in the order of the head's logits.
    speeds : sequence of float
        Speeds at which an utterance is played; posteriors are averaged.
    **provenance
        Description of the run (corpus, procedure, scale, fold, seed); JSON
        values.

    Raises
    ------
    InputError
        If the folder cannot be written, for example on a full disk.

    Example
    -------
    >>> from transformers import Wav2Vec2Config, Wav2Vec2Model
    >>> from ser_brain.lobes.wav2vec2 import Wav2Vec2
    >>> config = Wav2Vec2Config(
    ...     hidden_size=8,
    ...     num_hidden_layers=1,
    ...     num_attention_heads=1,
    ...     intermediate_size=8,
    ...     conv_dim=(8,) * 7,
    ...     num_conv_pos_embedding_groups=1,
    ... )
    >>> encoder = Wav2Vec2(Wav2Vec2Model(config))
    >>> head = UtteranceHead(dim=8, n_classes=2)
    >>> folder = getfixture("tmp_path")
    >>> save_classifier(folder, encoder, head, ["angry", "sad"], fold="3")
    >>> load_classifier(folder)[2]["classes"]
    ['angry', 'sad']
    """
    description = {
        "format": FORMAT,
        "classes": list(classes),
        "head": head.config(),
        "speeds": list(speeds),
        **provenance,
    }
    write_model(Path(folder), "classifier.json", description, encoder, head)


def write_model(folder, name, description, encoder, head):
    """Write an encoder, a head and, last, their description.

    Arguments
    ---------
    folder : Path
        The folder to write to.
    name : str
        Name of the description's file.
    description : dict
        JSON values; the checksums of the other files are added.
    encoder, head
        As for :func:`save_classifier`, which has the same errors.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # While the weights change, no model can be read.
        (folder / name).unlink(missing_ok=True)
        _save_encoder(folder, encoder)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{folder} cannot be written ({error}): free some space or "
            "choose another folder."
        ) from error
    state = {key: value.contiguous() for key, value in _state(head).items()}
    write_atomically(folder / HEAD, save(state))
    description = {**description, "files": _files(folder)}
    text = json.dumps(description, indent=2, ensure_ascii=False)
    write_atomically(folder / name, text + "\n")


def _files(folder):
    """Checksums of the files of a classifier."""
    found = digests(folder / ENCODER)
    files = {f"{ENCODER}/{name}": value for name, value in found.items()}
    return {**files, HEAD: digest(folder / HEAD)}


def _save_encoder(folder, encoder):
    """Write the encoder to a temporary folder, then move it into place."""
    beside = folder / f".encoder.{os.getpid()}"
    try:
        encoder.save_pretrained(beside)
        shutil.rmtree(folder / ENCODER, ignore_errors=True)
        os.replace(beside, folder / ENCODER)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _state(module):
    """Return a module's weights on the CPU."""
    return {key: value.cpu() for key, value in module.state_dict().items()}


def load_classifier(folder):
    """Load what :func:`save_classifier` wrote; nothing in it is executed.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder.

    Returns
    -------
    encoder : ser_brain.lobes.frame_encoder.FrameEncoder
        On the CPU, fp32.
    head : UtteranceHead or LayerHead
        On the CPU, fp32.
    description : dict
        format, classes, head, speeds, files and origin.

    Raises
    ------
    InputError
        If a file is missing, of another kind, or not as it was written.

    Example
    -------
    >>> load_classifier("/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere holds no complete classifier ...
    """
    folder = Path(folder)
    description = read_description(folder)
    if "text_dim" in description["head"]:
        raise InputError(
            f"{folder} reads text beside the audio, and there is none for new "
            "audio: give a run of another procedure, such as frozen."
        )
    try:
        head = _head(description["head"])
        head.load_state_dict(load_file(folder / HEAD))
        encoder = load_frame_encoder(folder / ENCODER)
    except UNREADABLE as error:
        raise _damaged(folder, error) from error
    if encoder.dim != head.dim or head.n_classes != len(description["classes"]):
        raise _damaged(folder, "its parts do not fit each other")
    return encoder, head, description


def _head(config):
    """Build the head of a description, over all layers or the last one."""
    if "fusion" in config:
        return layer_head(**config)
    if "segment" in config:
        return SegmentHead(**config)
    return UtteranceHead.from_config(config)


def read_description(folder):
    """Read classifier.json and check that all files match it.

    Arguments
    ---------
    folder : str or pathlib.Path
        What :func:`save_classifier` wrote.

    Returns
    -------
    dict
        As :func:`load_classifier` returns it.

    Raises
    ------
    InputError
        As for :func:`load_classifier`.
    """
    folder = Path(folder)
    path = folder / "classifier.json"
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(folder, error) from error
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise InputError(
            f"{path} is of the format {found!r}, not {FORMAT!r}: give a run "
            "of this version of ser_brain, or train again."
        )
    for name, fits in FIELDS.items():
        if name not in description:
            raise _damaged(folder, f"{path.name} lacks {name!r}")
        if not fits(description[name]):
            found = repr(description[name])[:100]
            raise _damaged(folder, f"{path.name} gives {name} as {found}")
    _check_files(folder, description["files"])
    return description


def is_whole(folder):
    """Whether :func:`read_description` finds nothing wrong with a folder.

    Example
    -------
    >>> is_whole("/nowhere")
    False
    """
    try:
        read_description(folder)
    except InputError:
        return False
    return True


def _check_files(folder, files):
    """Check that all files are present and unchanged, and no other exists."""
    fault = changed_file(folder, files)
    if fault is not None:
        raise _damaged(folder, fault)
    for path in sorted((folder / ENCODER).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in files and path.name[0] != ".":
            raise _damaged(folder, f"{name} is not part of it")


def _are_classes(value):
    """Whether names are distinct and printable."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(n, str) and n and n.isprintable() for n in value)
        and len(set(value)) == len(value)
    )


def _are_speeds(value):
    """Whether speeds are factors; the resampler checks their range."""
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(type(n) in (int, float) and math.isfinite(n) for n in value)
    )


def _are_files(value):
    """Whether these are checksums of the head and the encoder's files."""
    return (
        isinstance(value, dict)
        and {HEAD, f"{ENCODER}/config.json"} <= value.keys()
        and all(isinstance(found, str) for found in value.values())
        and all(
            name == HEAD or name.startswith(f"{ENCODER}/") for name in value
        )
    )


# The keys of classifier.json, and checks of their values.
FIELDS = {
    "classes": _are_classes,
    "head": lambda value: isinstance(value, dict),
    "speeds": _are_speeds,
    "files": _are_files,
}


def _damaged(folder, reason):
    """The error for all faults of the files."""
    return InputError(
        f"{folder} holds no complete classifier ({reason}): run the "
        "recipe again, or copy the whole folder again."
    )
