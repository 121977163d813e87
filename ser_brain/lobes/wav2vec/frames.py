"""wav2vec 1.0 as an encoder below a head."""

from ser_brain.lobes.frame_encoder import FrameEncoder, fingerprint
from ser_brain.lobes.wav2vec.encoder import Wav2Vec
from ser_brain.nnet.lengths import sample_counts


class Wav2VecFrames(FrameEncoder):
    """The output of wav2vec 1.0's aggregator, 100 frames per second.

    There are no masks and there is no layer drop. The front-end, whose output
    can be cached, is the extractor.

    Arguments
    ---------
    source : str, Path or dict
        As ``Wav2Vec`` takes it: fairseq's ``wav2vec_large.pt``, a folder of
        ours, or options for random weights.
    freeze_extractor : bool
        Whether the extractor is frozen; the aggregator is trained.

    Example
    -------
    >>> import torch
    >>> from ser_brain.assets import folder
    >>> encoder = Wav2VecFrames(folder("nano_wav2vec")).eval()
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 98, 96])
    >>> encoder.frame_lengths(8000)
    48
    """

    name = "wav2vec 1.0"
    frame_rate = 100.0

    def __init__(self, source, freeze_extractor=True):
        super().__init__()
        self.wav2vec = Wav2Vec(source, freeze_extractor)

    @property
    def dim(self):
        """Features of a frame of the aggregator."""
        return self.wav2vec.dim

    @property
    def shortest(self):
        """Receptive field of one frame in samples."""
        return self.wav2vec.hop_and_reach()[1]

    def frame_lengths(self, samples):
        """Frames that so many samples give, as ``Wav2Vec`` tells them."""
        return self.wav2vec.frame_lengths(samples)

    @property
    def cacheable_dim(self):
        """Number of features per frame of ``cacheable_features``."""
        return self.wav2vec.feature_dim

    def cacheable_features(self, wavs, wav_lens):
        """Output of the extractor (batch, frames, cacheable_dim), and lengths.

        Arguments are those of ``forward``; lengths are None if nothing is
        padded.
        """
        return self.wav2vec.features_and_lengths(wavs, wav_lens)

    def front_end_fingerprint(self):
        """Hash of everything that ``cacheable_features`` depends on."""
        options = self.wav2vec.options.to_dict()
        return fingerprint(options, [self.wav2vec.extractor])

    def forward(
        self, wavs, wav_lens=None, masks=None, keep=None, features=None
    ):
        """Frames of waveforms, as ``Wav2Vec`` gives them."""
        if features is None:
            return self.wav2vec(wavs, wav_lens)
        lengths = None
        if wav_lens is not None:
            samples = sample_counts(wavs, wav_lens)
            lengths = self.wav2vec.feature_lengths(samples)
        features = features.to(next(self.parameters()).dtype)
        return self.wav2vec.aggregate(features, lengths)

    def save_pretrained(self, folder):
        """Writes a folder that ``Wav2Vec`` reads."""
        self.wav2vec.save_pretrained(folder)
