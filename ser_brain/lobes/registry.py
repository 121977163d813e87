"""Which lobe reads which kind of checkpoint."""

from transformers import AutoConfig

from ser_brain.lobes.data2vec import Data2VecAudio
from ser_brain.lobes.hubert import HuBERT
from ser_brain.lobes.pretrained import model_type, readable
from ser_brain.lobes.unispeech_sat import UniSpeechSAT
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.lobes.wavlm import WavLM
from ser_brain.lobes.whisper import Whisper

# By the model_type of config.json. A new lobe needs a line here, no more.
ENCODERS = {
    "data2vec-audio": Data2VecAudio,
    "hubert": HuBERT,
    "unispeech-sat": UniSpeechSAT,
    "wav2vec2": Wav2Vec2,
    "wavlm": WavLM,
    "whisper": Whisper,
}


def encoder_class(source):
    """The lobe for a checkpoint.

    Arguments
    ---------
    source : str or Path
        A local folder in transformers' format, or a hub name.

    Returns
    -------
    type
        A sub-class of ``ser_brain.lobes.encoder.Encoder``.

    Raises
    ------
    ValueError
        If there is no lobe for this kind of model.
    OSError
        If the source is no such folder and the hub does not give it.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> encoder_class(folder("whisper_tiny_en")).__name__
    'Whisper'
    """
    kind = model_type(source)
    if kind not in ENCODERS:
        *others, last = sorted(ENCODERS)
        raise ValueError(
            f"{source} holds a model of type '{kind}', for which there is no "
            f"encoder: give one of type {', '.join(others)} or {last}."
        )
    return ENCODERS[kind]


def load_encoder(source, **options):
    """Loads an encoder of any kind, which config.json tells.

    Arguments
    ---------
    source : str or Path
        A local folder in transformers' format, or a hub name.
    **options
        What every lobe takes: freeze_front_end, span_mask, quick_dropout.

    Returns
    -------
    ser_brain.lobes.encoder.Encoder
        On the CPU, fp32.

    Raises
    ------
    ValueError
        If there is no lobe for this kind of model, or its weights are
        damaged or incomplete.
    OSError
        If the source is no such folder and the hub does not give it.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> encoder = load_encoder(folder("nano_wav2vec2"), freeze_front_end=True)
    >>> type(encoder).__name__, encoder.dim, encoder.frame_rate
    ('Wav2Vec2', 384, 50.0)
    """
    return encoder_class(source)(source, **options)


def encoder_dim(source):
    """Features of an output frame, without loading the weights.

    Arguments
    ---------
    source : str or Path
        As for ``load_encoder``, which has the same errors.

    Returns
    -------
    int
        The encoder's ``dim``.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> encoder_dim(folder("whisper_tiny_en"))
    384
    """
    encoder_class(source)
    with readable(source):
        return AutoConfig.from_pretrained(str(source)).hidden_size
