"""The tutorial: as a notebook, and what its commands print."""

import os
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed")

import nbformat

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d+\.\d+")


@pytest.fixture(scope="module")
def tool():
    """tools/make_notebook.py as a module."""
    sys.path.insert(0, str(ROOT / "tools"))
    import make_notebook

    yield make_notebook
    sys.path.remove(str(ROOT / "tools"))


def test_text_blocks_and_outputs_are_told_apart(tool):
    text = "A [b](c.md).\n\n```python\nx = 1\n```\n```\n1\n```\nEnd.\n"
    assert tool.pieces(text) == [
        ("markdown", "A [b](c.md)."),
        ("python", "x = 1\n"),
        ("", "1\n"),
        ("markdown", "End."),
    ]
    cells = tool.make_notebook(text).cells
    assert [c.source for c in cells] == ["A [b](c.md).", "x = 1", "End."]


def test_the_notebook_is_that_of_the_tutorial(tool):
    kept = nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)
    made = tool.make_notebook(TUTORIAL)
    nbformat.validate(kept)
    assert [c.source for c in kept.cells] == [c.source for c in made.cells]


def test_the_tutorial_shows_what_its_commands_print(tool, monkeypatch):
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pieces = tool.pieces(TUTORIAL)
    shown = [
        after[1] if after[0] == "" else ""
        for piece, after in zip(pieces, [*pieces[1:], ("markdown", "")])
        if piece[0] in tool.MAGIC
    ]
    notebook = tool.make_notebook(TUTORIAL)
    tool.run_notebook(notebook)
    cells = [c for c in notebook.cells if c.cell_type == "code"]
    printed = [tool.printed(cell).rstrip("\n") for cell in cells]
    expected = [text.rstrip("\n") for text in shown]
    # Another machine may round the last digits of a score differently.
    assert [NUMBER.sub("0", t) for t in printed] == [
        NUMBER.sub("0", t) for t in expected
    ]
    for one, other in zip(printed, expected):
        assert [float(n) for n in NUMBER.findall(one)] == pytest.approx(
            [float(n) for n in NUMBER.findall(other)], abs=2.5
        )
