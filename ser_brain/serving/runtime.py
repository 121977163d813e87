"""Exported models, run by onnxruntime."""

import json
from pathlib import Path

import torch

from ser_brain.errors import InputError
from ser_brain.inference.classifying import Recognizer, by_windows
from ser_brain.nnet.lengths import sample_counts
from ser_brain.serving.export import FORMAT
from ser_brain.serving.extras import extra


class OnnxRecognizer(Recognizer):
    """An exported model with the interface of EmotionRecognizer.

    Arguments
    ---------
    path : str or pathlib.Path
        An ONNX file, or a folder that holds one.
    threads : int, optional
        Threads of onnxruntime; one per core by default.

    Raises
    ------
    InputError
        If a package of the extra ``onnx`` is missing, there is no such file,
        or it is not a model of ser_brain.
    """

    device = torch.device("cpu")

    def __init__(self, path, threads=None):
        with extra("onnx"):
            import onnxruntime
        path = onnx_file(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        # Errors of damaged files are onnxruntime's own classes, which have no
        # other common base.
        try:
            self.session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{path} is not a complete ONNX file ({reason}): export the "
                "model again."
            ) from error
        found = self.session.get_modelmeta().custom_metadata_map
        if found.get("format") != FORMAT:
            raise InputError(
                f"{path} was not written by ser-brain export (its format is "
                f"{found.get('format')!r}, not {FORMAT!r}): export the model "
                "again."
            )
        self.classes = json.loads(found["classes"])
        self.shortest = int(found["shortest"])
        self.longest = int(found["longest"])

    def posteriors(self, wavs, wav_lens=None):
        """Posteriors (batch, classes).

        Arguments are those of :meth:`Recognizer.classify_batch`.
        """
        samples = sample_counts(wavs, wav_lens)
        if samples.max() > self.longest:
            return by_windows(self.posteriors, wavs, samples, self.longest)
        given = {"wavs": wavs.numpy(), "lengths": samples.numpy()}
        return torch.from_numpy(self.session.run(["posteriors"], given)[0])


def onnx_file(path):
    """Find the ONNX file.

    Arguments
    ---------
    path : str or pathlib.Path
        The file, or a folder that holds one.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If there is none, or more than one.

    Example
    -------
    >>> onnx_file("/nowhere")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere is not an ONNX file: ...
    """
    path = Path(path)
    if path.is_file():
        return path
    found = sorted(path.glob("*.onnx"))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(one.name for one in found)
        raise InputError(
            f"{path} holds {len(found)} ONNX files ({names}): give one of them."
        )
    raise InputError(
        f"{path} is not an ONNX file: write one by ser-brain export RUN --onnx "
        "FILE."
    )
