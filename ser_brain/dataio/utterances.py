"""From manifest entries to utterances, and to padded batches."""

from types import SimpleNamespace

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from torch.nn.utils.rnn import pad_sequence

from ser_brain.dataio.audio import SAMPLE_RATE, read_audio, sample_count
from ser_brain.errors import InputError


class CachedReader:
    """Read audio files and keep the first hours of audio in memory.

    Arguments
    ---------
    hours : float
        Hours of audio to keep (0.23 GB each); 0 keeps nothing.

    Example
    -------
    >>> CachedReader(hours=0).samples_left
    0
    """

    def __init__(self, hours):
        self.samples_left = sample_count(hours * 3600)
        self.kept = {}

    def __call__(self, path):
        """The waveform at 16 kHz, float32, shape (samples,)."""
        if path in self.kept:
            return self.kept[path]
        wav = read_audio(path)
        if len(wav) <= self.samples_left:
            self.samples_left -= len(wav)
            self.kept[path] = wav
        return wav


def utterance_dataset(manifest, ids, data_folder, classes, reader=read_audio):
    """A SpeechBrain dataset of decoded utterances.

    Arguments
    ---------
    manifest : dict
        Entries by id, their ``emotion`` already a class name.
    ids : sequence of str
        Utterances to use, in this order.
    data_folder : str or Path
        The folder for which ``{data_root}`` in the manifest stands.
    classes : list of str
        Class names; an emotion's index is its position here.
    reader : callable or None
        From path to waveform. None: nothing is decoded, and a signal is
        silence of the utterance's length that takes no memory, for steps that
        read features which are kept.

    Returns
    -------
    DynamicItemDataset
        Items: id, signal (samples,), label (int), speaker, duration; and
        target (float32 tensor) if all entries have one.
    """
    index = {name: number for number, name in enumerate(classes)}
    entries = {}
    for key in ids:
        entry = dict(manifest[key])
        entry["wav"] = entry["wav"].replace("{data_root}", str(data_folder))
        entry["label"] = index[entry["emotion"]]
        if "target" in entry:
            entry["target"] = torch.tensor(entry["target"])
        entries[key] = entry
    dataset = DynamicItemDataset(entries)
    if reader is None:
        dataset.add_dynamic_item(silence, takes="duration", provides="signal")
    else:
        dataset.add_dynamic_item(reader, takes="wav", provides="signal")
    keys = ["id", "signal", "label", "speaker", "duration"]
    if all("target" in entry for entry in entries.values()):
        keys.append("target")
    dataset.set_output_keys(keys)
    return dataset


def silence(seconds):
    """Zeros of shape (samples,) that share one number's memory."""
    return torch.zeros(1).expand(sample_count(seconds))


def as_list(items):
    """Return utterances uncollated: they are cropped before padding."""
    return [SimpleNamespace(**item) for item in items]


def with_signal(utterance, signal):
    """A copy of an utterance with another signal."""
    return SimpleNamespace(**{**vars(utterance), "signal": signal})


def random_crop(utterance, samples, generator, grid=1):
    """Crop an utterance at random; a shorter one is kept whole.

    Arguments
    ---------
    utterance : SimpleNamespace
        Holds ``signal``, shape (samples,).
    samples : int
        Maximum length of the crop.
    generator : torch.Generator
        Draws the start.
    grid : int
        The start is a multiple of this many samples (320: the frame grid of
        pseudo-labels).

    Returns
    -------
    SimpleNamespace
        The utterance with its ``signal`` cut and ``start`` set, in samples.

    Example
    -------
    >>> whole = SimpleNamespace(signal=torch.arange(1000.0))
    >>> crop = random_crop(whole, 400, torch.Generator(), grid=320)
    >>> len(crop.signal), crop.start % 320
    (400, 0)
    """
    room = max(len(utterance.signal) - samples, 0) // grid
    start = grid * int(torch.randint(room + 1, (1,), generator=generator))
    crop = with_signal(utterance, utterance.signal[start : start + samples])
    crop.start = start
    return crop


def padded(utterances, device):
    """Pad ready utterances into one batch on the device.

    Signals become ``wavs`` (batch, samples) with ``wav_lens`` (relative) and
    ``samples`` (counts). Every other tensor of the utterances is padded along
    its first dimension with its own neutral value: False in masks, -100 in
    targets, 0 in features.

    Example
    -------
    >>> one = SimpleNamespace(id="a", signal=torch.ones(4), label=1)
    >>> two = SimpleNamespace(id="b", signal=torch.ones(2), label=0)
    >>> batch = padded([one, two], "cpu")
    >>> batch.wavs.shape, batch.wav_lens.tolist(), batch.label.tolist()
    (torch.Size([2, 4]), [1.0, 0.5], [1, 0])
    """
    lengths = torch.tensor([len(one.signal) for one in utterances])
    batch = {
        "wavs": pad_sequence([one.signal for one in utterances], True),
        "wav_lens": lengths / lengths.max(),
        "samples": lengths,
    }
    for key in vars(utterances[0]).keys() - {"signal"}:
        values = [getattr(one, key) for one in utterances]
        if isinstance(values[0], torch.Tensor):
            empty = -100 if values[0].dtype == torch.long else 0
            values = pad_sequence(values, True, padding_value=empty)
        elif isinstance(values[0], int):
            values = torch.tensor(values)
        batch[key] = values
    pins = torch.device(device).type == "cuda"
    for key, value in batch.items():
        if isinstance(value, torch.Tensor):
            # Only pinned memory is copied while the GPU keeps computing.
            value = value.pin_memory() if pins else value
            batch[key] = value.to(device, non_blocking=True)
    return SimpleNamespace(**batch)


def micro_batches(utterances, seconds):
    """Split one update's utterances into parts of similar length.

    Arguments
    ---------
    utterances : list of SimpleNamespace
        Ready utterances.
    seconds : float or None
        Maximum padded audio per part; None: one part. A single utterance that
        is longer is its own part.

    Returns
    -------
    list of list
        The parts; together exactly the utterances.

    Raises
    ------
    InputError
        If ``seconds`` is not above 0.

    Example
    -------
    >>> clips = [SimpleNamespace(signal=torch.ones(16000 * n)) for n in (3, 1)]
    >>> [len(part) for part in micro_batches(clips, seconds=4)]
    [1, 1]
    """
    if seconds is None:
        return [utterances]
    if seconds <= 0:
        raise InputError(
            f"--micro_batch_seconds is {seconds}: give seconds above 0, or "
            "null for whole batches."
        )
    parts = [[]]
    ordered = sorted(utterances, key=lambda one: -len(one.signal))
    for one in ordered:
        longest = len((parts[-1] or [one])[0].signal) / SAMPLE_RATE
        if parts[-1] and longest * (len(parts[-1]) + 1) > seconds:
            parts.append([])
        parts[-1].append(one)
    return parts
