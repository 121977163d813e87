"""Create the embedded mini corpus from real LibriSpeech recordings.

    python tools/make_mini_corpus.py --librispeech DIR \
        --out ser_brain/assets/mini_corpus

The voices are real, the emotions are synthetic: each clip is an excerpt of a
LibriSpeech utterance whose pitch, pitch range, speaking rate, energy and
spectral tilt were changed with the WORLD vocoder (pyworld) to follow what the
literature reports for anger, happiness and sadness. It exercises pipelines; it
says nothing about how people feel.

The same seed gives the same corpus. A killed run continues where it stopped,
because each clip is written atomically to a staging folder named after the
plan. tools/measure_mini_corpus.py prints the figures that the README quotes.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyworld
import soundfile as sf
from tqdm import tqdm

from ser_brain.errors import InputError

RATE = 16000
FRAME_MS = 5.0
EXCERPT_SECONDS = 2.3
CUT_SLACK_SECONDS = 0.35
# Every speaker starts from the same level, which leaves room for anger.
LEVEL_DB = -31.0
CLIPS = {"neutral": 8, "angry": 6, "happy": 6, "sad": 5}


@dataclass(frozen=True)
class Prosody:
    """How one clip is spoken, relative to the recorded excerpt.

    Each value is a number, or a (low, high) pair to draw it from.
    """

    pitch: float  # semitones on the median F0
    pitch_range: float  # factor on log F0 about its median
    rate: float  # factor on the speaking rate
    energy: float  # dB on the RMS level
    tilt: float  # dB per octave about 1 kHz


# Ranges overlap on purpose: one clip's strength is drawn from them, so the
# classes can be learned but not read off a single measurement.
# Neutral clips pass through the vocoder too: its artefacts are in every class.
RANGES = {
    "neutral": Prosody(
        pitch=(-1.5, 1.5),
        pitch_range=(0.75, 1.25),
        rate=(0.92, 1.08),
        energy=(-2.5, 2.5),
        tilt=(-1.2, 1.2),
    ),
    "angry": Prosody(
        pitch=(0.0, 4.0),
        pitch_range=(1.2, 2.0),
        rate=(1.05, 1.35),
        energy=(2.0, 10.0),
        tilt=(1.0, 5.0),
    ),
    "happy": Prosody(
        pitch=(3.0, 9.0),
        pitch_range=(1.4, 2.4),
        rate=(1.0, 1.2),
        energy=(-1.0, 4.0),
        tilt=(-0.5, 2.0),
    ),
    "sad": Prosody(
        pitch=(-5.0, -1.0),
        pitch_range=(0.2, 0.8),
        rate=(0.7, 0.95),
        energy=(-10.0, -2.0),
        tilt=(-5.0, -1.0),
    ),
}


def read_clip(path):
    """Samples of one 16 kHz mono recording, float64.

    Returns
    -------
    samples : numpy.ndarray
        Shape (samples,), in [-1, 1].

    Raises
    ------
    InputError
        When the file is not 16 kHz mono speech that soundfile can read.
    """
    try:
        samples, rate = sf.read(path)
    except sf.LibsndfileError as error:
        raise InputError(
            f"{path} cannot be read ({error.error_string}): "
            "download LibriSpeech again."
        ) from error
    if rate != RATE or samples.ndim != 1:
        raise InputError(
            f"{path} has {rate} Hz and shape {samples.shape}: "
            "give original LibriSpeech, which is 16 kHz mono."
        )
    return samples


def rms(samples):
    """Root mean square of a signal."""
    return float(np.sqrt(np.mean(np.square(samples))))


def pitch_track(samples):
    """F0 in Hz every 5 ms, 0 where unvoiced, and the frame times."""
    # Harvest, as DIO loses most of the voicing in the noisier recordings.
    coarse, times = pyworld.harvest(
        samples, RATE, f0_floor=60, f0_ceil=500, frame_period=FRAME_MS
    )
    return pyworld.stonemask(samples, coarse, times, RATE), times


def change_prosody(samples, prosody):
    """Analyse speech with WORLD, change its prosody, synthesise it again.

    Arguments
    ---------
    samples : numpy.ndarray
        Speech at 16 kHz, shape (samples,), float64.
    prosody : Prosody
        What to change and by how much.

    Returns
    -------
    changed : numpy.ndarray
        Shape (about samples / prosody.rate,). Its RMS is the input's,
        raised by ``prosody.energy`` dB.
    """
    f0, times = pitch_track(samples)
    envelope = pyworld.cheaptrick(samples, f0, times, RATE)
    noise = pyworld.d4c(samples, f0, times, RATE)
    bins = np.linspace(0, RATE / 2, envelope.shape[1])
    octaves = np.log2(np.maximum(bins, 125.0) / 1000.0)
    envelope = envelope * 10 ** (prosody.tilt * octaves / 10)
    # Frames that come sooner after each other are faster speech.
    changed = pyworld.synthesize(
        move_pitch(f0, prosody), envelope, noise, RATE, FRAME_MS / prosody.rate
    )
    wanted = rms(samples) * 10 ** (prosody.energy / 20)
    return fade(changed * wanted / rms(changed))


def move_pitch(f0, prosody):
    """Shift the median of F0 and stretch log F0 about it."""
    voiced = f0 > 0
    if not voiced.any():
        return f0
    median = np.median(f0[voiced])
    moved = f0.copy()
    moved[voiced] = (
        median
        * 2 ** (prosody.pitch / 12)
        * (f0[voiced] / median) ** prosody.pitch_range
    )
    # Rare tracking errors are stretched too: keep them within human voices.
    moved[voiced] = np.clip(moved[voiced], 55, 600)
    return moved


def fade(samples, seconds=0.01):
    """Fade both ends, so that a cut makes no click."""
    length = int(seconds * RATE)
    ramp = np.linspace(0, 1, length)
    faded = samples.copy()
    faded[:length] *= ramp
    faded[-length:] *= ramp[::-1]
    return faded


def cut_points(samples):
    """Sample positions that cut an utterance into excerpts of 2 to 3 s.

    The evenly spaced cuts move, by at most 0.35 s, to where the speech is
    softest: between words rather than within them.

    Example
    -------
    >>> speech = np.ones(5 * RATE)
    >>> speech[42000:42800] = 0
    >>> cut_points(speech)
    [0, 42399, 80000]
    """
    pieces = max(1, round(len(samples) / RATE / EXCERPT_SECONDS))
    window = np.hanning(int(0.05 * RATE))
    loudness = np.convolve(np.square(samples), window, mode="same")
    slack = int(CUT_SLACK_SECONDS * RATE)
    cuts = [0]
    for piece in range(1, pieces):
        even = len(samples) * piece // pieces
        cuts.append(
            even - slack + int(np.argmin(loudness[even - slack : even + slack]))
        )
    return cuts + [len(samples)]


def find_speakers(folder):
    """The ten speakers as (sex, utterance paths), in order of their ids.

    The five with the lowest median F0 count as male.
    """
    root = Path(folder) / "test-other"
    if not root.is_dir():
        raise InputError(
            f"{root} is not a folder: give --librispeech the folder that "
            "holds LibriSpeech's test-other."
        )
    voices = {
        int(speaker.name): sorted(speaker.rglob("*.flac"))
        for speaker in root.iterdir()
        if speaker.name.isdigit()
    }
    if len(voices) != 10:
        raise InputError(
            f"{root} has {len(voices)} speakers: the mini corpus is made of "
            "exactly 10, so keep only as many folders."
        )
    pitch = {speaker: median_pitch(voices[speaker]) for speaker in voices}
    males = sorted(voices, key=pitch.get)[:5]
    return {
        speaker: ("M" if speaker in males else "F", voices[speaker])
        for speaker in sorted(voices)
    }


def median_pitch(paths):
    """Median F0 in Hz over the start of a speaker's first utterances."""
    tracks = [pitch_track(read_clip(path)[: 4 * RATE])[0] for path in paths[:4]]
    f0 = np.concatenate(tracks)
    return float(np.median(f0[f0 > 0]))


