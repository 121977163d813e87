"""Prepare IEMOCAP: one manifest of all its labelled utterances.

The work is done by `ser_brain.corpora`; see there for what is checked.
"""

from ser_brain.corpora import prepare


def prepare_iemocap(
    data_folder, manifest, allow_incomplete=False, check_counts=True
):
    """Check IEMOCAP and write its manifest, unless it is up to date.

    Arguments
    ---------
    data_folder : str
        IEMOCAP_full_release or the folder above it.
    manifest : str
        The JSON file to write.
    allow_incomplete : bool
        Only warn about missing clips and about counts other than published.
    check_counts : bool
        Whether to compare the counts with the published ones.

    Returns
    -------
    dict
        The manifest, with all of the corpus's label codes.

    Example
    -------
    >>> prepare_iemocap("/nowhere", "iemocap.json")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: /nowhere, named by data_folder, is no ...
    """
    return prepare(
        "IEMOCAP", data_folder, manifest, allow_incomplete, check_counts
    )
