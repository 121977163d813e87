"""Table 3: pretraining loss of an unadapted wav2vec 2.0 on a corpus.

The loss is wav2vec 2.0's own pretraining loss, in evaluation mode (no
dropout, the hardest code of the quantizer), one clip at a time. Of a clip it
is a sum over its masked frames,

    sum of the contrastive cross-entropy of each masked frame
    + 0.1 x (codes - perplexity of the clip's codes) / codes x masked frames,

which is what transformers' ``Wav2Vec2ForPreTraining`` returns for a batch of
that clip alone. Crop, masked frames and distractors are drawn from a seed and
the clip's path below its folder: the figure does not depend on the location of
the folder, on the order of the clips or on the number of machines.
"""

import hashlib
import json
from pathlib import Path

import torch
from tqdm import tqdm

from ser_brain.dataio.audio import SAMPLE_RATE, read_audio
from ser_brain.errors import InputError
from ser_brain.files import write_atomically
from ser_brain.lobes.wav2vec2.pretraining import draw_negatives

AUDIO = {".wav", ".flac"}


def find_clips(folder):
    """Find all wav and flac files below a folder.

    Arguments
    ---------
    folder : str or Path
        The folder to search, to any depth.

    Returns
    -------
    dict
        Path below the folder, with slashes -> path; sorted. Files whose
        names begin with a dot are skipped: file managers create them.

    Raises
    ------
    InputError
        If the folder does not exist or holds no audio.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> next(iter(find_clips(folder("mini_corpus"))))
    'audio/01_angry_09.flac'
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give a folder of audio.")
    clips = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in AUDIO and not path.name.startswith(".")
    }
    if not clips:
        raise InputError(
            f"{folder} holds no wav or flac file at any depth: give a folder "
            "of audio."
        )
    return clips


def clip_generator(seed, name):
    """Random generator of one clip, independent of other clips."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


@torch.no_grad()
def clip_loss(objective, wav, generator, max_seconds=10.0):
    """Compute the pretraining loss of one clip.

    Arguments
    ---------
    objective : Wav2Vec2Pretraining
        The model, in evaluation mode.
    wav : torch.Tensor
        Waveform at 16 kHz, shape (samples,).
    generator : torch.Generator
        Draws the crop, masked frames and distractors.
    max_seconds : float
        A longer clip is cropped to this length at random, as in TAPT.

    Returns
    -------
    dict or None
        seconds, masked (frames), contrastive and diversity (sums over masked
        frames), loss (contrastive + its weight x diversity), hits (masked
        frames whose own target scores best). None for a clip that is not
        longer than a masked span.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> from ser_brain.lobes.wav2vec2 import Wav2Vec2Pretraining
    >>> objective = Wav2Vec2Pretraining(folder("nano_wav2vec2")).eval()
    >>> wav = torch.randn(32000, generator=torch.Generator().manual_seed(0))
    >>> loss = clip_loss(objective, wav, clip_generator(0, "noise"))
    >>> loss["seconds"], loss["hits"] <= loss["masked"] < 99
    (2.0, True)
    >>> clip_loss(objective, wav[:3200], clip_generator(0, "short")) is None
    True
    """
    samples = int(min(len(wav), max_seconds * SAMPLE_RATE))
    start = torch.randint(len(wav) - samples + 1, (), generator=generator)
    wav = wav[start : start + samples]
    frames = objective.frame_lengths(samples)
    _, span, _ = objective.mask_settings
    if frames <= span:
        return None
    mask = objective.draw_mask([frames], generator)
    negatives = draw_negatives(mask, objective.num_negatives, generator)
    device = next(objective.parameters()).device
    loss, details = objective(
        wav[None].to(device), time_mask=mask, negatives=negatives
    )
    masked = int(details["masked_frames"])
    return {
        "seconds": samples / SAMPLE_RATE,
        "masked": masked,
        "contrastive": details["contrastive"].item(),
        "diversity": details["diversity"].item(),
        "loss": loss.item(),
        "hits": round(details["accuracy"].item() * masked),
    }