def draw_prosody(emotion, generator):
    """One clip's prosody, uniform within its emotion's ranges."""
    return Prosody(
        **{
            name: round(float(generator.uniform(low, high)), 3)
            for name, (low, high) in asdict(RANGES[emotion]).items()
        }
    )


def plan_speaker(speaker, sex, session, paths, seed):
    """Which excerpt becomes which clip of one speaker.

    No excerpt is used twice: words cannot give a class away.
    """
    generator = np.random.default_rng([seed, speaker])
    excerpts = []
    for path in paths:
        cuts = cut_points(read_clip(path))
        excerpts += [(path, a, b) for a, b in zip(cuts, cuts[1:], strict=False)]
    emotions = [name for name, count in CLIPS.items() for _ in range(count)]
    if len(excerpts) < len(emotions):
        raise InputError(
            f"speaker {speaker} has {len(excerpts)} excerpts but "
            f"{len(emotions)} clips are to be made: give more utterances."
        )
    order = generator.permutation(len(excerpts))[: len(emotions)]
    number = 2 * session - (sex == "F")
    clips = []
    for place, (chosen, emotion) in enumerate(
        zip(order, emotions, strict=True)
    ):
        path, start, end = excerpts[chosen]
        clips.append(
            {
                "id": f"{number:02d}_{emotion}_{place + 1:02d}",
                "speaker": number,
                "sex": sex,
                "session": session,
                "emotion": emotion,
                "source": path.stem,
                "start": round(start / RATE, 4),
                "end": round(end / RATE, 4),
                "prosody": asdict(draw_prosody(emotion, generator)),
            }
        )
    return clips


