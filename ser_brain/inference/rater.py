"""A trained regression of ratings: on disk, and applied to new audio."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from ser_brain.dataio.audio import played, read_audio
from ser_brain.errors import InputError
from ser_brain.files import changed_file
from ser_brain.inference.checks import (
    CLASSIFIER,
    check_length,
    check_values,
    shortest_clip,
)
from ser_brain.inference.classifier import (
    ENCODER,
    HEAD,
    UNREADABLE,
    write_model,
)
from ser_brain.inference.warning_rules import log_sound, sound_warnings
from ser_brain.lobes import load_encoder
from ser_brain.nnet.heads import UtteranceHead

FORMAT, FILE = "ser_brain-rater-1", "rater.json"


def save_rater(
    folder,
    encoder,
    head,
    targets,
    target_mean,
    target_scale,
    speeds=(1.0,),
    **provenance,
):
    """Write a trained regression.

    Arguments
    ---------
    folder : str or pathlib.Path
        The folder to write to; other files in it are kept.
    encoder : ser_brain.lobes.encoder.Encoder
        The fine-tuned encoder.
    head : UtteranceHead
        The trained head.
    targets : list of str
        Names of the head's outputs.
    target_mean, target_scale : list of float
        Outputs times scale plus mean are ratings.
    speeds : sequence of float
        Speeds at which an utterance is played; ratings are averaged.
    **provenance
        Description of the run; JSON values.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    description = {
        "format": FORMAT,
        "targets": targets,
        "target_mean": target_mean,
        "target_scale": target_scale,
        "head": head.config(),
        "speeds": list(speeds),
        **provenance,
    }
    write_model(Path(folder), FILE, description, encoder, head)


class Rater:
    """A trained regression, usable on new audio.

    Arguments
    ---------
    folder : str or pathlib.Path
        What ``save_rater`` wrote; ``from_run`` takes a run folder.

    Raises
    ------
    InputError
        If a file is missing, of another kind, or has changed.

    Example
    -------
    >>> Rater("/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere holds no complete model of ratings ...
    """

    def __init__(self, folder):
        folder = Path(folder)
        try:
            text = (folder / FILE).read_text(encoding="utf-8")
            self.description = json.loads(text)
            if self.description["format"] != FORMAT:
                raise ValueError(f"{FILE} is not of the format {FORMAT}")
            fault = changed_file(folder, self.description["files"])
            if fault is not None:
                raise ValueError(fault)
            self.head = UtteranceHead.from_config(self.description["head"])
            self.head.load_state_dict(load_file(folder / HEAD))
            self.encoder = load_encoder(folder / ENCODER)
        except UNREADABLE as error:
            raise InputError(
                f"{folder} holds no complete model of ratings ({error}): run "
                "the recipe again, or copy the whole folder again."
            ) from error
        self.encoder.eval()
        self.head.eval()

    @classmethod
    def from_run(cls, run):
        """Load the model of a finished run of train_vad.py."""
        return cls(Path(run) / CLASSIFIER)

    @torch.no_grad()
    def rate_file(self, path):
        """Rate an audio file.

        Arguments
        ---------
        path : str or pathlib.Path
            Of any sample rate, with any number of channels.

        Returns
        -------
        dict
            From target to rating, in the unit of the training's ratings.

        Raises
        ------
        InputError
            If it cannot be read, is shorter than one frame (25 ms), or holds
            NaN or infinity.
        """
        signal = read_audio(path)
        check_length(path, len(signal), shortest_clip(self.encoder))
        check_values(path, signal)
        log_sound(path, sound_warnings(signal))
        speeds = self.description["speeds"]
        outputs = [
            self.head(self.encoder(played(signal, speed)[None]))[0]
            for speed in speeds
        ]
        mean = torch.tensor(self.description["target_mean"])
        scale = torch.tensor(self.description["target_scale"])
        ratings = torch.stack(outputs).mean(0) * scale + mean
        return dict(zip(self.description["targets"], ratings.tolist()))
