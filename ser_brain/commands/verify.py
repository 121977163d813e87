"""``ser-brain verify MODEL``: check that a model is complete and unchanged."""

from ser_brain.errors import InputError

HELP = "whether a model's files are whole and work"
EXAMPLES = (
    "ser-brain verify model",
    "ser-brain verify results/SAVEE/vft/nano/fold_JE/seed_1",
)
SECONDS = 1  # of noise to classify


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    sub.add_argument(
        "model", metavar="MODEL", help="a run folder, .../seed_1, or a model"
    )


def run(arguments):
    """Check the files' sums, load the weights, and classify some noise.

    Raises
    ------
    InputError
        If a file is missing or has changed, a weight is not finite, or the
        posteriors of the model are not finite.
    """
    import torch

    from ser_brain.dataio.audio import SAMPLE_RATE
    from ser_brain.inference import EmotionRecognizer
    from ser_brain.inference.checks import CLASSIFIER
    from ser_brain.inference.classifier import quiet_loading, read_description

    quiet_loading()
    recognizer = EmotionRecognizer.from_run(arguments.model)
    state = recognizer.state_dict()
    for name, weights in state.items():
        if not weights.isfinite().all():
            raise InputError(
                f"{arguments.model}: the weights {name} are not finite, so "
                "that their training diverged: train again, with a lower "
                "learning rate."
            )
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(SECONDS * SAMPLE_RATE, generator=generator)
    recognizer.classify_batch(noise)
    files = read_description(f"{arguments.model}/{CLASSIFIER}")["files"]
    count = sum(weights.numel() for weights in state.values())
    print(
        f"{arguments.model} is whole: {len(files)} files as they were "
        f"written, {count} finite weights, {len(recognizer.classes)} classes "
        f"({', '.join(recognizer.classes)})."
    )
    return 0
