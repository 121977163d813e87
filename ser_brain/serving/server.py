"""A service's process, and its end without a lost answer."""

import signal
from contextlib import suppress

from ser_brain.serving.extras import extra

with extra("serve"):
    import uvicorn


def run(app, listener):
    """Serve until SIGTERM or Ctrl-C, and answer what was accepted before.

    Arguments
    ---------
    app : fastapi.FastAPI
        The application.
    listener : socket.socket
        As ``address.listen`` gives it. It is closed at the signal; requests
        that it has accepted are answered.
    """
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False
    )
    # uvicorn raises the signal again when it has finished: both are then the
    # end that was asked for.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
