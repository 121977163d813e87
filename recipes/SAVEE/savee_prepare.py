"""Prepare SAVEE: one manifest of its 480 clips.

The work is done by `ser_brain.corpora`; see there for what is checked.
"""

from ser_brain.corpora import prepare


def prepare_savee(
    data_folder, manifest, allow_incomplete=False, check_counts=True
):
    """Check SAVEE and write its manifest, unless it is up to date.

    Arguments
    ---------
    data_folder : str
        The folder with AudioData (official) or ALL (repackaged) in it, or
        one of these.
    manifest : str
        The JSON file to write.
    allow_incomplete : bool
        Only warn about counts other than published.
    check_counts : bool
        Whether to compare the counts with the published ones.

    Returns
    -------
    dict
        The manifest, with SAVEE's seven emotions.

    Example
    -------
    >>> prepare_savee("/nowhere", "savee.json")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere, named by data_folder, is no ...
    """
    return prepare(
        "SAVEE", data_folder, manifest, allow_incomplete, check_counts
    )
