"""Export of a trained run as one ONNX file with metadata.

The file takes ``wavs`` (batch, samples), float32, mono at 16 kHz in [-1, 1],
and ``lengths`` (batch,), int64, the samples of each utterance; samples beyond
them are ignored. It returns ``posteriors`` (batch, classes). Its metadata has
the classes and the sample rate.
"""

import io
import json
import logging
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence

from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.errors import InputError
from ser_brain.files import write_atomically
from ser_brain.inference.recognizer import WINDOW
from ser_brain.lobes.whisper import Whisper
from ser_brain.lobes.whisper.log_mel import HOP
from ser_brain.serving.extras import extra
from ser_brain.serving.graph import ClassifierGraph

FORMAT = "ser_brain-onnx-1"
INPUTS, OUTPUTS = ["wavs", "lengths"], ["posteriors"]
OPSET = 17
# A file of protocol buffers is limited to 2 GiB, including the graph.
MOST_WEIGHTS = 500_000_000
# A bound far above the rounding errors of fp32.
TOLERANCE = 1e-3


def export_onnx(recognizer, path, int8=False, provenance=None):
    """Write a recognizer as an ONNX file.

    The file is compared with the recognizer before it is written.

    Arguments
    ---------
    recognizer : EmotionRecognizer
        On the CPU. Its speeds are part of the graph.
    path : str or pathlib.Path
        The file to write.
    int8 : bool
        Store the transformer's weights as 8-bit integers and quantise
        activations dynamically: a quarter of the size, faster, and slightly
        less accurate.
    provenance : dict, optional
        Description of the run; JSON values, for the metadata.

    Returns
    -------
    float
        The largest difference between a posterior of the file and one of the
        recognizer, over a padded batch of noise.

    Raises
    ------
    InputError
        If a package of the extra ``onnx`` is missing, the model is too large
        for one file, the graph of an fp32 file does not give what the
        recognizer gives, or the file cannot be written.
    """
    with extra("onnx"):
        import onnx
        import onnxruntime
    weights = sum(weight.numel() for weight in recognizer.parameters())
    if weights > MOST_WEIGHTS:
        raise InputError(
            f"A model of {weights / 1e6:.0f} million weights does not fit one "
            "ONNX file, which holds 2 GB: export a smaller one."
        )
    model = onnx.load_from_string(_traced(ClassifierGraph(recognizer)))
    if int8:
        try:
            model = _quantized(model)
        # onnx does not see that a file of its own is cut: it cannot read it.
        except (OSError, ValueError) as error:
            raise InputError(
                f"The 8-bit weights cannot be computed ({error}): free some "
                f"space in {tempfile.gettempdir()}, or export without --int8."
            ) from error
    described = _metadata(recognizer, int8, provenance or {})
    onnx.helper.set_model_props(model, described)
    content = model.SerializeToString()
    session = onnxruntime.InferenceSession(
        content, providers=["CPUExecutionProvider"]
    )
    difference = _difference(recognizer, session)
    if not int8 and not difference < TOLERANCE:
        raise InputError(
            f"The graph's posteriors differ by {difference:.2g} from the "
            "model's: this model cannot be exported; please report its kind."
        )
    write_atomically(path, content)
    return difference


def longest_samples(recognizer):
    """Samples of the longest clip for which graph and recognizer agree.

    Both divide longer ones into windows. Whisper has positions for 30 s, and
    windows of its own, whose number no graph of fixed operations can choose.
    """
    longest, encoder = WINDOW, recognizer.encoder
    if isinstance(encoder, Whisper):
        longest = 2 * HOP * encoder.config.max_source_positions
    return int(longest * min(1.0, *recognizer.speeds))


def _traced(graph):
    """Trace the graph into the bytes of an ONNX file."""
    generator = torch.Generator().manual_seed(0)
    wavs, lengths = _noise([SAMPLE_RATE, 9000], generator)
    content = io.BytesIO()
    with warnings.catch_warnings():
        # Only sizes of the model become constants.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph,
            (wavs, lengths),
            content,
            dynamo=False,
            opset_version=OPSET,
            input_names=INPUTS,
            output_names=OUTPUTS,
            dynamic_axes={
                "wavs": {0: "batch", 1: "samples"},
                "lengths": {0: "batch"},
                "posteriors": {0: "batch"},
            },
        )
    return content.getvalue()


def _noise(lengths, generator):
    """A padded batch of noise that begins and ends softly, as clips do."""
    wavs = [
        0.1 * torch.hann_window(n) * torch.randn(n, generator=generator)
        for n in lengths
    ]
    return pad_sequence(wavs, batch_first=True), torch.tensor(lengths)


def _quantized(model):
    """Quantise the weights of the model's matrix products to 8 bits."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, _quiet():
        beside = Path(folder, "int8.onnx")
        quantize_dynamic(
            model,
            beside,
            op_types_to_quantize=["MatMul"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            # Products of 8 bits overflow on processors without VNNI.
            reduce_range=True,
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load(beside)


@contextmanager
def _quiet():
    """Without advice on static shapes, which these graphs do not have."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _metadata(recognizer, int8, provenance):
    """Return the metadata of the file, as text."""
    return {
        "format": FORMAT,
        "classes": json.dumps(recognizer.classes, ensure_ascii=False),
        "sample_rate": str(SAMPLE_RATE),
        "shortest": str(recognizer.shortest),
        "longest": str(longest_samples(recognizer)),
        "weights": "int8" if int8 else "fp32",
        "run": json.dumps(provenance, ensure_ascii=False),
    }


def _difference(recognizer, session):
    """Largest difference of posteriors, over a padded batch of noise."""
    generator = torch.Generator().manual_seed(1)
    lengths = [recognizer.shortest + 5000, 8000, 13000]
    wavs, lengths = _noise(lengths, generator)
    expected = recognizer.classify_batch(wavs, lengths / lengths.max())[0]
    given = {"wavs": wavs.numpy(), "lengths": lengths.numpy()}
    found = torch.from_numpy(session.run(OUTPUTS, given)[0])
    return float((found - expected).abs().max())
