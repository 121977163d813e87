"""The one exception that means: the user can mend this; how it is told."""

import errno
import os
import sys

BAD_INPUT = 2
# What a shell gives for a program that a closed pipe has ended.
BROKEN_PIPE = 141
# What code raises that meets data of another form than it was written for.
# Readers of files turn all of it into the sentence that names the file.
MALFORMED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)


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


def printable(text):
    r"""A text on one line, without what would steer a terminal.

    Example
    -------
    >>> print(printable("a\nb \x1b[2J"))
    a b \x1b[2J
    """
    return "".join(
        each if each.isprintable() else repr(each)[1:-1]
        for each in " ".join(str(text).splitlines())
    )


def exit_code(work):
    """Carries out a command and tells what went wrong.

    Arguments
    ---------
    work : callable
        Returns the exit code where all went well.

    Returns
    -------
    int
        That code; 2 after bad input or where the output cannot be written,
        which is told in one sentence on stderr; 141 where nobody reads the
        output any more, as in ``ser-brain predict ... | head -1``.

    Example
    -------
    >>> exit_code(lambda: 0)
    0
    """
    try:
        code = work()
        sys.stdout.flush()
        return code
    except InputError as error:
        return _refuse(error)
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except OSError as error:
        # A file that is full has a name; stdout has none.
        if error.filename is not None or error.errno != errno.ENOSPC:
            raise
        _drop_output()
        return _refuse(
            f"the output cannot be written ({error.strerror}): free some "
            "space, or send it elsewhere."
        )


def _refuse(sentence):
    print(f"error: {printable(sentence)}", file=sys.stderr, flush=True)
    return BAD_INPUT


def _drop_output():
    """What is still to be written goes nowhere, instead of failing again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
