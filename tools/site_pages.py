"""MkDocs hook: the pages and links of the site that lie outside docs/.

Documents are written for a reader of the repository, whose links lead to any
file. The site gets those documents as pages, and copies of the other files
that a page links to, so that every link works without a network.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
# Pages of the site -> documents outside docs/.
PAGES = {
    "index.md": "README.md",
    "recipes/IEMOCAP.md": "recipes/IEMOCAP/README.md",
    "recipes/SAVEE.md": "recipes/SAVEE/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
PAGE_OF = {document: page for page, document in PAGES.items()}
LINK = re.compile(r"(?<=\]\()([^)#\s]+)")
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|link)\b[^>]*?
        (?:src|href)=["']?((?:https?:)?//[^"'\s>]+)""",
    re.VERBOSE,
)

log = get_plugin_logger("site_pages")


def on_files(files, config):
    """Adds the documents outside docs/ as pages."""
    for page, document in PAGES.items():
        text = (ROOT / document).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links to files of the repository into links of the site.

    A link to a file that does not exist stays as it is, for MkDocs to report.
    """
    here = page.file.src_uri
    folder = posixpath.dirname(PAGES.get(here, f"docs/{here}"))

    def rewritten(match):
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        if "://" in match[1] or not (ROOT / target).is_file():
            return match[1]
        uri = _place(target, config, files)
        return posixpath.relpath(uri, posixpath.dirname(here) or ".")

    return LINK.sub(rewritten, markdown)


def _place(target, config, files):
    """Where a file of the repository is in the site, which then has it."""
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    if target in PAGE_OF:
        return PAGE_OF[target]
    # As plain text, which a browser shows.
    uri = f"source/{target}.txt"
    if uri not in files.src_uris:
        text = (ROOT / target).read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=text))
    return uri


def on_post_page(output, page, config):
    """Warns, which fails a strict build, of what is loaded from elsewhere."""
    for address in LOADED.findall(output):
        log.warning(f"{page.file.src_uri} loads {address}")
    return output
