"""The web page of ``ser-brain web``: nothing on it comes from elsewhere."""

import os
import signal
import tempfile
from html import escape
from pathlib import Path

# Read when gradio is imported: no word to its makers.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from ser_brain.errors import InputError
from ser_brain.serving.extras import extra
from ser_brain.serving.page import SEGMENT_COLUMNS

with extra("web"):
    import gradio

TITLE = "Speech emotion recognition"
# The browser's own: others would be fetched.
FONT = ["system-ui", "sans-serif"]
MONO = ["ui-monospace", "monospace"]
# Seconds: how often what was uploaded is looked through, and how old it gets.
OFTEN, KEPT = 600, 3600
CAUTION = (
    "A posterior says how sure a model is among the classes that it knows, not "
    "what somebody feels."
)
# Of all that computes, one at a time.
ALONE = {"concurrency_limit": 1, "concurrency_id": "model"}


def make_page(page, reports):
    """The page, not yet served.

    Arguments
    ---------
    page : ser_brain.serving.page.Page
        The models.
    reports : dict
        Name -> HTML of training reports.

    Returns
    -------
    gradio.Blocks
    """
    blocks = gradio.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(OFTEN, KEPT)
    )
    with blocks:
        gradio.Markdown(f"# {TITLE}\n{CAUTION} {_told(page)}")
        with gradio.Tab("One utterance"):
            _add_utterance(page)
        with gradio.Tab("Timeline"):
            _add_timeline(page)
        with gradio.Tab("Many files"):
            _add_files(page)
        if reports:
            with gradio.Tab("Training report"):
                _add_reports(reports)
    return blocks


def _told(page):
    """The limits, in words."""
    limits = page.limits
    return (
        f"Recordings of up to {limits.seconds:g} s and {limits.megabytes:g} MB "
        "go to the machine that serves this page, nowhere else, and are "
        "deleted after an hour."
    )


def _refusing(work):
    """Shows what the user can change, in place of a bare "Error"."""

    def refused(*arguments):
        try:
            return work(*arguments)
        except InputError as error:
            raise gradio.Error(str(error), duration=None, print_exception=False)

    return refused


def _recording():
    """Where a file is dropped or a voice recorded."""
    return gradio.Audio(
        sources=["upload", "microphone"],
        type="filepath",
        label="Drop a file, or record",
        # Sharing would send the voice to a server of others.
        buttons=["download"],
    )


def _add_utterance(page):
    """A recording to bars of posteriors, all models side by side."""
    recording = _recording()
    with gradio.Row():
        bars = [gradio.Label(label=name, min_width=280) for name in page.models]

    def classify(path):
        found = page.posteriors(path) if path else [None] * len(bars)
        return found if len(bars) > 1 else found[0]

    recording.change(
        _refusing(classify), recording, bars, api_name="classify", **ALONE
    )


def _add_timeline(page):
    """A recording to a drawing and segments; a click plays one."""
    recording = _recording()
    names = list(page.models)
    name = gradio.Radio(
        names, value=names[0], label="Model", visible=len(names) > 1
    )
    start = gradio.Button("Draw the timeline", variant="primary")
    note = gradio.Markdown()
    picture = gradio.Image(
        show_label=False, interactive=False, buttons=["fullscreen"]
    )
    segments = gradio.Dataframe(
        headers=SEGMENT_COLUMNS,
        label="Segments: click on one to go there",
        interactive=False,
    )

    def draw(path, model):
        if not path:
            raise InputError("There is no recording yet: drop a file first.")
        target = Path(path).with_suffix(".timeline.png")
        rows, told = page.timeline(path, model, target)
        return told, str(target), rows

    start.click(
        _refusing(draw),
        [recording, name],
        [note, picture, segments],
        api_name="timeline",
        **ALONE,
    )

    def seek(event: gradio.SelectData):
        return gradio.Audio(playback_position=float(event.row_value[0]))

    segments.select(seek, None, recording, api_visibility="private")


def _add_files(page):
    """Many files to a table, and the same as CSV."""
    files = gradio.File(file_count="multiple", label="Drop audio files")
    start = gradio.Button("Classify all", variant="primary")
    table = gradio.Dataframe(label="Answers", interactive=False)
    download = gradio.File(label="The same as CSV", interactive=False)

    def classify(paths):
        if not paths:
            raise InputError("There are no files yet: drop some first.")
        found = page.table(paths)
        target = Path(paths[0]).with_name("emotions.csv")
        found.to_csv(target, index=False, float_format="%.6f")
        return found.round(4), str(target)

    start.click(
        _refusing(classify), files, [table, download], api_name="files", **ALONE
    )


def _add_reports(reports):
    """Each report in a frame: it has its own styles, and runs no program."""
    for name, text in reports.items():
        gradio.HTML(
            f'<iframe sandbox title="{escape(name)}" srcdoc="{escape(text)}" '
            'style="width: 100%; height: 80vh; border: 0"></iframe>',
            label=name,
            show_label=len(reports) > 1,
        )


def serve(page, reports, host, port, announce):
    """Serve the page until SIGTERM or Ctrl-C.

    Arguments
    ---------
    page : ser_brain.serving.page.Page
        The models.
    reports : dict
        Name -> HTML of training reports.
    host : str
        Address to listen on.
    port : int
        A free one.
    announce : callable
        Called when the page can be opened.
    """
    theme = gradio.themes.Default(font=FONT, font_mono=MONO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What was uploaded goes with the process. gradio reads the variable when
    # the page is made.
    with tempfile.TemporaryDirectory(prefix="ser-brain-web-") as scratch:
        os.environ["GRADIO_TEMP_DIR"] = scratch
        blocks = make_page(page, reports)
        blocks.queue(max_size=32).launch(
            server_name=host,
            server_port=port,
            max_file_size=page.limits.bytes,
            theme=theme,
            footer_links=[],
            run_history=False,
            share=False,
            ssr_mode=False,
            quiet=True,
            prevent_thread_lock=True,
        )
        announce()
        blocks.block_thread()
