"""Peak memory of `ser-brain predict` by the length of a recording.

    python benchmarks/memory.py [--data_folder /path/to/SAVEE]

Clips are repeated one after the other to recordings of --minutes. A process of
its own predicts each with each kind of model, whose encoders are the embedded
ones and whose heads are not trained: memory does not depend on the values of
weights. Writes benchmarks/results/memory.json.
"""

import argparse
import os
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


def in_a_process(run, path):
    """Peak memory in MB of `ser-brain predict` with everything it imports.

    The process is forked from one that has imported it and loaded no model,
    which saves the seconds that this takes.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        code = ser_brain(["predict", str(run), str(path), "--csv"])
        os.write(writing, str(round(memory("self")["peak_mb"])).encode())
        os._exit(code)
    if os.waitpid(process, 0)[1] != 0:
        sys.exit(f"ser-brain predict {run} {path} failed")
    found = int(os.read(reading, 99))
    os.close(reading)
    os.close(writing)
    return found


def write_all(folder, kinds, clips, minutes):
    """Write run folders and recordings, in a process that ends afterwards."""
    process = os.fork()
    if process == 0:
        for kind in kinds:
            run = folder / kind
            run.mkdir()
            write_run(run, kind)
        signals = [read_audio(clip) for clip in clips]
        for each in minutes:
            repeat(signals, folder / f"{each:g}.wav", each)
        os._exit(0)
    if os.waitpid(process, 0)[1] != 0:
        sys.exit("the models and recordings could not be written")


def main():
    """Reads the command line, measures, writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder", help="else SAVEE_ROOT")
    parser.add_argument("--minutes", type=float, nargs="*", default=[1, 10, 60])
    parser.add_argument("--kind", action="append", choices=KINDS)
    arguments = parser.parse_args()
    files = audio_files([str(clips_folder(arguments.data_folder))])
    clips = files[:: max(1, len(files) // CLIPS)]
    # A fork of a process that has computed in several threads may hang.
    torch.set_num_threads(1)
    kinds = arguments.kind or list(KINDS)
    found = {kind: {} for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_all(folder, kinds, clips, arguments.minutes)
        for kind in kinds:
            for each in arguments.minutes:
                peak = in_a_process(folder / kind, folder / f"{each:g}.wav")
                found[kind][f"{each:g} min"] = peak
                print(f"{kind}, {each:g} min: {peak} MB", flush=True)
    print(write_report("memory", {"clips": len(clips), "peak_mb": found}))


if __name__ == "__main__":
    main()
