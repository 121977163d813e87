"""Checks of runs, waveforms and posteriors."""

from pathlib import Path

import torch

from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.errors import InputError

CLASSIFIER = Path("save", "classifier")


def check_run(folder):
    """Check that a folder holds a finished run.

    Arguments
    ---------
    folder : Path
        The run folder.

    Raises
    ------
    InputError
        If it is not a run, or has not finished.

    Example
    -------
    >>> check_run(Path("/nowhere"))
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere is not a folder: give a run ...
    """
    if not folder.is_dir():
        raise InputError(
            f"{folder} is not a folder: give a run folder, such as "
            "results/SAVEE/ptapt/nano/fold_DC/seed_1."
        )
    if (folder / CLASSIFIER / "classifier.json").is_file():
        return
    if (folder / CLASSIFIER / "rater.json").is_file():
        raise InputError(
            f"{folder} is a run that predicts ratings, not classes: read its "
            "ratings.csv, or use ser_brain.inference.rater.Rater."
        )
    if (folder / "hyperparams.yaml").is_file():
        raise InputError(
            f"{folder} holds a run without a trained classifier: start its "
            "recipe again to continue where it stopped."
        )
    raise InputError(
        f"{folder} is not a run folder (it has no save/classifier): give the "
        "folder seed_… that a recipe made."
    )


def shortest_clip(encoder):
    """Find the number of samples at 16 kHz that give the first frame.

    Arguments
    ---------
    encoder : torch.nn.Module
        With ``frame_lengths``.

    Returns
    -------
    int
        At most one second.
    """
    up_to_a_second = torch.arange(SAMPLE_RATE)
    return int((encoder.frame_lengths(up_to_a_second) < 1).sum())


def check_length(path, samples, shortest):
    """Refuse a file that is shorter than a frame.

    Arguments
    ---------
    path : str or Path
        The file.
    samples : int
        At 16 kHz.
    shortest : int
        Samples at 16 kHz of one frame.

    Raises
    ------
    InputError
        If it has no frame.
    """
    if samples < shortest:
        raise InputError(
            f"{path} lasts {1000 * samples / SAMPLE_RATE:.0f} ms: give "
            f"a file of at least {1000 * shortest / SAMPLE_RATE:.0f} ms."
        )


def check_values(path, wav):
    """Refuse a waveform with NaN or infinity.

    Arguments
    ---------
    path : str or Path
        The file, for the message.
    wav : torch.Tensor
        Shape (samples,).

    Raises
    ------
    InputError
        If a sample is NaN or infinite.
    """
    # NaN and infinity both propagate to the maximum.
    if not float(wav.abs().max()) < float("inf"):
        raise InputError(
            f"{path} holds NaN or infinite samples: export it again."
        )


def check_finite(names, posteriors):
    """Refuse posteriors that are not probabilities.

    Arguments
    ---------
    names : iterable
        Name of each utterance.
    posteriors : torch.Tensor
        Shape (batch, classes).

    Raises
    ------
    InputError
        If a row holds NaN or infinity.

    Example
    -------
    >>> import torch
    >>> check_finite(["a.wav"], torch.tensor([[0.5, 0.5]]))
    >>> check_finite(["a.wav"], torch.tensor([[0.5, torch.nan]]))
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: a.wav gets posteriors that are not finite: ...
    """
    for name, row in zip(names, posteriors):
        if not row.isfinite().all():
            raise InputError(
                f"{name} gets posteriors that are not finite: the model's "
                "weights are damaged, or their training diverged; check them "
                "with ser-brain verify."
            )