def make_plan(voices, seed):
    """All clips, one female and one male speaker to each of five sessions."""
    sessions = {"F": 0, "M": 0}
    clips = []
    for speaker, (sex, paths) in voices.items():
        sessions[sex] += 1
        clips += plan_speaker(speaker, sex, sessions[sex], paths, seed)
    return sorted(clips, key=lambda clip: clip["id"])


def speaker_gain(paths):
    """The factor that brings a speaker's recordings to the common level."""
    everything = np.concatenate([read_clip(path) for path in paths])
    return 10 ** (LEVEL_DB / 20) / rms(everything)


def render(clip, path, gain, target):
    """Make one clip and move it into place whole."""
    start, end = (round(clip[edge] * RATE) for edge in ("start", "end"))
    speech = change_prosody(
        read_clip(path)[start:end] * gain, Prosody(**clip["prosody"])
    )
    # WORLD's pulses are peaky: the rare clip that is too loud gets softer.
    speech *= min(1.0, 0.99 / np.abs(speech).max())
    unfinished = target.with_suffix(".part")
    sf.write(
        unfinished, speech, RATE, "PCM_16", format="FLAC", compression_level=1.0
    )
    os.replace(unfinished, target)


def render_all(clips, voices, staging):
    """Make the clips that an earlier, killed run has not made."""
    staging.mkdir(parents=True, exist_ok=True)
    paths = {p.stem: p for _, files in voices.values() for p in files}
    gains = {s: speaker_gain(files) for s, (_, files) in voices.items()}
    for clip in tqdm(clips, desc="mini corpus", unit="clip"):
        target = staging / f"{clip['id']}.flac"
        if not target.exists():
            speaker = int(clip["source"].split("-")[0])
            render(clip, paths[clip["source"]], gains[speaker], target)


def install(clips, seed, staging, out):
    """Put the finished audio and its index in place of older ones."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update((staging / f"{clip['id']}.flac").read_bytes())
    index = {
        "name": "ser_brain mini corpus",
        "licence": "CC BY 4.0",
        "seed": seed,
        "sampling_rate": RATE,
        "audio_sha256": digest.hexdigest(),
        "clips": clips,
    }
    audio = out / "audio"
    if audio.exists():
        shutil.rmtree(audio)
    os.replace(staging, audio)
    unfinished = out / "index.json.part"
    unfinished.write_text(json.dumps(index, indent=1) + "\n", "utf-8")
    os.replace(unfinished, out / "index.json")


def main(arguments=None):
    """Make the corpus and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--librispeech", required=True, metavar="DIR")
    parser.add_argument("--out", required=True, metavar="DIR", type=Path)
    parser.add_argument("--seed", type=int, default=2110)
    options = parser.parse_args(arguments)
    try:
        voices = find_speakers(options.librispeech)
        clips = make_plan(voices, options.seed)
        key = hashlib.sha256(json.dumps(clips).encode()).hexdigest()[:12]
        options.out.mkdir(parents=True, exist_ok=True)
        staging = options.out / f".audio-{key}"
        render_all(clips, voices, staging)
        install(clips, options.seed, staging, options.out)
    except InputError as error:
        sys.exit(f"make_mini_corpus: {error}")
    print(f"{len(clips)} clips in {options.out / 'audio'}")


if __name__ == "__main__":
    main()
