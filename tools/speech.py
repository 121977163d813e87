"""Speech from folders, decoded once, and random crops of it."""

from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from ser_brain.dataio.audio import SAMPLE_RATE, read_audio


def audio_files(folders):
    """All audio files below the folders, in an order of their own names."""
    files = [
        path
        for folder in folders
        for path in Path(folder).rglob("*")
        if path.suffix in {".wav", ".flac"}
    ]
    if not files:
        raise SystemExit(f"no .wav or .flac file below {folders}")
    return sorted(files)


class Speech:
    """Waveforms of at least one second, decoded once.

    Arguments
    ---------
    folders : list of str
        Where audio files are searched.
    weights : list of float, optional
        How often each folder is drawn; by default in proportion to its
        duration.
    """

    def __init__(self, folders, weights=None):
        self.wavs, chances = [], []
        for number, folder in enumerate(folders):
            files = tqdm(audio_files([folder]), desc=f"decoding {folder}")
            wavs = [read_audio(path) for path in files]
            wavs = [wav for wav in wavs if len(wav) >= SAMPLE_RATE]
            lengths = torch.tensor([float(len(wav)) for wav in wavs])
            if weights:
                lengths *= weights[number] / lengths.sum()
            self.wavs += wavs
            chances.append(lengths)
        self.chances = torch.cat(chances)

    @property
    def hours(self):
        """Total duration in hours."""
        return sum(map(len, self.wavs)) / SAMPLE_RATE / 3600

    def crops(self, samples, size, generator):
        """Random crops of clips drawn by their length and folder."""
        clips = torch.multinomial(self.chances, size, True, generator=generator)
        return [
            random_stretch(self.wavs[clip], samples, generator)
            for clip in clips.tolist()
        ]


def random_stretch(wav, samples, generator):
    """Crop a waveform at random; a shorter one is kept whole."""
    room = max(len(wav) - samples, 0)
    start = int(torch.randint(room + 1, (1,), generator=generator))
    return wav[start : start + samples]


def batch_of(crops):
    """Padded crops and their relative lengths."""
    lengths = torch.tensor([len(crop) for crop in crops])
    return pad_sequence(crops, batch_first=True), lengths / lengths.max()
