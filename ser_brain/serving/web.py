"""The web page of ``ser-brain web``, which loads nothing from elsewhere."""

import os
import signal
import tempfile
from html import escape
from pathlib import Path

# Read when gradio is imported: send no usage statistics.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from ser_brain.errors import InputError
from ser_brain.serving.extras import extra
from ser_brain.serving.page import SEGMENT_COLUMNS

with extra("web"):
    import gradio

TITLE = "Speech emotion recognition"
# The browser's own fonts: others would be downloaded.
FONT = ["system-ui", "sans-serif"]
MONO = ["ui-monospace", "monospace"]
# Seconds between clean-ups of uploads, and their maximum age.
OFTEN, KEPT = 600, 3600
CAUTION = (
    "A posterior says how sure a model is among the classes that it knows, not "
    "what somebody feels."
)
# Only one computation at a time.
ALONE = {"concurrency_limit": 1, "concurrency_id": "model"}


def make_page(page, reports):
    """Build the page without serving it.

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
    """Describe the limits in words."""
    limits = page.limits
    return (
        f"Recordings of up to {limits.seconds:g} s and {limits.megabytes:g} MB "
        "go to the machine that serves this page, nowhere else, and are "
        "deleted after an hour."
    )


def _refusing(work):
    """Show what the user can change instead of a bare "Error"."""

    def refused(*arguments):
        try:
            return work(*arguments)
        except InputError as error:
            raise gradio.Error(str(error), duration=None, print_exception=False)

    return refused


def _recording():
    """Input where a file is dropped or a voice is recorded."""
    return gradio.Audio(
        sources=["upload", "microphone"],
        type="filepath",
        label="Drop a file, or record",
        # Sharing would send the recording to a third party's server.
        buttons=["download"],
    )


def _add_utterance(page):
    """Add the tab with posteriors of a recording by all models."""
    recording = _recording()
    with gradio.Row():
        bars = [gradio.Label(label=name, min_width=280) for name in page.models]

    def classify(path):
        found = page.posteriors(path) if path else [None] * len(bars)
        for note in page.notes(path) if path else ():
            gradio.Warning(note)
        return found if len(bars) > 1 else found[0]

    recording.change(
        _refusing(classify), recording, bars, api_name="classify", **ALONE
    )


def _add_timeline(page):
    """Add the tab with the timeline of a recording and its segments."""
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
    """Add the tab with a table of many files, and its CSV."""
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
    """Add each report in a frame with its own styles and without scripts."""
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
    # Uploads are deleted with the process. gradio reads the variable when the
    # page is built.
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
