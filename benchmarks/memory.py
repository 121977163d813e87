"""Peak memory of `ser-brain predict` by the length of a recording.

    python benchmarks/memory.py [--data_folder /path/to/SAVEE]

Clips are repeated one after the other to recordings of --minutes. For each kind
of model a process of its own predicts them, the shortest first. Encoders are
the embedded ones and heads are not trained: memory does not depend on the
values of weights. Writes benchmarks/results/memory.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile
import torch
from common import memory, write_report
from run_all import clips_folder

from ser_brain import assets
from ser_brain.cli import main as ser_brain
from ser_brain.commands.predict import audio_files
from ser_brain.dataio.audio import SAMPLE_RATE, read_audio
from ser_brain.inference import save_classifier
from ser_brain.inference.classifier import quiet_loading
from ser_brain.lobes import load_frame_encoder
from ser_brain.lobes.fcn import SpectrogramFCN
from ser_brain.nnet.heads import UtteranceHead
from ser_brain.nnet.layer_heads import PosteriorFusionHead
from ser_brain.nnet.pooling import AttentivePooling

CLIPS = 60
CLASSES = ["angry", "happy", "neutral", "sad"]
# Source of the encoder, and whether its layers are read by a frozen head.
KINDS = {
    "wav2vec 1.0, nano": ("nano_wav2vec", False),
    "wav2vec 2.0, nano, V-FT": ("nano_wav2vec2", False),
    "Whisper tiny.en, V-FT": ("whisper_tiny_en", False),
    "Whisper tiny.en, frozen": ("whisper_tiny_en", True),
    "FCN on spectrograms": (None, False),
}


def write_run(folder, kind):
    """A run folder with a model of a kind."""
    source, frozen = KINDS[kind]
    torch.manual_seed(0)
    if source is None:
        encoder = SpectrogramFCN()
        pooling = AttentivePooling(dim=encoder.dim)
        head = UtteranceHead(encoder.dim, len(CLASSES), pooling=pooling)
    else:
        encoder = load_frame_encoder(assets.folder(source))
        head = UtteranceHead(encoder.dim, len(CLASSES))
    if frozen:
        layers = encoder.layers(torch.zeros(1, SAMPLE_RATE)).shape[0]
        head = PosteriorFusionHead(encoder.dim, layers, len(CLASSES))
    (folder / "hyperparams.yaml").write_text("seed: 1\n")
    save_classifier(folder / "save" / "classifier", encoder, head, CLASSES)


def repeat(clips, path, minutes):
    """Write clips one after the other until a recording is so long."""
    left = round(60 * minutes * SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1) as file:
        while left > 0:
            for clip in clips:
                file.write(clip[:left].numpy())
                left = max(0, left - len(clip))


def in_a_process(run, paths):
    """Peak memory in MB after each file, the shortest first."""
    words = [sys.executable, __file__, "--alone", run, *paths]
    words = list(map(str, words))
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def alone(run, *paths):
    """What ``in_a_process`` starts: `ser-brain predict`, on one thread."""
    torch.set_num_threads(1)
    peaks = []
    for path in paths:
        if ser_brain(["predict", run, path, "--csv"]) != 0:
            sys.exit(1)
        peaks.append(round(memory("self")["peak_mb"]))
    print(json.dumps(peaks))


def main():
    """Reads the command line, measures, writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder", help="else SAVEE_ROOT")
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 10, 60])
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--alone", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(*arguments.alone)
        return
    quiet_loading()
    files = audio_files([str(clips_folder(arguments.data_folder))])
    clips = [read_audio(path) for path in files[:: max(1, len(files) // CLIPS)]]
    minutes = sorted(arguments.minutes)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{each:g}.wav") for each in minutes]
        for path, each in zip(paths, minutes):
            repeat(clips, path, each)
        for kind in arguments.kind or KINDS:
            run = Path(folder, kind)
            run.mkdir()
            write_run(run, kind)
            peaks = in_a_process(run, paths)
            found[kind] = {
                f"{m:g} min": peak for m, peak in zip(minutes, peaks)
            }
            print(f"{kind}: {found[kind]}", flush=True)
    print(write_report("memory", {"clips": len(clips), "peak_mb": found}))


if __name__ == "__main__":
    main()
