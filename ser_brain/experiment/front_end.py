"""The front-end cache that the settings require."""

import hashlib

from speechbrain.utils.distributed import run_on_main

from ser_brain.corpora import manifest_key
from ser_brain.dataio.audio import RESAMPLER, played, sample_count
from ser_brain.dataio.front_end import (
    MemoryCache,
    at_speed,
    cache_mode,
    encoded,
)
from ser_brain.dataio.front_end_file import FrontEndFile

FOLDER = "front_end"


def front_end(experiment, section):
    """Create the cache of a section's frozen front-end.

    Arguments
    ---------
    experiment : Experiment
        The run. A cache on disk is in ``front_end/`` of the corpus's results
        and contains all utterances of its manifest, of both training and test
        parts: the output of a frozen front-end is not learned from any of
        them.
    section : dict
        The instantiated section.

    Returns
    -------
    MemoryCache, MappedFeatures or None
        None: the front-end is computed each time, as is necessary if the
        section has no ``front_end_cache`` or augments the waveforms.
    """
    mode = cache_mode(section.get("front_end_cache"))
    if mode == "off" or section.get("augment") is not None:
        return None
    gigabytes = float(experiment.settings.get("front_end_cache_gb"))
    if mode == "memory":
        return MemoryCache(gigabytes)
    return _on_disk(experiment, section, gigabytes)


def _on_disk(experiment, section, gigabytes):
    """Open the file of this corpus and model, computed if missing."""
    encoder = section["modules"]["encoder"].to(experiment.run_opts.device)
    longest = sample_count(section["max_seconds"])
    # The adaptation does not change the speed of its crops.
    speeds = section.get("speeds", [1.0])
    parts = (
        encoder.front_end_fingerprint(),
        RESAMPLER,
        manifest_key(experiment.entries(experiment.manifest)),
        str(longest),
        str(speeds),
    )
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    folder = experiment.corpus_folder / FOLDER
    file = FrontEndFile(folder, key, encoder.cacheable_dim)
    ids = list(experiment.manifest)

    def compute():
        for (utterance,) in experiment.loader(ids):
            for speed in speeds:
                signal = played(utterance.signal, speed)[:longest]
                device = experiment.run_opts.device
                name = at_speed(utterance.id, speed)
                yield name, encoded(encoder, signal, device)

    frames = sum(
        encoder.frame_lengths(min(sample_count(entry["duration"]), longest))
        for entry in experiment.manifest.values()
    )
    clips = len(ids) * len(speeds)
    args = [compute, frames * len(speeds), clips, gigabytes]
    run_on_main(file.ensure, args=args)
    return file.open()
