"""Datasets of utterances for emotion recognition.

Authors
 * The ser_brain developers, 2026
"""

import speechbrain as sb
import torch
import torchaudio
from speechbrain.dataio import audio_io
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.sampler import DynamicBatchSampler
from speechbrain.lobes.models.ptapt.losses import inverse_frequency_weights

SAMPLE_RATE = 16000
HOP = 320  # samples from one frame of wav2vec 2.0 to the next


def read_signal(wav):
    """Reads a file as one channel at 16 kHz, shape (samples,)."""
    signal, rate = audio_io.load(wav)
    signal = signal.mean(0)
    if rate == SAMPLE_RATE:
        return signal
    return torchaudio.functional.resample(signal, rate, SAMPLE_RATE)


def emotion_dataset(annotation, hparams, max_seconds=None, crop="start"):
    """The utterances of an annotation.

    Arguments
    ---------
    annotation : str
        JSON file, id to wav, duration and emo.
    hparams : dict
        Has data_folder and labels, the emotions in the order of their index.
    max_seconds : float, optional
        Utterances are cut to this length; by default they stay whole.
    crop : str
        Where they are cut: their "start", or at "random", on the frames of
        wav2vec 2.0.

    Returns
    -------
    DynamicItemDataset
        Gives id, start (first frame of the crop), sig and emo_encoded.
    """
    labels = list(hparams["labels"])

    @sb.utils.data_pipeline.takes("wav")
    @sb.utils.data_pipeline.provides("start", "sig")
    def audio_pipeline(wav):
        """Reads and cuts the signal."""
        signal, start = read_signal(wav), 0
        if max_seconds is not None:
            longest = int(max_seconds * SAMPLE_RATE)
            places = max(len(signal) - longest, 0) // HOP + 1
            if crop == "random":
                start = int(torch.randint(places, ()))
            signal = signal[start * HOP : start * HOP + longest]
        yield start
        yield signal

    @sb.utils.data_pipeline.takes("emo")
    @sb.utils.data_pipeline.provides("emo_encoded")
    def label_pipeline(emo):
        """Index of the emotion."""
        return labels.index(emo)

    return DynamicItemDataset.from_json(
        json_path=annotation,
        replacements={"data_root": hparams["data_folder"]},
        dynamic_items=[audio_pipeline, label_pipeline],
        output_keys=["id", "start", "sig", "emo_encoded"],
    )


def split_dataset(dataset, share, seed):
    """Splits a dataset at random.

    Arguments
    ---------
    dataset : DynamicItemDataset
        What is split.
    share : float
        Part of the utterances in the second half, at least one.
    seed : int
        Of the draw.

    Returns
    -------
    tuple of DynamicItemDataset
        The larger and the smaller part.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(dataset), generator=generator).tolist()
    names = [dataset.data_ids[place] for place in order]
    count = max(1, round(share * len(names)))
    parts = []
    for chosen in (set(names[count:]), set(names[:count])):
        part = dataset.filtered_sorted(
            key_test={"id": lambda name, chosen=chosen: name in chosen}
        )
        parts.append(part)
    return tuple(parts)


def class_weights(dataset, labels):
    """Inverse frequencies of the classes, which sum to 1.

    Arguments
    ---------
    dataset : DynamicItemDataset
        The training part.
    labels : list of str
        The emotions in the order of their index.

    Returns
    -------
    torch.Tensor
        Shape (classes,).
    """
    found = [dataset.data[name]["emo"] for name in dataset.data_ids]
    return inverse_frequency_weights([found.count(name) for name in labels])


def length_buckets(dataset, max_seconds, **options):
    """Batches of utterances of about the same length.

    Arguments
    ---------
    dataset : DynamicItemDataset
        The training part, which is cut to ``max_seconds``.
    max_seconds : float
        Longest crop.
    **options
        Of ``DynamicBatchSampler``, as max_batch_length in seconds.

    Returns
    -------
    DynamicBatchSampler
        For the training loader.
    """
    return DynamicBatchSampler(
        dataset,
        length_func=lambda item: min(float(item["duration"]), max_seconds),
        **options,
    )
