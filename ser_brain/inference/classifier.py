"""A trained classifier on disk: weights and JSON, never code.

``encoder/`` is a folder that transformers reads, ``head.safetensors`` holds
the head's weights, and ``classifier.json``, written last, how to build the
head, the classes and which run it came from.
"""

import json
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from ser_brain.errors import InputError
from ser_brain.files import write_atomically
from ser_brain.lobes import load_encoder
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.nnet.layer_heads import layer_head

FORMAT = "ser_brain-classifier-1"
# All that a missing, cut or edited file leads to: a state of other names or
# shapes is a RuntimeError to torch.
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    SafetensorError,
)


def save_classifier(
    folder, encoder, head, classes, speeds=(1.0,), **provenance
):
    """Write a trained classifier.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder to write to; other files in it stay. A reader finds a
        whole classifier there, or none.
    encoder : ser_brain.lobes.encoder.Encoder
        The fine-tuned encoder.
    head : UtteranceHead or LayerHead
        The trained head.
    classes : list of str
        Class names in the order of the head's logits.
    speeds : sequence of float
        Speeds at which an utterance is played; posteriors are averaged.
    **provenance
        What the run was (corpus, procedure, scale, fold, seed); JSON values.

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
    folder = Path(folder)
    description = {
        "format": FORMAT,
        "classes": list(classes),
        "head": head.config(),
        "speeds": list(speeds),
        **provenance,
    }
    text = json.dumps(description, indent=2, ensure_ascii=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # While the weights change there is no classifier to be read.
        (folder / "classifier.json").unlink(missing_ok=True)
        _save_encoder(folder, encoder)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{folder} cannot be written ({error}): free some space or "
            "choose another folder."
        ) from error
    state = {key: value.contiguous() for key, value in _state(head).items()}
    write_atomically(folder / "head.safetensors", save(state))
    write_atomically(folder / "classifier.json", text + "\n")


def _save_encoder(folder, encoder):
    """Write the encoder beside its place, then put it there."""
    beside = folder / f".encoder.{os.getpid()}"
    try:
        encoder.save_pretrained(beside)
        shutil.rmtree(folder / "encoder", ignore_errors=True)
        os.replace(beside, folder / "encoder")
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _state(module):
    """A module's weights on the CPU."""
    return {key: value.cpu() for key, value in module.state_dict().items()}


def load_classifier(folder):
    """Read what :func:`save_classifier` wrote; nothing in it is executed.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder.

    Returns
    -------
    encoder : ser_brain.lobes.encoder.Encoder
        On the CPU, fp32.
    head : UtteranceHead or LayerHead
        On the CPU, fp32.
    description : dict
        format, classes, head and where it came from.

    Raises
    ------
    InputError
        If a file is missing, damaged or of another kind.

    Example
    -------
    >>> load_classifier("/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere holds no whole classifier ...
    """
    folder = Path(folder)
    description = _read_description(folder / "classifier.json")
    try:
        head = _head(description["head"])
        head.load_state_dict(load_file(folder / "head.safetensors"))
        encoder = load_encoder(_existing(folder / "encoder"))
    except UNREADABLE as error:
        raise _damaged(folder, error) from error
    if encoder.dim != head.dim or head.n_classes != len(description["classes"]):
        raise _damaged(folder, "its parts do not fit each other")
    return encoder, head, description


def _head(config):
    """The head of a description: over all layers, or over the last one."""
    if "fusion" in config:
        return layer_head(**config)
    return UtteranceHead.from_config(config)


def _existing(folder):
    """The folder; a missing one must not be taken for a name on the hub."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is missing")
    return folder


def _read_description(path):
    """classifier.json, once its keys have been checked."""
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path.parent, error) from error
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise InputError(
            f"{path} is of the format {found!r}, not {FORMAT!r}: give a run "
            "of this version of ser_brain, or train again."
        )
    missing = {"classes", "head"} - set(description)
    if missing:
        raise _damaged(path.parent, f"{path.name} lacks {sorted(missing)}")
    return description


def _damaged(folder, reason):
    """The one sentence for all that can be wrong with the files."""
    return InputError(
        f"{folder} holds no whole classifier ({reason}): run the recipe "
        "again, or copy the whole folder again."
    )
