"""``ser-brain export RUN --onnx FILE``: a trained run for other programs."""

HELP = "a trained run as an ONNX file"
EXAMPLES = (
    "ser-brain export model",
    "ser-brain export model --onnx model_int8.onnx --int8",
)


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    sub.add_argument("run", metavar="RUN", help="a run folder, .../seed_1")
    sub.add_argument(
        "--onnx",
        metavar="FILE",
        help="the file to write (default: RUN/model.onnx)",
    )
    sub.add_argument(
        "--int8",
        action="store_true",
        help="8-bit weights: smaller, faster, slightly less accurate",
    )


def run(arguments):
    """Write the file, and report how its posteriors differ from the run's.

    Raises
    ------
    InputError
        If the run is invalid or cannot be exported.
    """
    from pathlib import Path

    from ser_brain.inference import EmotionRecognizer
    from ser_brain.inference.checks import CLASSIFIER
    from ser_brain.inference.classifier import quiet_loading, read_description
    from ser_brain.serving.export import export_onnx

    quiet_loading()
    recognizer = EmotionRecognizer.from_run(arguments.run)
    described = read_description(Path(arguments.run) / CLASSIFIER)
    path = Path(arguments.onnx or Path(arguments.run, "model.onnx"))
    difference = export_onnx(recognizer, path, arguments.int8, described)
    print(
        f"{path}: {path.stat().st_size / 1e6:.1f} MB; posteriors of noise "
        f"differ by at most {difference:.1g} from the run's"
    )
    return 0
