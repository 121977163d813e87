"""The web page: what it answers, and in a browser, at two widths, offline."""

import os
import re
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pandas
import pytest
import soundfile
import torch

from ser_brain import cli
from ser_brain.assets import folder
from ser_brain.dataio.audio import read_audio
from ser_brain.errors import InputError
from ser_brain.inference import save_classifier
from ser_brain.serving.page import Page, named, reports
from ser_brain.serving.upload import Limits, Refusal

CLIPS = ("01_angry_09.flac", "01_angry_10.flac")


@pytest.fixture
def files(audio, tmp_path):
    """Two recordings and a text, by their paths."""
    paths = [tmp_path / name for name in ("a.wav", "b.flac", "text.wav")]
    paths[0].write_bytes(audio(0.8))
    paths[1].write_bytes(audio(0.6, 44100, 2, "flac", seed=1))
    paths[2].write_bytes(b"no audio at all")
    return [str(path) for path in paths]


@pytest.fixture
def page(recognizer):
    return Page({"one": recognizer, "two": recognizer}, Limits())


def test_the_bars_are_the_posteriors_of_classify_file(page, recognizer, files):
    for path in files[:2]:
        expected = recognizer.classify_file(path)[0][0].tolist()
        for found in page.posteriors(path):
            assert list(found) == recognizer.classes
            assert list(found.values()) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(Refusal, match="cannot be read as audio"):
        page.posteriors(files[2])
    with pytest.raises(Refusal, match="longer than 0.5 s"):
        Page(page.models, Limits(0.5)).posteriors(files[0])


def test_many_files(page, recognizer, files):
    """One row per file and model; a bad one says why, after the name."""
    table = page.table(files)
    assert list(table)[:5] == ["file", "model", "error", "label", "score"]
    assert list(table["file"]) == [
        name for name in ("a.wav", "b.flac", "text.wav") for _ in range(2)
    ]
    assert list(table["model"]) == 3 * ["one", "two"]
    assert list(table["error"] != "") == 4 * [False] + 2 * [True]
    expected = recognizer.classify_file(files[1])
    assert table["label"][2] == expected[3][0]
    assert table["score"][2] == pytest.approx(float(expected[1]), abs=1e-5)
    assert "error" not in page.table(files[:2])


def test_quiet_recordings_are_noted(page, files, tmp_path):
    assert page.notes(files[0]) == []
    wav = 0.001 * read_audio(files[0])
    soundfile.write(tmp_path / "low.wav", wav.numpy(), 16000)
    (note,) = page.notes(tmp_path / "low.wav")
    assert note.startswith("The recording is too quiet")
    table = page.table([tmp_path / "low.wav"])
    assert list(table)[-1] == "warnings"
    assert all(each.startswith("quiet") for each in table["warnings"])


