"""``ser-brain web MODEL ...``: a web page for models."""

import sys

from ser_brain.commands.options import add_server_arguments, load_runs

HELP = "a web page: drop or record, timelines, models side by side"
EXAMPLES = (
    "ser-brain web model",
    "ser-brain web model results/SAVEE/vft/nano/fold_JE/seed_1 --port 8080",
)


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    sub.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="run folders, .../seed_1, or models; several are compared; a "
        "folder of runs is an ensemble",
    )
    add_server_arguments(sub, port=7860, seconds=600.0, megabytes=100.0)


def run(arguments):
    """Serve the page until SIGTERM or Ctrl-C.

    Raises
    ------
    InputError
        If the extra is not installed, the port is in use, or a model or an
        option is invalid.
    """
    from ser_brain.serving import address, web
    from ser_brain.serving.page import Page, named, reports
    from ser_brain.serving.upload import Limits

    limits = Limits(arguments.max_seconds, arguments.max_megabytes)
    folders = named(arguments.models)
    models = {
        name: load_runs([folder], arguments.device)
        for name, folder in folders.items()
    }
    # gradio opens its own socket; a port in use is reported here.
    with address.listen(arguments.host, arguments.port) as listener:
        port = listener.getsockname()[1]
        here = address.url(listener)
        others = not address.is_loopback(listener)

    def announce():
        print(f"open {here} in a browser; Ctrl-C ends it", flush=True)
        if others:
            print(
                "warning: other machines can open it, without a password",
                file=sys.stderr,
            )

    page = Page(models, limits)
    web.serve(page, reports(folders), arguments.host, port, announce)
    return 0
