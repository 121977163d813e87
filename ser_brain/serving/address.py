"""The address on which a service or a page listens."""

import socket

from ser_brain.errors import InputError


def listen(host, port):
    """Open a socket that accepts connections.

    Arguments
    ---------
    host : str
        Name or address of one of this machine's interfaces; 127.0.0.1 is not
        reachable from other machines.
    port : int
        0: any free port.

    Returns
    -------
    socket.socket

    Raises
    ------
    InputError
        If there is no such address, or the port is in use.

    Example
    -------
    >>> with listen("127.0.0.1", 0) as listener:
    ...     url(listener)
    'http://127.0.0.1:...'
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        # Not getaddrinfo's port, which is truncated to 16 bits.
        return socket.create_server((address[0], port), family=family)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"Port {port} of {host} cannot be used ({error}): give another "
            "--port, or another --host."
        ) from error


def url(listener):
    """The address of a socket for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(listener):
    """Whether a socket is unreachable from other machines.

    Example
    -------
    >>> with listen("127.0.0.1", 0) as listener:
    ...     is_loopback(listener)
    True
    """
    host = listener.getsockname()[0]
    return host == "::1" or host.startswith("127.")