def test_a_timeline(page, tmp_path):
    """Its segments lie in the recording, and its drawing is there."""
    wav = read_audio(f"{folder('mini_corpus')}/audio/{CLIPS[0]}")
    pause = torch.zeros(16000)
    path = tmp_path / "call.wav"
    soundfile.write(path, torch.cat([wav, pause, wav]).numpy(), 16000)
    rows, note = page.timeline(path, "one", tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
    assert rows and all(row[2] in page.models["one"].classes for row in rows)
    duration = 1 + 2 * len(wav) / 16000
    ends = [end for begin, end, _, _ in rows]
    assert ends == sorted(ends) and ends[-1] <= duration + 0.01
    assert f"in {duration:.1f} s" in note


def test_names_of_models():
    assert named(["a/calls", "b/calls"]) == {
        "a/calls": "a/calls",
        "b/calls": "b/calls",
    }
    with pytest.raises(InputError, match="given twice"):
        named(["calls", "./calls"])


def test_the_command_refuses(tmp_path, model, capsys, monkeypatch):
    assert cli.main(["web", str(tmp_path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert cli.main(["web", str(model), "--max_seconds", "0"]) == 2
    assert "max_seconds is 0" in capsys.readouterr().err
    for name in [n for n in sys.modules if n.startswith("ser_brain.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert cli.main(["web", str(model)]) == 2
    assert "pip install 'ser_brain[web]'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def models(recognizer, model, tmp_path_factory):
    """Two folders, one of them with a training report."""
    other = tmp_path_factory.mktemp("other") / "second"
    save_classifier(
        other / "save" / "classifier",
        recognizer.encoder,
        recognizer.head,
        recognizer.classes,
    )
    (other / "report.html").write_text("<h1>Report & figures</h1>")
    assert list(reports({"x": model, "second": other})) == ["second"]
    return [model, other]


@pytest.fixture(scope="module")
def served(models, tmp_path_factory):
    """The command in a process of its own, its address and its scratch."""
    scratch = tmp_path_factory.mktemp("scratch")
    process = subprocess.Popen(
        [sys.executable, "-m", "ser_brain.cli", "web", *models, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(scratch)},
    )
    address = re.search(r"http://127.0.0.1:\d+", process.stdout.readline())
    assert address
    yield process, address[0], scratch
    process.kill()
    process.wait()


@pytest.fixture(params=[1280, 390])
def opened(request, browser, served):
    """The page at a width, and all that it asked for."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 900}
    )
    requests = []
    context.on("request", lambda each: requests.append(each.url))
    page = context.new_page()
    page.set_default_timeout(300_000)
    page.goto(served[1])
    yield page
    # At its end: whatever was done, nothing came from elsewhere, and nothing
    # is cut off.
    hosts = {urlsplit(url).hostname for url in requests}
    assert len(requests) > 10 and hosts <= {"127.0.0.1", None}
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width == request.param
    context.close()


def panel(page, name):
    """Opens a tab; on a phone some are behind a button."""
    tab = page.get_by_role("tab", name=name)
    page.get_by_role("tab").first.wait_for()
    if tab.count() and tab.first.is_visible():
        tab.first.click()
    else:
        page.locator(".overflow-menu button").first.click()
        page.get_by_text(name).last.click()
    return page.locator("[role=tabpanel]:visible")


def test_in_a_browser(opened, recognizer, files):
    """All tabs at a width, one page."""
    check_utterance(opened, recognizer, files)
    check_timeline(opened)
    check_files(opened, files)
    here = panel(opened, "Training report")
    frame = here.frame_locator("iframe")
    frame.get_by_role("heading", name="Report & figures").wait_for()


def check_utterance(opened, recognizer, files):
    """Bars of both models; a text is refused with a sentence."""
    here = panel(opened, "One utterance")
    here.locator("input[type=file]").set_input_files(files[0])
    label = recognizer.classify_file(files[0])[3][0]
    headings = here.locator("h2", has_text=label)
    headings.nth(1).wait_for()
    assert headings.count() == 2
    for name in recognizer.classes:
        assert here.get_by_text(name).count() >= 2
    here.get_by_label("Clear").first.click()
    here.locator("input[type=file]").set_input_files(files[2])
    opened.get_by_text("cannot be read as audio").wait_for()


def check_timeline(opened):
    """A drawing, and a player."""
    here = panel(opened, "Timeline")
    clip = f"{folder('mini_corpus')}/audio/{CLIPS[1]}"
    here.locator("input[type=file]").first.set_input_files(clip)
    here.locator("audio").first.wait_for(state="attached")
    here.get_by_role("button", name="Draw the timeline").click()
    here.get_by_text("s of speech in").wait_for()
    picture = here.locator("img").first
    picture.wait_for()
    opened.wait_for_function(
        "image => image.naturalWidth > 500", arg=picture.element_handle()
    )


def check_files(opened, files):
    """A row per file and model in the CSV."""
    here = panel(opened, "Many files")
    here.locator("input[type=file]").first.set_input_files(files)
    here.get_by_text("text").first.wait_for()
    here.get_by_role("button", name="Classify all").click()
    link = here.locator("a[download='emotions.csv']").first
    with opened.expect_download() as download:
        link.click()
    table = pandas.read_csv(download.value.path())
    assert len(table) == 6 and table["label"].notna().sum() == 4


def test_the_end_keeps_no_recording(served):
    """SIGTERM: no traceback, and what was uploaded is gone."""
    process, _, scratch = served
    assert [*scratch.glob("ser-brain-web-*")]
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 0
    assert not [*scratch.glob("ser-brain-web-*")]
