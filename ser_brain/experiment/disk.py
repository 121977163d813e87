"""Detection of a full disk among other errors."""

import errno
import os

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# torch and safetensors raise their own errors, without an errno.
WORDS = (
    "iostream error",
    "PytorchStreamWriter",
    "StorageFull",
    "FileTooLarge",
    os.strerror(errno.ENOSPC),
    os.strerror(errno.EDQUOT),
)


def disk_is_full(error):
    """Whether an exception, or its cause, is a full disk.

    Example
    -------
    >>> disk_is_full(OSError(errno.ENOSPC, "No space left on device"))
    True
    >>> disk_is_full(ValueError("unexpected"))
    False
    """
    while error is not None:
        said = any(words in str(error) for words in WORDS)
        if said or getattr(error, "errno", None) in FULL:
            return True
        error = error.__cause__ or error.__context__
    return False
