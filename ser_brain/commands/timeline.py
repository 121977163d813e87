"""``ser-brain timeline RUN FILE``: the emotions of a recording over time."""

import sys
import time

from ser_brain.commands.options import add_forms, add_models, load_runs
from ser_brain.errors import printable

HELP = "the emotions of a long recording over time, by a trained run"
EXAMPLES = (
    "ser-brain timeline model call.wav",
    "ser-brain timeline model call.wav --picture call.png --window 3 --hop 1",
    "ser-brain timeline model call.wav --turns call.rttm --csv > call.csv",
)
FORMS = {
    "json": "steps and segments",
    "csv": "one row per segment",
    "rttm": "one SPEAKER line per segment",
    "audacity": "a label track",
}


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    add_models(sub)
    sub.add_argument("file", metavar="FILE", help="an audio file of any length")
    add_forms(sub, FORMS)
    sub.add_argument(
        "--picture",
        metavar="PICTURE",
        help="draw waveform, posteriors and segments to a .png, .svg or .pdf",
    )
    sub.add_argument(
        "--turns",
        metavar="RTTM",
        help="speakers' turns: windows do not cross them",
    )
    sub.add_argument(
        "--window",
        type=float,
        default=4.0,
        help="seconds of speech classified together (4)",
    )
    sub.add_argument(
        "--hop", type=float, default=2.0, help="seconds between windows (2)"
    )
    sub.add_argument("--device", default="cpu", help="cpu (default), cuda, …")


def run(arguments):
    """Print the segments to stdout, and how long it took to stderr.

    Returns 0; a bad run, file or option raises an ``InputError``.
    """
    folders = [arguments.run, *arguments.others]
    recognizer = load_runs(folders, arguments.device)
    begun = time.perf_counter()
    timeline = recognizer.timeline(
        arguments.file, arguments.window, arguments.hop, arguments.turns
    )
    seconds = time.perf_counter() - begun
    if arguments.picture is not None:
        timeline.draw(arguments.picture)
    if arguments.form == "table":
        print(as_table(timeline), flush=True)
    else:
        print(getattr(timeline, f"to_{arguments.form}")(), flush=True)
    print(summary(timeline, seconds), file=sys.stderr)
    return 0


def as_table(timeline):
    """Format segments for a terminal: times, speaker, label, probability."""
    head = ["begin", "end", "label", "score"]
    speakers = any(one.speaker for one in timeline.segments)
    rows = [head + ["speaker"] * speakers]
    for one in timeline.segments:
        row = [f"{one.begin:.2f}", f"{one.end:.2f}", one.label]
        row += [f"{one.score:.1%}", printable(one.speaker)]
        rows.append(row[: len(rows[0])])
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number in (2, 4) else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def summary(timeline, seconds):
    """Report in one line how much speech was found, and how long it took."""
    speech = sum(end - begin for begin, end in timeline.speech)
    return (
        f"{timeline.duration:.1f} s of audio, {speech:.1f} s of speech in "
        f"{seconds:.1f} s: real-time factor {seconds / timeline.duration:.2g}"
    )
