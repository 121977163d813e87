"""Optional packages, and how to install them."""

from contextlib import contextmanager

from ser_brain.errors import InputError


@contextmanager
def extra(name):
    """Imports that need an extra of setup.py.

    Arguments
    ---------
    name : str
        The extra, such as ``serve``.

    Raises
    ------
    InputError
        If a package is not installed.

    Example
    -------
    >>> with extra("serve"):
    ...     import no_such_package
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: The package no_such_package is not ...
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"The package {error.name} is not installed: run pip install "
            f"'ser_brain[{name}]', or pip install -e '.[{name}]' in a "
            "checkout."
        ) from error
