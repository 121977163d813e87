"""Classes with which SpeechBrain's EncoderClassifier loads a pushed model.

The ``hyperparams.yaml`` that ``ser-brain push`` writes names these classes, so
that ``EncoderClassifier.from_hparams(source)`` returns the same as this
toolkit.
"""

from torch import nn

from ser_brain.inference.recognizer import EmotionRecognizer


class LogPosteriors(nn.Module):
    """From waveforms to log-posteriors, as SpeechBrain's ``embedding_model``.

    It is empty until ``ModelLoader`` fills it.

    Example
    -------
    >>> model = LogPosteriors()
    >>> model.recognizer is None
    True
    """

    def __init__(self):
        super().__init__()
        self.recognizer = None

    def forward(self, wavs, wav_lens=None):
        """Compute the log-posteriors of a padded batch.

        Arguments
        ---------
        wavs : torch.Tensor
            Mono waveforms at 16 kHz, shape (batch, samples).
        wav_lens : torch.Tensor, optional
            Relative lengths, shape (batch,).

        Returns
        -------
        torch.Tensor
            Shape (batch, 1, classes).
        """
        posteriors = self.recognizer.classify_batch(wavs, wav_lens)[0]
        return posteriors.log()[:, None]

    def decode_torch(self, index):
        """Convert indices to class names, like SpeechBrain's label encoder."""
        return [self.recognizer.classes[each] for each in index.tolist()]


class Unchanged(nn.Module):
    """Unchanged features: the lobes normalise as needed.

    Example
    -------
    >>> Unchanged()([1.0, 2.0], [1.0])
    [1.0, 2.0]
    """

    def forward(self, features, lengths=None):
        """The features."""
        return features


class ModelLoader:
    """A ``pretrainer`` that reads the model as ``from_hub`` does.

    Arguments
    ---------
    model : LogPosteriors
        The model that it fills.

    Example
    -------
    >>> loader = ModelLoader(LogPosteriors())
    >>> loader.collect_files(default_source="/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere is ...
    """

    def __init__(self, model):
        self.model = model

    def set_collect_in(self, path):
        """Do nothing: the hub's own cache is used instead."""

    def collect_files(self, default_source, fetch_config=None, **how):
        """Read the model.

        Arguments
        ---------
        default_source : str or Path
            The source that from_hparams was given.
        fetch_config : speechbrain.utils.fetching.FetchConfig, optional
            Its revision selects that of the repository.
        **how
            Ignored.
        """
        revision = getattr(fetch_config, "revision", None)
        self.loaded = EmotionRecognizer.from_hub(default_source, revision)

    def load_collected(self):
        """Assign the model that was read."""
        self.model.recognizer = self.loaded
