"""The site: links out of docs/, and what a strict build refuses."""

import ast
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("material", reason="mkdocs-material is not installed")

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "recipes/IEMOCAP/README.md",
    "recipes/SAVEE/README.md",
)
CONFIG = """
site_name: small
theme: {name: material, font: false}
hooks: [tools/site_pages.py]
plugins: []
strict: true
use_directory_urls: false
"""


@pytest.fixture
def make_site(tmp_path):
    """``make_site(text)``: the site whose page docs/deep/a.md has a text."""
    for name in (*DOCUMENTS, "docs/deep/a.md", "hparams/a.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    (tmp_path / "README.md").write_text("[a](docs/deep/a.md)\n")
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "site_pages.py", tmp_path / "tools")
    (tmp_path / "mkdocs.yml").write_text(CONFIG)

    def make_site(text):
        (tmp_path / "docs/deep/a.md").write_text(text)
        build(load_config(str(tmp_path / "mkdocs.yml")))
        return tmp_path / "site"

    return make_site


def test_links_out_of_docs_lead_to_pages_and_copies(make_site):
    site = make_site(
        "[s](../../recipes/SAVEE/README.md#top) [y](../../hparams/a.yaml)\n"
    )
    page = (site / "deep" / "a.html").read_text()
    assert 'href="../recipes/SAVEE.html#top"' in page
    assert 'href="../source/hparams/a.yaml.txt"' in page
    copy = site / "source" / "hparams" / "a.yaml.txt"
    assert copy.read_text() == "# hparams/a.yaml\n"
    assert 'href="deep/a.html"' in (site / "index.html").read_text()


@pytest.mark.parametrize(
    "text",
    [
        "[gone](gone.md)",
        "[gone](../../hparams/gone.yaml)",
        '<script src="https://example.org/a.js"></script>',
    ],
)
def test_a_strict_build_refuses(make_site, text):
    with pytest.raises(Abort):
        make_site(text)


def told(node):
    """A literal text of the code, with … for what is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(told, node.values))
    return str(node.value) if isinstance(node, ast.Constant) else "…"


def test_troubleshooting_quotes_the_code():
    texts = "\n".join(
        told(node)
        for path in (ROOT / "ser_brain").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.JoinedStr, ast.Constant))
    )
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### `(.*)`$", page, re.MULTILINE)
    assert len(headings) > 12
    parts = {part for heading in headings for part in heading.split("…")}
    assert {part for part in parts if part not in texts} == set()
