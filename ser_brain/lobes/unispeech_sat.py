"""UniSpeech-SAT (Chen et al. 2021), speaker-aware pretraining of speech."""

from transformers import UniSpeechSatModel

from ser_brain.lobes.wav2vec2.family import Wav2Vec2Family


class UniSpeechSAT(Wav2Vec2Family):
    """Encoder of waveforms: UniSpeech-SAT of any size.

    Arguments
    ---------
    source : str, Path or UniSpeechSatModel
        Folder in transformers' format, a hub name
        (``microsoft/unispeech-sat-base``), or transformers' model itself.
    **options
        freeze_front_end, span_mask and quick_dropout, as for ``Wav2Vec2``.

    Example
    -------
    >>> import torch
    >>> from transformers import UniSpeechSatConfig
    >>> config = UniSpeechSatConfig(num_hidden_layers=1, intermediate_size=8)
    >>> encoder = UniSpeechSAT(UniSpeechSatModel(config)).eval()
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 768])
    """

    name = "UniSpeech-SAT"
    model_class = UniSpeechSatModel
