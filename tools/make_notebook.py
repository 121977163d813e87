"""The tutorial as a notebook: docs/tutorial.ipynb from docs/tutorial.md.

    python tools/make_notebook.py

Python and shell blocks become cells, which are run once in an empty folder;
the text between them becomes Markdown. The outputs that the tutorial shows are
left out, because the cells print them.
"""

import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

DOCS = Path(__file__).resolve().parents[1] / "docs"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
MAGIC = {"python": "", "bash": "%%bash\n"}
KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}


def pieces(text):
    """The parts of a Markdown document.

    Arguments
    ---------
    text : str
        The document.

    Returns
    -------
    list of tuple of str
        (language, content) in order: "markdown" for text, "" for a block
        without a language, which is what the block before it prints.

    Example
    -------
    >>> pieces("Say\\n```bash\\necho 1\\n```\\n```\\n1\\n```\\n")
    [('markdown', 'Say'), ('bash', 'echo 1\\n'), ('', '1\\n')]
    """
    # Text, language and content in turn, text last.
    parts = BLOCK.split(text)
    found = []
    for number in range(0, len(parts), 3):
        found.append(("markdown", parts[number].strip()))
        found += [tuple(parts[number + 1 : number + 3])]
    return [piece for piece in found if piece and piece[1]]


def make_notebook(text):
    """A notebook, not yet run, of a Markdown document.

    Arguments
    ---------
    text : str
        The document.

    Returns
    -------
    nbformat.NotebookNode
    """
    cells = []
    for language, content in pieces(text):
        number = f"cell-{len(cells)}"
        if language == "markdown":
            cells.append(new_markdown_cell(content, id=number))
        elif language in MAGIC:
            source = MAGIC[language] + content.strip()
            cells.append(new_code_cell(source, id=number))
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def run_notebook(notebook):
    """Run all cells in an empty folder, and keep what they print.

    Progress bars and times, which differ from run to run, are left out.

    Arguments
    ---------
    notebook : nbformat.NotebookNode
        Changed in place.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            notebook, timeout=600, resources=resources, record_timing=False
        ).execute()
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            told = printed(cell)
            cell.outputs = [new_output("stream", text=told)] if told else []


def printed(cell):
    """What a cell wrote to its standard output.

    Arguments
    ---------
    cell : nbformat.NotebookNode
        A code cell that was run.

    Returns
    -------
    str
    """
    texts = [o.text for o in cell.outputs if o.get("name") == "stdout"]
    return "".join(texts)


def main():
    """Write the notebook."""
    notebook = make_notebook((DOCS / "tutorial.md").read_text())
    run_notebook(notebook)
    nbformat.write(notebook, DOCS / "tutorial.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main())
