"""wav2vec 2.0 of any size: base, large, XLSR-53 and XLS-R."""

from transformers import Wav2Vec2ForPreTraining, Wav2Vec2Model

from ser_brain.lobes import pretrained
from ser_brain.lobes.wav2vec2.family import Wav2Vec2Family


class Wav2Vec2(Wav2Vec2Family):
    """Encoder of waveforms: wav2vec 2.0 (Chen and Rudnicky).

    Base models have group norm in the CNN's first layer; large ones and XLS-R
    (Babu et al. 2021) have layer norm in every one, and before attention.

    Arguments
    ---------
    source : str, Path or Wav2Vec2Model
        Folder in transformers' format, a hub name
        (``facebook/wav2vec2-base``), or transformers' model itself.
    freeze_front_end : bool
        Whether the CNN, the feature projection and the mask embedding are
        frozen. The projection keeps its dropout in training, as in the
        released code.
    span_mask : callable, optional
        Draws ``(time_mask, feature_mask)`` from ``(lengths, dim)`` for each
        training batch (``ser_brain.nnet.masking.SpanMask``). Masked frames
        become the model's learned mask embedding, masked features 0.
    quick_dropout : bool
        Whether dropout on a CPU is drawn from 16 random bits per element,
        which is faster (``ser_brain.nnet.dropout``); else torch's own.

    Example
    -------
    >>> import torch
    >>> from ser_brain.assets import folder
    >>> encoder = Wav2Vec2(folder("nano_wav2vec2")).eval()
    >>> wavs = torch.randn(2, 16000)
    >>> encoder(wavs, torch.tensor([1.0, 0.5])).shape[:2]
    torch.Size([2, 49])
    >>> encoder.frame_lengths(torch.tensor([16000, 8000]))
    tensor([49, 24])
    """

    name = "wav2vec 2.0"
    model_class = Wav2Vec2Model


def load_for_pretraining(source):
    """Load wav2vec 2.0 with its quantizer, in fp32, from a folder or the hub.

    Arguments
    ---------
    source : str or Path
        A local folder in transformers' format, or a hub name.

    Raises
    ------
    ValueError
        If the folder holds another kind of model, or weights that are
        damaged or lack a part of this one.
    OSError
        If the source is not a folder and cannot be had from the hub.
    """
    return pretrained.load_model(
        Wav2Vec2ForPreTraining,
        source,
        "wav2vec2",
        needed="a wav2vec 2.0 checkpoint in transformers' format with its "
        "quantizer, which contrastive pretraining (TAPT) needs, such as "
        "facebook/wav2vec2-base",
        optional=("masked_spec_embed",),
    )
