"""``ser-brain serve MODEL``: a model behind HTTP."""

import sys

from ser_brain.commands.options import (
    add_models,
    add_server_arguments,
    load_runs,
)
from ser_brain.reporting.formats import counted

HELP = "a model behind HTTP: audio in, JSON out"
EXAMPLES = (
    "ser-brain serve model",
    "ser-brain serve model --port 8080 --queue 128 --max_seconds 30",
)


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    add_models(sub, "model")
    add_server_arguments(sub, port=8000, seconds=60.0, megabytes=20.0)
    sub.add_argument(
        "--queue",
        type=int,
        default=64,
        help="most requests at once (64); more get 429",
    )
    sub.add_argument(
        "--batch_seconds",
        type=float,
        help="audio computed at once (default: 15 s on a CPU, else 120)",
    )


def run(arguments):
    """Serve until SIGTERM or Ctrl-C, then answer what was accepted.

    Raises
    ------
    InputError
        If the extra is not installed, the port is in use, or the model or an
        option is invalid.
    """
    from ser_brain.serving import address, server
    from ser_brain.serving.service import Service, make_app
    from ser_brain.serving.upload import Limits

    limits = Limits(arguments.max_seconds, arguments.max_megabytes)
    folders = [arguments.model, *arguments.others]
    recognizer = load_runs(folders, arguments.device)
    with address.listen(arguments.host, arguments.port) as listener:
        service = Service(
            recognizer, limits, arguments.queue, arguments.batch_seconds
        )
        server.run(
            make_app(service),
            listener,
            lambda: announce(arguments.model, listener),
        )
    told = counted(service.answered, "request")
    print(f"stopped after {told}", flush=True)
    return 0


def announce(model, listener):
    """Print where the service is, and who can reach it."""
    from ser_brain.serving.address import is_loopback, url

    here = url(listener)
    print(f"{model} answers at {here}/classify, described at {here}/docs")
    print("Ctrl-C ends it when all requests are answered", flush=True)
    if not is_loopback(listener):
        print(
            "warning: other machines can send requests, without a password",
            file=sys.stderr,
        )
