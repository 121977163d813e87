"""The emotion of new audio, by a trained run."""

from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn
from tqdm import tqdm

from ser_brain.dataio.audio import SAMPLE_RATE, played, read_audio
from ser_brain.errors import InputError
from ser_brain.inference.checks import (
    CLASSIFIER,
    check_finite,
    check_length,
    check_run,
    check_values,
)
from ser_brain.inference.classifier import load_classifier
from ser_brain.inference.reading import (
    Faults,
    batches_by_length,
    check_options,
    header_samples,
    padded_batches,
)
from ser_brain.nnet.layer_heads import LayerHead
from ser_brain.nnet.lengths import sample_counts


class EmotionRecognizer(nn.Module):
    """Classifies utterances, answering as SpeechBrain's EncoderClassifier.

    Unlike there, the posteriors are probabilities, not their logarithms.

    Arguments
    ---------
    encoder : ser_brain.lobes.encoder.Encoder
        From waveforms to frames. It normalises them itself if it must.
    head : UtteranceHead or LayerHead
        From the last layer's frames, or from those of all, to logits.
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
        InputError
            If a posterior is not finite, as from damaged weights.
        """
        names = [f"utterance {n}" for n, _ in enumerate(torch.atleast_2d(wavs))]
        return self._classify(names, wavs, wav_lens)

    @torch.no_grad()
    def _classify(self, names, wavs, wav_lens=None):
        """As `classify_batch`, with names for what is wrong."""
        device = next(self.parameters()).device
        wavs = torch.atleast_2d(wavs).to(device, torch.float32)
        wav_lens = None if wav_lens is None else wav_lens.to(device)
        posteriors = sum(
            self._posteriors(*at_speed(wavs, wav_lens, speed))
            for speed in self.speeds
        ) / len(self.speeds)
        check_finite(names, posteriors)
        score, index = posteriors.max(dim=-1)
        label = [self.classes[position] for position in index.tolist()]
        return posteriors, score, index, label

    def _posteriors(self, wavs, wav_lens):
        """Posteriors of a padded batch, played as it is."""
        samples = sample_counts(wavs, wav_lens)
        encode = self.encoder.layers if self.reads_layers else self.encoder
        lengths = self.encoder.frame_lengths(samples)
        return self.head(encode(wavs, wav_lens), lengths).softmax(dim=-1)

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
        check_length(path, len(wav), self.encoder)
        check_values(path, wav)
        return self._classify([path], wav)

    def classify_files(
        self, paths, batch_seconds=None, num_workers=None, skip_bad=False
    ):
        """Labels and posteriors of many audio files, in batches.

        Files of like length are padded to batches, the longest first, which
        are decoded when they are needed. The answers are those of
        :meth:`classify_file`, whatever the batches. A progress bar is shown
        on a terminal.

        Arguments
        ---------
        paths : list of str or pathlib.Path
            Anything soundfile opens, each at any sample rate, with any
            number of channels.
        batch_seconds : float, optional
            Most padded audio in a batch; a longer file is one of its own.
            By default 15 s on a CPU, 120 s on a GPU.
        num_workers : int, optional
            Processes that decode ahead. By default none on a CPU, and on a
            GPU one a core, at most 8.
        skip_bad : bool
            Answer the other files where one is bad.

        Returns
        -------
        list of dict
            One record a file, in the order given: ``file`` (the path as
            str), ``label``, ``score`` (its probability), ``duration`` (in
            seconds) and ``posteriors`` (probability by class name). With
            ``skip_bad`` a bad file's record has ``file`` and ``error``.

        Raises
        ------
        InputError
            If a file is missing, is no audio, is shorter than one frame
            (25 ms), or holds NaN or infinity, unless ``skip_bad``; if a
            batch does not fit the GPU's memory; if an option is out of its
            range.

        Example
        -------
        >>> import numpy, soundfile
        >>> from ser_brain.assets import folder
        >>> from ser_brain.lobes.wav2vec2 import Wav2Vec2
        >>> from ser_brain.nnet.heads import UtteranceHead
        >>> encoder = Wav2Vec2(folder("nano_wav2vec2"))
        >>> head = UtteranceHead(encoder.dim, 2)
        >>> recognizer = EmotionRecognizer(encoder, head, ["calm", "sad"])
        >>> paths = [getfixture("tmp_path") / f"{name}.wav" for name in "ab"]
        >>> soundfile.write(paths[0], numpy.zeros(44100), 44100)
        >>> soundfile.write(paths[1], numpy.zeros(4000), 8000)
        >>> records = recognizer.classify_files(paths)
        >>> [record["duration"] for record in records]
        [1.0, 0.5]
        >>> list(records[0]["posteriors"])
        ['calm', 'sad']
        """
        device = next(self.parameters()).device
        options = check_options(batch_seconds, num_workers, device)
        batch_seconds, num_workers = options
        faults, samples = Faults(skip_bad), {}
        for place, path in enumerate(paths):
            with faults.of(place):
                count = header_samples(path)
                check_length(path, count, self.encoder)
                samples[place] = count
        batches = batches_by_length(samples, batch_seconds)
        records = [None] * len(paths)
        with _progress(len(samples)) as progress:
            for batch in padded_batches(paths, batches, num_workers, faults):
                for place, record in self._records(paths, batch, faults):
                    records[place] = record
                progress.update(len(batch.place))
        for place, error in faults.items():
            records[place] = {"file": str(paths[place]), "error": str(error)}
        return records

    def _records(self, paths, batch, faults):
        """Place and record of each good file of a padded batch."""
        batch = self._good(paths, batch, faults)
        places, counts = batch.place.tolist(), batch.samples.tolist()
        if not places:
            return
        names = [paths[place] for place in places]
        try:
            answers = self._classify(names, batch.wavs, batch.wav_lens)
        except torch.OutOfMemoryError as error:
            longest = paths[places[0]]
            raise InputError(
                f"{longest} ({max(counts) / SAMPLE_RATE:.1f} s), in a batch "
                f"of {len(places)}, does not fit the GPU's memory: give "
                "fewer batch_seconds or another device."
            ) from error
        posteriors, score, _, label = answers
        rows = zip(places, counts, label, score.tolist(), posteriors.tolist())
        for place, count, name, best, shares in rows:
            yield (
                place,
                {
                    "file": str(paths[place]),
                    "label": name,
                    "score": best,
                    "duration": count / SAMPLE_RATE,
                    "posteriors": dict(zip(self.classes, shares)),
                },
            )

    def _good(self, paths, batch, faults):
        """The batch without the files whose samples are bad."""
        rows = []
        for row, place in enumerate(batch.place.tolist()):
            count = int(batch.samples[row])
            with faults.of(place):
                check_length(paths[place], count, self.encoder)
                check_values(paths[place], batch.wavs[row, :count])
                rows.append(row)
        if len(rows) == len(batch.place):
            return batch
        parts = vars(batch).items()
        return SimpleNamespace(**{name: part[rows] for name, part in parts})

    def forward(self, wavs, wav_lens=None):
        """The same as :meth:`classify_batch`."""
        return self.classify_batch(wavs, wav_lens)


def at_speed(wavs, wav_lens, speed):
    """A padded batch whose utterances are played at a speed, each alone.

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


def _progress(files):
    """A bar on a terminal; a moment's work shows none."""
    return tqdm(
        total=files,
        desc="predict",
        unit="file",
        disable=None,
        delay=1,
        leave=False,
        dynamic_ncols=True,
    )
