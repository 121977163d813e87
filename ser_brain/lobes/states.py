"""Selection of the encoder of emotion states for a checkpoint."""

from ser_brain.lobes import transformer_states
from ser_brain.lobes.pretrained import model_type
from ser_brain.lobes.registry import encoder_dim, is_wav2vec, load_encoder
from ser_brain.lobes.transformer_states import TransformerStateEncoder
from ser_brain.lobes.wav2vec import EmotionStateEncoder, Wav2Vec, emotion_states

# By the format in config.json that P1 saves.
SAVED = {
    emotion_states.FORMAT: EmotionStateEncoder,
    transformer_states.FORMAT: TransformerStateEncoder,
}


def new_state_encoder(source, span_mask=None, quick_dropout=True):
    """Create a pretrained encoder for training in P1.

    Arguments
    ---------
    source : str or Path
        wav2vec 1.0 (fairseq's checkpoint file, or a folder of ours), or what
        ``load_encoder`` takes: a folder or hub name of any other encoder.
        The extractor, or front-end, is frozen.
    span_mask : callable, optional
        Draws ``(time_mask, feature_mask)`` from ``(lengths, dim)`` for each
        training batch (``ser_brain.nnet.masking.SpanMask``).
    quick_dropout : bool
        As for ``load_encoder``.

    Returns
    -------
    ser_brain.lobes.state_encoder.StateEncoder
        Its last convolution has random weights.

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
    >>> type(new_state_encoder(folder("nano_wav2vec"))).__name__
    'EmotionStateEncoder'
    >>> new_state_encoder(folder("whisper_tiny_en")).dim
    384
    """
    if is_wav2vec(source):
        return EmotionStateEncoder(Wav2Vec(source), span_mask)
    encoder = load_encoder(source, quick_dropout=quick_dropout)
    return TransformerStateEncoder(encoder, span_mask)


def load_state_encoder(folder):
    """Load an encoder that P1 has trained.

    Arguments
    ---------
    folder : str or Path
        A folder written by ``save_pretrained`` of either kind.

    Returns
    -------
    ser_brain.lobes.state_encoder.StateEncoder
        On the CPU, fp32.

    Raises
    ------
    ValueError
        If it holds anything else, or is damaged.
    OSError
        If there is no such folder.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> states = getfixture("tmp_path")
    >>> new_state_encoder(folder("nano_wav2vec")).save_pretrained(states)
    >>> load_state_encoder(states).dim
    96
    """
    kind = model_type(folder)
    if kind not in SAVED:
        raise ValueError(
            f"{folder} holds a model of type '{kind}', not an encoder of "
            "emotion states: extract the pseudo-labels again."
        )
    return SAVED[kind].from_pretrained(folder)


def states_dim(source):
    """Number of features per emotion state.

    Arguments
    ---------
    source : str or Path
        As for ``new_state_encoder``, which has the same errors.

    Returns
    -------
    int
        The encoder's ``dim``.

    Example
    -------
    >>> from ser_brain.assets import folder
    >>> (
    ...     states_dim(folder("nano_wav2vec")),
    ...     states_dim(folder("whisper_tiny_en")),
    ... )
    (96, 384)
    """
    if is_wav2vec(source):
        return Wav2Vec(source).dim
    return encoder_dim(source)
