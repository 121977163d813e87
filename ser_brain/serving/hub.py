"""Publish a model as a folder, locally or on the Hugging Face hub."""

import re
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError

from ser_brain.errors import InputError
from ser_brain.files import sync_all, write_atomically
from ser_brain.inference import EmotionRecognizer
from ser_brain.inference.checks import CLASSIFIER
from ser_brain.inference.hub import fetched
from ser_brain.serving.card import model_card
from ser_brain.serving.record import read_record
from ser_brain.serving.sequence_classifier import obstacle, sequence_classifier

HYPERPARAMS = Path(__file__).with_name("hyperparams.yaml")
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
CARD = "README.md"
# All files that a pushed folder can contain.
PUSHED = (CARD, HYPERPARAMS.name, "*.json", "*.safetensors")


def is_hub_name(target):
    """Whether a word names a hub repository and not a folder.

    It is one if it has the form ``owner/name`` and there is not a folder
    ``owner`` here.

    Arguments
    ---------
    target : str
        As given on a command line.

    Returns
    -------
    bool

    Example
    -------
    >>> [is_hub_name(name) for name in ("ann/ser", "./ann/ser", "ser", "/a/b")]
    [True, False, False, False]
    """
    matches = HUB_NAME.fullmatch(target) is not None
    return matches and not Path(target).parent.is_dir()


def write_folder(model, folder, source=None, license=None, data_license=None):
    """Write a model in the layout of the hub.

    Arguments
    ---------
    model : str or Path
        What ``ser-brain train`` left, a run folder, or a folder that was
        pushed before, whose card is kept.
    folder : str or Path
        To be created; it appears completely or not at all.
    source : str, optional
        Its name in the card: ``owner/name``; else the folder's name.
    license, data_license : str, optional
        See :func:`ser_brain.serving.card.model_card`.

    Returns
    -------
    str or None
        Why transformers alone cannot load it, if it cannot.

    Raises
    ------
    InputError
        If the model is incomplete, or the folder already exists or cannot be
        written.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(
            f"{folder} is there already: give a new folder, or remove it."
        )
    recognizer = EmotionRecognizer.from_run(model)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder.parent, prefix=f".{folder.name}."
        ) as scratch:
            beside = Path(scratch, "model")
            reason = _write(
                Path(model),
                beside,
                recognizer,
                source or folder.name,
                license,
                data_license,
            )
            sync_all(beside)
            beside.rename(folder)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror or error}): free "
            "some space or choose another folder."
        ) from error
    return reason


def _write(model, folder, recognizer, source, license, data_license):
    """Write all files; return why there are none for transformers."""
    record = read_record(model)
    for name in ["classifier.json", *record.description["files"]]:
        target = folder / CLASSIFIER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model / CLASSIFIER / name, target)
    # A wrong copy is found here, not by its first user.
    fetched(folder)
    reason = obstacle(recognizer)
    if (model / CARD).is_file():
        _check_card_is_kept(model, license, data_license)
        for path in (each for name in PUSHED for each in model.glob(name)):
            shutil.copyfile(path, folder / path.name)
        return reason
    shutil.copyfile(HYPERPARAMS, folder / HYPERPARAMS.name)
    if reason is None:
        for part in sequence_classifier(recognizer):
            part.save_pretrained(folder)
    card = model_card(
        record, recognizer.encoder, source, reason, license, data_license
    )
    write_atomically(folder / CARD, card)
    return reason


def _check_card_is_kept(model, license, data_license):
    """What the new card would say cannot be said in one that is there."""
    if license or data_license:
        raise InputError(
            f"{model} has a card already, which is kept: write the licence "
            f"into its {CARD}, or push the run that it came from."
        )


def push(model, name, public=False, license=None, data_license=None):
    """Upload a model to the hub.

    Arguments
    ---------
    model : str or Path
        What ``ser-brain train`` left, or a run folder.
    name : str
        ``owner/name``; the repository is created if there is none.
    public : bool
        Whether a new repository is public.
    license, data_license : str, optional
        See :func:`ser_brain.serving.card.model_card`.

    Returns
    -------
    url : str
        URL of the commit.
    reason : str or None
        Why transformers alone cannot load it, if it cannot.

    Raises
    ------
    InputError
        If the model is incomplete, or the hub refuses it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "model")
        reason = write_folder(model, folder, name, license, data_license)
        try:
            api = HfApi(library_name="ser_brain")
            api.create_repo(name, private=not public, exist_ok=True)
            commit = api.upload_folder(
                repo_id=name,
                folder_path=folder,
                allow_patterns=list(PUSHED),
                # Files of an earlier push that this one does not have.
                delete_patterns=list(PUSHED),
                commit_message="Model, card and checksums",
            )
        except (OSError, HFValidationError, LocalTokenNotFoundError) as error:
            cause = str(error).split("\n")[0]
            raise InputError(
                f"{name} cannot be written on the hub ({cause}): check the "
                "name and the connection, and log in with hf auth login."
            ) from error
    return commit.commit_url, reason
