"""Selection of the lobe for a checkpoint."""

from pathlib import Path

from transformers import AutoConfig

from ser_brain.lobes import fcn
from ser_brain.lobes.data2vec import Data2VecAudio
from ser_brain.lobes.emotion2vec import Emotion2Vec
from ser_brain.lobes.emotion2vec.checkpoint import (
    emotion2vec_config,
    is_emotion2vec,
)
from ser_brain.lobes.hubert import HuBERT
from ser_brain.lobes.pretrained import model_type, readable
from ser_brain.lobes.unispeech_sat import UniSpeechSAT
from ser_brain.lobes.wav2vec import encoder as wav2vec_encoder
from ser_brain.lobes.wav2vec.frames import Wav2VecFrames
from ser_brain.lobes.wav2vec2 import Wav2Vec2
from ser_brain.lobes.wavlm import WavLM
from ser_brain.lobes.whisper import Whisper

# By the model_type of config.json. A new lobe only needs a line here.
ENCODERS = {
    "data2vec-audio": Data2VecAudio,
    "emotion2vec": Emotion2Vec,
    "hubert": HuBERT,
    "unispeech-sat": UniSpeechSAT,
    "wav2vec2": Wav2Vec2,
    "wavlm": WavLM,
    "whisper": Whisper,
}


def encoder_class(source):
    """Return the lobe class for a checkpoint.

    Arguments
    ---------
    source : str or Path
        A local folder in transformers' format, or a hub name. A file is taken
        for a published checkpoint of emotion2vec.

    Returns
    -------
    type
        A subclass of ``ser_brain.lobes.encoder.Encoder``.

    Raises
    ------
    ValueError
        If there is no lobe for this kind of model. OSError If the source is no
        such folder and the hub does not give it.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> encoder_class(folder("whisper_tiny_en")).__name__
    'Whisper'
    """
    if Path(source).is_file():
        return Emotion2Vec
    kind = model_type(source)
    if kind not in ENCODERS:
        *others, last = sorted(ENCODERS)
        raise ValueError(
            f"{source} holds a model of type '{kind}', for which there is no "
            f"encoder: give one of type {', '.join(others)} or {last}."
        )
    return ENCODERS[kind]


def load_encoder(source, **options):
    """Load an encoder of any kind, given by its config.json.

    Arguments
    ---------
    source : str or Path
        A local folder in transformers' format, a hub name, or a file that
        emotion2vec's authors published.
    **options
        Options of every lobe: freeze_front_end, span_mask, quick_dropout.

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
    """Number of features per output frame, without loading the weights.

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
    return _config(source).hidden_size


def encoder_layers(source):
    """Number of transformer layers, without loading the weights.

    Arguments
    ---------
    source : str or Path
        As for ``load_encoder``, which has the same errors.

    Returns
    -------
    int
        The length of the encoder's ``layer_stack``.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> encoder_layers(folder("whisper_tiny_en"))
    4
    """
    return _config(source).num_hidden_layers


def _config(source):
    """Configuration of a checkpoint for which there is a lobe."""
    if Path(source).is_file():
        return emotion2vec_config(source)
    encoder_class(source)
    with readable(source):
        return AutoConfig.from_pretrained(str(source))


def is_wav2vec(source):
    """Whether a checkpoint is wav2vec 1.0, fairseq's or ours.

    Arguments
    ---------
    source : str or Path
        A checkpoint file, a folder or a hub name.

    Returns
    -------
    bool
        True for every file that does not hold emotion2vec.

    Raises
    ------
    ValueError
        If the folder's config.json names no kind of model, or the file is
        damaged or would run code when it is opened.
    OSError
        If the source is no such file or folder and the hub does not give it.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> is_wav2vec(folder("nano_wav2vec")), is_wav2vec("wav2vec_large.pt")
    (True, True)
    >>> is_wav2vec(folder("whisper_tiny_en"))
    False
    """
    path = Path(source)
    if path.is_file():
        return not is_emotion2vec(path)
    if path.suffix == ".pt":
        return True
    return model_type(source) == wav2vec_encoder.FORMAT


def load_frame_encoder(source):
    """Loads whatever a head can sit on.

    Arguments
    ---------
    source : str or Path
        What ``load_encoder`` takes, wav2vec 1.0 (fairseq's checkpoint file or
        a folder of ours), or a folder with a network on spectrograms.

    Returns
    -------
    ser_brain.lobes.frame_encoder.FrameEncoder
        On the CPU, fp32.

    Raises
    ------
    ValueError
        If there is no lobe for this kind of model, or its weights are
        damaged or incomplete.
    OSError
        If the source is no such file or folder and the hub does not give it.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> load_frame_encoder(folder("nano_wav2vec")).frame_rate
    100.0
    >>> load_frame_encoder(folder("nano_wav2vec2")).frame_rate
    50.0
    """
    if is_wav2vec(source):
        return Wav2VecFrames(source)
    if model_type(source) == fcn.FORMAT:
        return fcn.SpectrogramFCN.from_pretrained(source)
    return load_encoder(source)
