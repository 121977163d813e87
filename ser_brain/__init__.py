"""Speech emotion recognition with wav2vec 2.0, in SpeechBrain's style."""

__version__ = "0.1.0"
