"""Transcripts from a speech recogniser of transformers.

Recognisers with CTC (wav2vec 2.0 and its relatives) and those that write the
text token by token (Whisper and the like) are told apart by config.json.
"""

import torch
from torch import nn
from transformers import (
    AutoFeatureExtractor,
    AutoModelForCTC,
    AutoModelForSpeechSeq2Seq,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CTC_MAPPING_NAMES as CTC,
    MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES as SEQ2SEQ,
)

from ser_brain.lobes.pretrained import load_model, model_type
from ser_brain.lobes.text_encoder import RANDOM, load_tokenizer

SAMPLE_RATE = 16000
LETTERS = "_ abcdefghijklmnopqrstuvwxyz"


class SpeechRecognizer(nn.Module):
    """Transcribe recordings with a pretrained recogniser.

    Arguments
    ---------
    source : str or Path
        A local folder in transformers' format with tokenizer and feature
        extractor, or a hub name.
    max_tokens : int
        Longest transcript of a recogniser that writes token by token.

    Raises
    ------
    ValueError
        If it holds no recogniser, or one without a tokenizer or without a
        feature extractor.
    OSError
        If it is not a folder and the hub does not give it.
    """

    def __init__(self, source, max_tokens=200):
        super().__init__()
        kind = model_type(source)
        if kind not in CTC and kind not in SEQ2SEQ:
            raise ValueError(
                f"{source} holds a model of type '{kind}', which is no speech "
                "recogniser: give one with CTC (as wav2vec2) or one that "
                "writes text (as whisper)."
            )
        self.writes = kind in SEQ2SEQ
        self.tokenizer = load_tokenizer(source)
        self.features = _feature_extractor(source)
        auto = AutoModelForSpeechSeq2Seq if self.writes else AutoModelForCTC
        self.model = load_model(auto, source, kind, "a recogniser").eval()
        # Half of the decoder's positions: Whisper keeps the others for a
        # prompt.
        room = getattr(
            self.model.config, "max_target_positions", 2 * max_tokens
        )
        self.max_tokens = min(max_tokens, room // 2)

    @torch.no_grad()
    def forward(self, signal):
        """Transcribe a recording.

        Arguments
        ---------
        signal : torch.Tensor
            Waveform at 16 kHz in [-1, 1], shape (samples,).

        Returns
        -------
        str
            Without white space around it; may be empty.
        """
        device = next(self.model.parameters()).device
        inputs = self.features(
            signal.cpu().numpy(),
            sampling_rate=SAMPLE_RATE,
            return_tensors="pt",
        ).to(device)
        if self.writes:
            tokens = self.model.generate(
                **inputs, max_new_tokens=self.max_tokens
            )
        else:
            tokens = self.model(**inputs).logits.argmax(-1)
        return self.tokenizer.decode(
            tokens[0], skip_special_tokens=True
        ).strip()


class RandomRecognizer(nn.Module):
    """Letters from random weights, the same in every process.

    For trying things out where there are no weights: its transcripts depend
    on the audio and say nothing.

    Example
    -------
    >>> recognizer = RandomRecognizer()
    >>> wave = torch.sin(torch.arange(16000) / 9)
    >>> recognizer(wave) == recognizer(wave)
    True
    """

    window = 1600

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.letters = nn.Linear(self.window, len(LETTERS))

    @torch.no_grad()
    def forward(self, signal):
        """Letters, one for each 100 ms, equal neighbours joined."""
        windows = signal[: len(signal) // self.window * self.window]
        windows = windows.view(-1, self.window).to(self.letters.weight.device)
        scale = windows.std().clamp(min=1e-5) if len(windows) else 1.0
        best = self.letters(windows / scale).argmax(-1)
        places = torch.unique_consecutive(best).tolist()
        text = "".join(LETTERS[place] for place in places)
        return " ".join(text.replace("_", "").split())


def _feature_extractor(source):
    try:
        return AutoFeatureExtractor.from_pretrained(str(source))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{source} has no feature extractor that can be read "
            "(preprocessor_config.json or processor_config.json): give the "
            "folder of the whole recogniser."
        ) from error


def load_recognizer(source):
    """A speech recogniser.

    Arguments
    ---------
    source : str or Path
        As ``SpeechRecognizer`` takes it, or "random": random letters.

    Returns
    -------
    SpeechRecognizer or RandomRecognizer

    Example
    -------
    >>> type(load_recognizer("random")).__name__
    'RandomRecognizer'
    """
    if str(source) == RANDOM:
        return RandomRecognizer()
    return SpeechRecognizer(source)
