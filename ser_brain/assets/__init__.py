"""Files that come with the package: small models and the mini corpus."""

from pathlib import Path

from ser_brain.errors import InputError

HERE = Path(__file__).resolve().parent
# An installed package carries the recipes and settings of its checkout.
INSTALLED = HERE / "checkout"
# Where ``recipes`` and ``hparams`` are.
ROOT = INSTALLED if INSTALLED.is_dir() else HERE.parents[1]


def folder(name):
    """The folder of one asset.

    Arguments
    ---------
    name : str
        Name of the folder in ``ser_brain/assets``.

    Returns
    -------
    str
        Its absolute path.

    Raises
    ------
    InputError
        When the installed package has no such asset.

    Example
    -------
    >>> sorted(path.name for path in Path(folder("mini_corpus")).iterdir())
    ['README.md', 'audio', 'index.json', 'texts.json']
    >>> folder("maxi_corpus")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: ...no asset 'maxi_corpus': it has ...
    """
    there = sorted(
        path.name
        for path in HERE.iterdir()
        if path.is_dir()
        and path != INSTALLED
        and not path.name.startswith(("_", "."))
    )
    if name not in there:
        raise InputError(
            f"{HERE} has no asset {name!r}: it has {', '.join(there)}; "
            "install ser_brain again if one is missing."
        )
    return str(HERE / name)
