"""The emotion of new audio, by a trained run."""

from pathlib import Path

import torch
from torch import nn

from ser_brain.dataio.audio import SAMPLE_RATE, read_audio
from ser_brain.errors import InputError
from ser_brain.inference.classifier import load_classifier
from ser_brain.nnet.lengths import sample_counts

CLASSIFIER = Path("save", "classifier")


class EmotionRecognizer(nn.Module):
    """Classifies utterances, answering as SpeechBrain's EncoderClassifier.

    Unlike there, the posteriors are probabilities, not their logarithms.

    Arguments
    ---------
    encoder : ser_brain.lobes.wav2vec2.Wav2Vec2
        From waveforms to frames. It normalises them itself if it must.
    head : ser_brain.nnet.heads.UtteranceHead
        From frames to logits.
    classes : list of str
        Class names in the order of the logits.

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

    def __init__(self, encoder, head, classes):
        super().__init__()
        if head.n_classes != len(classes):
            raise ValueError(
                f"A head with {head.n_classes} logits cannot name "
                f"{len(classes)} classes."
            )
        self.encoder = encoder
        self.head = head
        self.classes = list(classes)
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
            If the folder is no run folder, the run has not finished, its
            files are damaged, or there is no such device.

        Example
        -------
        >>> EmotionRecognizer.from_run("/nowhere")
        Traceback (most recent call last):
        ...
        ser_brain.errors.InputError: /nowhere is no folder: give ...
        """
        folder = Path(folder)
        _check_run(folder)
        encoder, head, description = load_classifier(folder / CLASSIFIER)
        recognizer = cls(encoder, head, description["classes"])
        try:
            return recognizer.to(device)
        # torch asserts that it was built with CUDA.
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"The device {device} cannot be used ({error}): choose "
                "another one, such as cpu."
            ) from error

    @torch.no_grad()
    def classify_batch(self, wavs, wav_lens=None):
        """Posteriors and labels of a padded batch.

        An utterance's answer does not depend on what it is batched with.

        Arguments
        ---------
        wavs : torch.Tensor
            Mono waveforms at 16 kHz in [-1, 1], shape (batch, samples), or
            one of shape (samples,).
        wav_lens : torch.Tensor, optional
            Relative lengths in (0, 1], shape (batch,); without it nothing
            is padding.

        Returns
        -------
        posteriors : torch.Tensor
            Probability of each class, shape (batch, classes).
        score : torch.Tensor
            Probability of the most likely class, shape (batch,).
        index : torch.Tensor
            The index of that class, shape (batch,).
        label : list of str
            The name of that class, one an utterance.

        Raises
        ------
        ValueError
            If an utterance is shorter than one frame (25 ms).
        """
        device = next(self.parameters()).device
        wavs = torch.atleast_2d(wavs).to(device, torch.float32)
        wav_lens = None if wav_lens is None else wav_lens.to(device)
        samples = sample_counts(wavs, wav_lens)
        frames = self.encoder(wavs, wav_lens)
        logits = self.head(frames, self.encoder.frame_lengths(samples))
        posteriors = logits.softmax(dim=-1)
        score, index = posteriors.max(dim=-1)
        label = [self.classes[position] for position in index.tolist()]
        return posteriors, score, index, label

    def classify_file(self, path):
        """Posteriors and label of an audio file.

        Arguments
        ---------
        path : str or pathlib.Path
            Anything soundfile opens, at any sample rate, with any number of
            channels.

        Returns
        -------
        tuple
            As :meth:`classify_batch` for a batch of one.

        Raises
        ------
        InputError
            If the file is missing, is no audio, is shorter than one frame
            (25 ms), or holds NaN or infinity.
        """
        wav = read_audio(path)
        if self.encoder.frame_lengths(len(wav)) < 1:
            raise InputError(
                f"{path} lasts {1000 * len(wav) / SAMPLE_RATE:.0f} ms: give "
                "a file of at least 25 ms."
            )
        if not wav.isfinite().all():
            raise InputError(
                f"{path} holds NaN or infinite samples: export it again."
            )
        return self.classify_batch(wav)

    def forward(self, wavs, wav_lens=None):
        """The same as :meth:`classify_batch`."""
        return self.classify_batch(wavs, wav_lens)


def _check_run(folder):
    """See that a finished run is there, or say what is."""
    if not folder.is_dir():
        raise InputError(
            f"{folder} is no folder: give a run folder, such as "
            "results/SAVEE/ptapt/nano/fold_DC/seed_1."
        )
    if (folder / CLASSIFIER / "classifier.json").is_file():
        return
    if (folder / "hyperparams.yaml").is_file():
        raise InputError(
            f"{folder} holds a run without a trained classifier: start its "
            "recipe again, it goes on where it stopped."
        )
    raise InputError(
        f"{folder} is no run folder (it has no save/classifier): give the "
        "folder seed_… that a recipe made."
    )
