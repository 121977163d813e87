"""Models from a folder or the Hugging Face hub: weights and JSON only."""

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)

from ser_brain.errors import InputError
from ser_brain.inference.checks import CLASSIFIER
from ser_brain.inference.classifier import ENCODER, HEAD, read_description

PLACE = CLASSIFIER.as_posix()
# Nothing else of a repository is downloaded, in particular no code.
ALLOWED = (
    f"{PLACE}/classifier.json",
    f"{PLACE}/{HEAD}",
    f"{PLACE}/{ENCODER}/*.json",
    f"{PLACE}/{ENCODER}/*.safetensors",
)
SUFFIXES = (".json", ".safetensors")


def fetched(source, revision=None):
    """Return the folder of a model, downloaded if necessary.

    Arguments
    ---------
    source : str or pathlib.Path
        A model written by ``ser-brain push``: a local folder, or
        ``owner/name``.
    revision : str, optional
        Branch, tag or commit of a hub repository.

    Returns
    -------
    pathlib.Path
        A folder whose files are unchanged since they were written.

    Raises
    ------
    InputError
        If there is neither such a folder nor such a repository, it holds no
        model, or a file is missing, changed, or neither safetensors nor JSON.

    Example
    -------
    >>> fetched("/nowhere/at/all")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere/at/all is neither a folder nor ...
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = _downloaded(str(source), revision)
    elif revision is not None:
        raise InputError(
            f"{source} is a folder, which has no revision {revision}: leave "
            "the revision out, or name a hub repository."
        )
    if not (folder / PLACE / "classifier.json").is_file():
        raise InputError(
            f"{source} holds no model of ser_brain (there is no {PLACE}/"
            "classifier.json): give what ser-brain push made."
        )
    for name in read_description(folder / PLACE)["files"]:
        if not name.endswith(SUFFIXES):
            raise InputError(
                f"{source} holds the file {name}, which is neither "
                "safetensors nor JSON: it was not read; ask for a model that "
                "ser-brain push made."
            )
    return folder


def _downloaded(name, revision):
    """Download what is missing; return the hub's copy on this machine."""
    try:
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=list(ALLOWED)
            )
        )
    except HFValidationError as error:
        raise InputError(
            f"{name} is neither a folder nor a hub name: give the path of a "
            "folder, or owner/name."
        ) from error
    except (RevisionNotFoundError, RevisionResolutionError) as error:
        raise InputError(
            f"{name} has no revision {revision} on the hub: give another "
            "branch, tag or commit."
        ) from error
    except LocalEntryNotFoundError as error:
        raise InputError(
            f"{name} is not a folder, and the hub cannot be reached: check the "
            "path or the connection, or unset HF_HUB_OFFLINE."
        ) from error
    except OSError as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"{name} is not a folder, and the hub does not give it ({reason}): "
            "check its name, and log in with hf auth login if it is private."
        ) from error
