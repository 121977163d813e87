"""The server process, which ends without losing a response."""

import signal
from contextlib import suppress

from ser_brain.serving.extras import extra

with extra("serve"):
    import uvicorn


class Server(uvicorn.Server):
    """Tells when it takes requests, and from when on it loses none.

    Arguments
    ---------
    config : uvicorn.Config
        Its settings.
    announce : callable
        Called once, when the server has started and handles the signals.
    """

    def __init__(self, config, announce):
        super().__init__(config)
        self.announce = announce

    async def startup(self, sockets=None):
        """Start, then tell."""
        await super().startup(sockets)
        self.announce()


def run(app, listener, announce):
    """Serve until SIGTERM or Ctrl-C, and answer what was accepted before.

    Arguments
    ---------
    app : fastapi.FastAPI
        The application.
    listener : socket.socket
        As returned by ``address.listen``. It is closed at the signal; accepted
        requests are answered.
    announce : callable
        Called when requests are taken.
    """
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False
    )
    # uvicorn raises the signal again when it has finished; it was already
    # handled.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        Server(config, announce).run(sockets=[listener])
