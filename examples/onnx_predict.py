"""Runs a model that ``ser-brain export`` wrote, without ser_brain.

pip install onnxruntime numpy soundfile
python onnx_predict.py model.onnx a.wav b.flac
"""

import json
import sys

import numpy as np
import onnxruntime
import soundfile


def read(path, rate):
    """A file as mono float32 samples; it must have the model's rate."""
    signal, found = soundfile.read(path, dtype="float32", always_2d=True)
    if found != rate:
        sys.exit(f"{path} has {found} Hz: convert it to {rate} Hz first.")
    return signal.mean(axis=1)


def main(model, *paths):
    """Print the label of each file and its probability."""
    session = onnxruntime.InferenceSession(model)
    metadata = session.get_modelmeta().custom_metadata_map
    classes = json.loads(metadata["classes"])
    wavs = [read(path, int(metadata["sample_rate"])) for path in paths]
    lengths = np.array([len(wav) for wav in wavs], dtype=np.int64)
    padded = np.zeros((len(wavs), lengths.max()), dtype=np.float32)
    for row, wav in zip(padded, wavs):
        row[: len(wav)] = wav
    given = {"wavs": padded, "lengths": lengths}
    (posteriors,) = session.run(["posteriors"], given)
    for path, row in zip(paths, posteriors):
        print(f"{path}\t{classes[row.argmax()]}\t{row.max():.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
