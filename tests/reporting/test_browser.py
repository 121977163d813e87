"""The report in headless Chromium, on a desk and on a phone."""

import base64
import re

import pytest
import run_trees

from ser_brain.reporting.report import write_report

WIDTHS = (1280, 390)
LEAST_PIXELS = 10.5  # of a letter that can be read
# What sticks out of the window, and whether a box around it scrolls there.
STICKING_OUT = """() => {
  const width = document.documentElement.clientWidth;
  const found = [];
  for (const one of document.querySelectorAll('body *')) {
    if (one.getBoundingClientRect().right <= width + 1) continue;
    const box = one.closest('.box');
    if (!box) { found.push(one.outerHTML.slice(0, 80)); continue; }
    const inside = box.getBoundingClientRect().right <= width + 1;
    const scrolls = getComputedStyle(box).overflowX === 'auto';
    box.scrollLeft = box.scrollWidth;
    const shown = one.getBoundingClientRect().right <= width + 1;
    box.scrollLeft = 0;
    if (!inside || !scrolls || !shown || box.tabIndex !== 0)
      found.push(one.outerHTML.slice(0, 80));
  }
  return found;
}"""
CUT_OFF = """() => [...document.querySelectorAll('body *')]
  .filter(one => one.scrollWidth > one.clientWidth + 1
    && !['visible', 'auto'].includes(getComputedStyle(one).overflowX))
  .map(one => one.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Two procedures on two speakers, one of whose runs was discarded."""
    root = tmp_path_factory.mktemp("report")
    tree = run_trees.write_tree(root, ("vft", "ptapt"), "DC KL", 2)
    return write_report([tree], root / "page", resamples=200)[1]


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_out_of_reach(browser, report, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(report.as_uri())
    whole, window = page.evaluate(
        "() => [document.body.scrollWidth, document.body.clientWidth]"
    )
    assert whole == window == width
    assert page.evaluate(STICKING_OUT) == []
    assert page.evaluate(CUT_OFF) == []
    page.close()


def test_counts_of_a_confusion_can_be_read(browser, report):
    """The smallest letters of its drawing, as large as they are shown."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(report.as_uri())
    images = page.eval_on_selector_all(
        ".grid img", "all => all.map(one => [one.src, one.clientWidth])"
    )
    page.close()
    assert len(images) == 6
    for source, width in images:
        svg = base64.b64decode(source.partition(",")[2]).decode()
        units = float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])
        sizes = re.findall(r"font(?:-size)?: ([\d.]+)px", svg)
        assert len(sizes) > 2 * 49
        assert min(map(float, sizes)) * width / units >= LEAST_PIXELS