class ClipRecord:
    """Losses of clips in a file of JSON lines, from which to resume.

    Arguments
    ---------
    path : str or Path
        The file.
    key : str
        Hash of what the losses depend on; a file with another key is
        discarded.
    """

    def __init__(self, path, key):
        self.path = Path(path)
        self.key = key
        self.losses = self._read()
        # Without an incomplete last line, or the lines of another key.
        lines = [{"key": key}, *self.losses.values()]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_atomically(self.path, text)

    def _read(self):
        if not self.path.is_file():
            return {}
        lines = self.path.read_text(encoding="utf-8").split("\n")
        # The last line is empty or incomplete.
        records = [json.loads(line) for line in lines[:-1]]
        if not records or records[0] != {"key": self.key}:
            return {}
        return {(one["clip"], one["file"]): one for one in records[1:]}

    def add(self, clip, file, loss):
        """Add the loss of a clip; None: it was too short."""
        line = {"clip": clip, "file": file, "loss": loss}
        self.losses[clip, file] = line
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


def folder_losses(objective, folder, record, seed=1, max_seconds=10.0):
    """Compute the losses of all clips below a folder, with a progress bar.

    Arguments
    ---------
    objective : Wav2Vec2Pretraining
        The model, in evaluation mode.
    folder : str or Path
        The audio.
    record : ClipRecord
        Losses computed before; new ones are added.
    seed : int
        Seed of crops, masks and distractors.
    max_seconds : float
        As in ``clip_loss``.

    Returns
    -------
    list
        What ``clip_loss`` returned for each clip, in the order of the paths.
    """
    losses = []
    clips = find_clips(folder)
    for name, path in tqdm(
        clips.items(), desc=Path(folder).name, unit="clip", dynamic_ncols=True
    ):
        status = path.stat()
        file = f"{status.st_size} {status.st_mtime_ns}"
        if (name, file) not in record.losses:
            loss = clip_loss(
                objective,
                read_audio(path),
                clip_generator(seed, name),
                max_seconds,
            )
            record.add(name, file, loss)
        losses.append(record.losses[name, file]["loss"])
    return losses


def summarize_losses(losses):
    """Average the losses of a folder.

    Arguments
    ---------
    losses : list
        As ``folder_losses`` returns them.

    Returns
    -------
    dict
        clips; too_short (left out); seconds and masked (mean per clip);
        loss (sum over a clip's masked frames, mean over clips: the paper's
        kind of figure); loss_per_frame and contrastive_per_frame (of all
        masked frames); accuracy (fraction of the masked frames, in [0, 1]).

    Raises
    ------
    InputError
        If every clip is too short.

    Example
    -------
    >>> clip = dict(seconds=2.0, contrastive=90.0, diversity=100.0, hits=5)
    >>> losses = [dict(clip, masked=50, loss=100.0), None]
    >>> summary = summarize_losses(losses)
    >>> summary["loss"], summary["loss_per_frame"], summary["too_short"]
    (100.0, 2.0, 1)
    """
    counted = [loss for loss in losses if loss is not None]
    if not counted:
        raise InputError(
            f"All {len(losses)} clips are too short for a masked span: give "
            "longer ones, or a smaller --tapt_mask_length."
        )
    total = {key: sum(loss[key] for loss in counted) for key in counted[0]}
    return {
        "clips": len(counted),
        "too_short": len(losses) - len(counted),
        "seconds": total["seconds"] / len(counted),
        "masked": total["masked"] / len(counted),
        "loss": total["loss"] / len(counted),
        "loss_per_frame": total["loss"] / total["masked"],
        "contrastive_per_frame": total["contrastive"] / total["masked"],
        "accuracy": total["hits"] / total["masked"],
    }
