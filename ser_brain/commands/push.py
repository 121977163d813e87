"""``ser-brain push MODEL TARGET``: publish a model with its card."""

HELP = "a model with its card, as a folder or on the Hugging Face hub"
EXAMPLES = (
    "ser-brain push model ./card",
    "ser-brain push model owner/name --license cc-by-nc-4.0",
)


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    sub.add_argument(
        "model", metavar="MODEL", help="a run folder, .../seed_1, or a model"
    )
    sub.add_argument(
        "target",
        metavar="TARGET",
        help="owner/name on the hub, or a new folder (./folder)",
    )
    sub.add_argument(
        "--public",
        action="store_true",
        help="a new repository can be read by everybody (else private)",
    )
    sub.add_argument(
        "--license", help="of the weights, as the hub names it: cc-by-nc-4.0"
    )
    sub.add_argument(
        "--data_license",
        metavar="TEXT",
        help="a sentence for the card on the licence of the training data",
    )


def run(arguments):
    """Write or upload the model, and print where it is.

    Raises
    ------
    InputError
        If the model is incomplete, the folder already exists, or the hub
        refuses it.
    """
    from ser_brain.inference.classifier import quiet_loading
    from ser_brain.serving import hub

    quiet_loading()
    licences = {
        "license": arguments.license,
        "data_license": arguments.data_license,
    }
    target = place = arguments.target
    if hub.is_hub_name(target):
        place, reason = hub.push(
            arguments.model, target, arguments.public, **licences
        )
    else:
        reason = hub.write_folder(arguments.model, target, **licences)
    print(f"pushed  {place}")
    print(f"use it  EmotionRecognizer.from_hub({target!r})")
    if reason is not None:
        print(f"note    transformers' pipeline cannot load it: {reason}")
    return 0
