"""data2vec's audio encoder (Baevski et al. 2022)."""

from transformers import Data2VecAudioModel

from ser_brain.lobes.wav2vec2.family import Wav2Vec2Family, silence


class Data2VecAudio(Wav2Vec2Family):
    """Encoder of waveforms: data2vec-audio of any size.

    Its positional convolution has several layers with layer norm between them;
    frames beyond a clip's end are set to 0 after each.

    Arguments
    ---------
    source : str, Path or Data2VecAudioModel
        Folder in transformers' format, a hub name
        (``facebook/data2vec-audio-base``), or transformers' model itself.
    **options
        freeze_front_end, span_mask and quick_dropout, as for ``Wav2Vec2``.

    Example
    -------
    >>> import torch
    >>> from transformers import Data2VecAudioConfig
    >>> config = Data2VecAudioConfig(num_hidden_layers=1, intermediate_size=8)
    >>> encoder = Data2VecAudio(Data2VecAudioModel(config)).eval()
    >>> encoder(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 49, 768])
    """

    name = "data2vec-audio"
    model_class = Data2VecAudioModel
    front_end_options = tuple(
        option
        for option in Wav2Vec2Family.front_end_options
        if option != "feat_extract_norm"
    )
    # Every layer of its CNN has layer norm; config.json has no option for it.
    normalizes_clips = True
    stable_layer_norm = False

    def positions(self, features, padding=None):
        """The positional convolutions over each clip's own frames.

        Arguments are those of ``embed``; shape (batch, frames, dim).
        """
        x = features.transpose(1, 2)
        for layer in self.model.encoder.pos_conv_embed.layers:
            x = silence(layer(x), padding)
        return x.transpose(1, 2)
