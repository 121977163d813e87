"""InputError, which means that the user can fix the input, and exit codes."""

import errno
import os
import sys

BAD_INPUT = 2
# Exit code that a shell reports for a program ended by a closed pipe.
BROKEN_PIPE = 141
# Errors raised by code that meets data in an unexpected form. Readers of files
# turn them into a message that names the file.
MALFORMED = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)


class InputError(Exception):
    """Bad input: one sentence that names the file, the value and the fix.

    Recipes and the command line print the sentence without a traceback and
    exit with code 2; in a library it is an ordinary exception.

    Example
    -------
    >>> raise InputError("a.wav is empty: delete it or copy it again.")
    Traceback (most recent call last):
    ...
    ser_brain.errors.InputError: a.wav is empty: delete it or copy it again.
    """


def printable(text):
    r"""A text on one line, without terminal control characters.

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
    """Run a command and report what went wrong.

    Arguments
    ---------
    work : callable
        Returns the exit code if nothing is raised.

    Returns
    -------
    int
        That code; 2 after bad input or if the disk or the output is full,
        which is reported in one sentence on stderr; 141 if the reader of the
        output has gone, as in ``ser-brain predict ... | head -1``.

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
        if error.errno != errno.ENOSPC:
            raise
        # An error of a named file has a file name; one of stdout has none.
        if error.filename is not None:
            return _refuse(
                f"{error.filename} cannot be written ({error.strerror}): free "
                "some space."
            )
        _drop_output()
        return _refuse(
            f"the output cannot be written ({error.strerror}): free some "
            "space, or send it elsewhere."
        )


def _refuse(sentence):
    print(f"error: {printable(sentence)}", file=sys.stderr, flush=True)
    return BAD_INPUT


def _drop_output():
    """Discard the remaining output, which would fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
