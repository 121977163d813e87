"""Emotion recognition on new audio with a trained run."""

import math
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from ser_brain.dataio.audio import SAMPLE_RATE, played
from ser_brain.errors import InputError
from ser_brain.inference.checks import CLASSIFIER, check_run, shortest_clip
from ser_brain.inference.classifier import load_classifier
from ser_brain.inference.classifying import Recognizer, by_windows
from ser_brain.inference.ensemble import Ensemble, run_folders
from ser_brain.inference.hub import fetched
from ser_brain.nnet.layer_heads import LayerHead
from ser_brain.nnet.lengths import sample_counts

# Maximum samples encoded at once. Attention grows with their square, and no
# corpus has longer utterances.
WINDOW = 60 * SAMPLE_RATE


class EmotionRecognizer(Recognizer, nn.Module):
    """Classify utterances, like SpeechBrain's EncoderClassifier.

    Unlike there, the posteriors are probabilities, not their logarithms. An
    utterance of more than a minute is split into windows of equal length,
    whose posteriors are averaged: memory does not grow with its length.

    Arguments
    ---------
    encoder : ser_brain.lobes.frame_encoder.FrameEncoder
        From waveforms to frames. It normalises them itself if necessary.
    head : UtteranceHead or LayerHead
        From the last layer's frames, or those of all layers, to logits.
    classes : list of str
        Class names in the order of the logits.
    speeds : sequence of float
        Each utterance is played at these speeds, and the posteriors are
        averaged.

    Example
    -------
    >>> from transformers import Wav2Vec2Config, Wav2Vec2Model
    >>> from ser_brain.lobes.wav2vec2 import Wav2Vec2
    >>> from ser_brain.nnet.heads import UtteranceHead
    >>> config = Wav2Vec2Config(
    ...     hidden_size=8,
    ...     num_hidden_layers=1,
    ...     num_attention_heads=1,
    ...     intermediate_size=8,
    ...     conv_dim=(8,) * 7,
    ...     num_conv_pos_embedding_groups=1,
    ... )
    >>> recognizer = EmotionRecognizer(
    ...     Wav2Vec2(Wav2Vec2Model(config)), UtteranceHead(8, 2), ["a", "b"]
    ... )
    >>> wavs, wav_lens = torch.randn(3, 8000), torch.tensor([1.0, 0.5, 0.7])
    >>> posteriors, score, index, label = recognizer(wavs, wav_lens)
    >>> posteriors.shape, score.shape, index.shape, len(label)
    (torch.Size([3, 2]), torch.Size([3]), torch.Size([3]), 3)
    """

    def __init__(self, encoder, head, classes, speeds=(1.0,)):
        super().__init__()
        if head.n_classes != len(classes):
            raise ValueError(
                f"A head with {head.n_classes} logits cannot name "
                f"{len(classes)} classes."
            )
        self.encoder = encoder
        self.head = head
        self.reads_layers = isinstance(head, LayerHead)
        self.classes = list(classes)
        self.speeds = tuple(speeds)
        self.eval()

    @classmethod
    def from_run(cls, folder, device="cpu"):
        """Load the classifier of a finished run.

        Arguments
        ---------
        folder : str or pathlib.Path
            A run folder, such as
            ``results/SAVEE/ptapt/nano/fold_DC/seed_1``.
        device : str or torch.device
            Where to compute.

        Returns
        -------
        EmotionRecognizer
            Ready, in evaluation mode.

        Raises
        ------
        InputError
            If the folder is not a run folder, the run has not finished, its
            files are damaged, or there is no such device.

        Example
        -------
        >>> EmotionRecognizer.from_run("/nowhere")
        Traceback (most recent call last):
        ...
        ser_brain.errors.InputError: /nowhere is not a folder: give ...
        """
        folder = Path(folder)
        check_run(folder)
        encoder, head, description = load_classifier(folder / CLASSIFIER)
        classes, speeds = description["classes"], description["speeds"]
        recognizer = cls(encoder, head, classes, speeds)
        try:
            return recognizer.to(device)
        # torch asserts that it was built with CUDA.
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"The device {device} cannot be used ({error}): choose "
                "another one, such as cpu."
            ) from error

    @classmethod
    def ensemble(cls, folders, device="cpu"):
        """Load several runs, whose posteriors are averaged.

        Runs of other folds may have been trained with the speakers that one of
        them is tested with: a score of all folds together means nothing.

        Arguments
        ---------
        folders : list of str or pathlib.Path
            Run folders; a folder whose direct subfolders are runs stands for
            all of them. Their encoders may differ.
        device : str or torch.device
            Where to compute.

        Returns
        -------
        ser_brain.inference.ensemble.Ensemble
            With the methods of an EmotionRecognizer for batches, files and
            recordings.

        Raises
        ------
        InputError
            As for :meth:`from_run`, if the classes differ, or if a run is
            given twice.

        Example
        -------
        >>> EmotionRecognizer.ensemble(["/nowhere", "/elsewhere"])
        Traceback (most recent call last):
        ...
        ser_brain.errors.InputError: /nowhere is not a folder: give ...
        """
        runs = run_folders(folders)
        members = [cls.from_run(run, device) for run in runs]
        return Ensemble(members, [str(run) for run in runs])

    @classmethod
    def from_hub(cls, source, revision=None, device="cpu"):
        """Load what ``ser-brain push`` wrote; nothing in it is executed.

        Arguments
        ---------
        source : str or pathlib.Path
            A hub repository, ``owner/name``, or a local folder.
        revision : str, optional
            Branch, tag or commit of a repository.
        device : str or torch.device
            Where to compute.

        Returns
        -------
        EmotionRecognizer
            As :meth:`from_run`.

        Raises
        ------
        InputError
            As for :meth:`from_run`, and if the repository cannot be had from
            the hub.

        Example
        -------
        >>> EmotionRecognizer.from_hub("/nowhere")
        Traceback (most recent call last):
        ...
        ser_brain.errors.InputError: /nowhere is neither a folder nor ...
        """
        return cls.from_run(fetched(source, revision), device)

    @property
    def device(self):
        """Device of the computation."""
        return next(self.parameters()).device

    @cached_property
    def shortest(self):
        """Samples at 16 kHz needed for a frame at every speed."""
        first = shortest_clip(self.encoder)
        return math.ceil(first * max(1.0, *self.speeds))

    def posteriors(self, wavs, wav_lens=None):
        """Compute posteriors (batch, classes), averaged over speeds.

        Arguments are those of :meth:`classify_batch`.
        """
        batches = (at_speed(wavs, wav_lens, speed) for speed in self.speeds)
        summed = sum(self._posteriors(*batch) for batch in batches)
        return summed / len(self.speeds)

    def _posteriors(self, wavs, wav_lens=None):
        """Compute posteriors of a padded batch at its original speed."""
        samples = sample_counts(wavs, wav_lens)
        if samples.max() > WINDOW:
            return by_windows(self._posteriors, wavs, samples, WINDOW)
        encode = self.encoder.layers if self.reads_layers else self.encoder
        lengths = self.encoder.frame_lengths(samples)
        return self.head(encode(wavs, wav_lens), lengths).softmax(dim=-1)

    def forward(self, wavs, wav_lens=None):
        """The same as :meth:`classify_batch`."""
        return self.classify_batch(wavs, wav_lens)


def at_speed(wavs, wav_lens, speed):
    """Play each utterance of a padded batch at a speed.

    Returns
    -------
    tuple of torch.Tensor
        Waveforms (batch, samples) and relative lengths (batch,).
    """
    if speed == 1:
        return wavs, wav_lens
    samples = sample_counts(wavs, wav_lens).tolist()
    changed = [played(wav[:count], speed) for wav, count in zip(wavs, samples)]
    lengths = torch.tensor([len(wav) for wav in changed], device=wavs.device)
    padded = torch.nn.utils.rnn.pad_sequence(changed, batch_first=True)
    return padded, lengths / lengths.max()
