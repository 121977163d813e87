"""The one exception that means: the user can mend this."""


class InputError(Exception):
    """Bad input, told in one sentence that names the file, value and mend.

    Recipes and the command line print the sentence without a traceback and
    exit with code 2; used as a library it is an ordinary exception.

    Example
    -------
    >>> raise InputError("a.wav is empty: delete it or copy it again.")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: a.wav is empty: delete it or copy it again.
    """
