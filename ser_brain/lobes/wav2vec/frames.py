"""wav2vec 1.0 as an encoder below a head."""

from ser_brain.lobes.frame_encoder import FrameEncoder
from ser_brain.lobes.wav2vec.encoder import Wav2Vec


class Wav2VecFrames(FrameEncoder):
    """The output of wav2vec 1.0's aggregator, 100 frames per second.

    There are no masks and there is no layer drop; nothing can be kept, as its
    group norms run over all of the time that they are given.

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

    def forward(
        self, wavs, wav_lens=None, masks=None, keep=None, features=None
    ):
        """Frames of waveforms, as ``Wav2Vec`` gives them."""
        return self.wav2vec(wavs, wav_lens)

    def save_pretrained(self, folder):
        """Writes a folder that ``Wav2Vec`` reads."""
        self.wav2vec.save_pretrained(folder)
