"""The report as its reader sees it: the page, its tables, its pictures."""

import argparse
import re
from html.parser import HTMLParser

import pytest
import run_trees

from ser_brain.commands import report as command
from ser_brain.evaluation.metrics import unweighted_accuracy
from ser_brain.reporting.learning import learning_curves, read_curves
from ser_brain.results.outputs import read_predictions

VOID = {"meta", "img"}


def report(*words):
    """What the command line does; returns the exit code."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = [str(word) for word in words]
    return command.run(parser.parse_args([*words, "--resamples", "200"]))


class Page(HTMLParser):
    """Elements of a page, in order; every one is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The report of two procedures on two folds, three runs each."""
    root = tmp_path_factory.mktemp("plan")
    tree = run_trees.write_tree(root, ("vft", "ptapt"), "DC KL", 3)
    output = root / "page"
    return report(tree, "--output", output), tree, output


@pytest.fixture(scope="module")
def page(written):
    return Page((written[2] / "report.html").read_text(encoding="utf-8"))


def test_page_asks_for_nothing(page):
    """Pictures are inside; links lead to places on the page."""
    assert not {"script", "link", "iframe", "object"} & {
        tag for tag, _ in page.elements
    }
    images = page.all("img")
    assert images
    assert all(i["src"].startswith("data:image/svg+xml;") for i in images)
    places = {attributes.get("id") for _, attributes in page.elements}
    assert {a["href"].removeprefix("#") for a in page.all("a")} <= places


def test_page_can_be_heard(page):
    """Alternatives, headings in order, scopes, a language."""
    assert page.all("html") == [{"lang": "en"}]
    assert all(len(image["alt"]) > 20 for image in page.all("img"))
    levels = [int(t[1]) for t, _ in page.elements if re.fullmatch("h[1-6]", t)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(levels, levels[1:]))
    assert {th.get("scope") for th in page.all("th")} == {"row", "col"}
    assert len(page.all("caption")) == len(page.all("table"))


def test_nano_is_said_before_any_figure(page):
    text = "".join(page.text)
    assert text.index("small embedded models") < text.index("by fold")


def test_pictures_lie_beside_the_page(written, page):
    output = written[2]
    names = {p.name for p in output.iterdir()} - {"report.html", "report.md"}
    assert names == {
        "runs_by_fold.png",
        "recall.png",
        *[f"learning_{p}.png" for p in ("vft", "ptapt")],
        *[
            f"confusion_{p}{fold}.png"
            for p in ("vft", "ptapt")
            for fold in ("", "_fold_DC", "_fold_KL")
        ],
    }
    assert len(page.all("img")) == len(names)


def test_the_mean_leaves_out_what_was_discarded(written):
    """Counted here from predictions.csv alone; both figures are told."""
    code, tree, output = written
    assert code == 0
    by_fold = {}
    for path in tree.glob("ptapt/nano/*/*/predictions.csv"):
        rows = read_predictions(path)
        accuracy = unweighted_accuracy(
            [row["label"] for row in rows], [row["prediction"] for row in rows]
        )
        seed = path.parent.name.removeprefix("seed_")
        by_fold.setdefault(rows[0]["fold"], {})[seed] = 100 * accuracy
    out = by_fold["KL"].pop("2")
    [dc, kl] = [list(by_fold[fold].values()) for fold in ("DC", "KL")]
    without = (sum(dc) / 3 + sum(kl) / 3) / 2
    whole = (sum(dc) / 3 + (sum(kl) + out) / 4) / 2
    text = (output / "report.md").read_text(encoding="utf-8")
    assert (
        f"| P-TAPT | 6 | 6 | KL 2: {out:.1f} | {without:.1f} | {whole:.1f} |"
    ) in text
    assert f"| {without:.1f} ± " in text


def test_paper_and_chance_stand_beside(written):
    text = (written[2] / "report.md").read_text(encoding="utf-8")
    assert "| P-TAPT, paper | 86.7 | 45.8 | – |" in text
    assert "| listeners, paper | 73.7 | 53.2 | – |" in text
    assert "| chance | 14.3 | 14.3 | 14.3 |" in text
    assert "There are 2 speakers" in text


def test_only_runs_of_one_seed_pair_up(written):
    """Seed 2 of fold KL was discarded on one side, seed 4 is its stand-in."""
    text = (written[2] / "report.md").read_text(encoding="utf-8")
    assert re.search(r"\| P-TAPT − V-FT \| [+−][\d.]+ \| 5 \|", text)


def test_the_same_runs_give_the_same_page(tmp_path, capsys):
    """Here one run of one speaker: no plural, no interval over speakers."""
    tree = run_trees.write_tree(tmp_path, ("vft",), "DC", 1)
    codes = [report(tree, "--output", tmp_path / name) for name in "ab"]
    assert codes == [0, 0]
    files = [sorted((tmp_path / name).iterdir()) for name in "ab"]
    assert len(files[0]) > 4
    for first, again in zip(*files):
        assert first.read_bytes() == again.read_bytes()
    assert "### Unweighted accuracy by fold (%)" in capsys.readouterr().out
    text = (tmp_path / "a" / "report.md").read_text(encoding="utf-8")
    scores = re.findall(r"^\| V-FT, (?:UA|WA|macro-F1) .*", text, re.MULTILINE)
    assert len(scores) == 3 and all(row.endswith(" | – |") for row in scores)
    assert "All clips are of one speaker, DC: there is no interval" in text
    said = Page((tmp_path / "a" / "report.html").read_text(encoding="utf-8"))
    whole = "".join(said.text)
    assert "1 run, 1 fold, 120 clips of 1 speaker, 7 classes." in whole
    assert "V-FT, fold DC, 1 run " in whole
    assert not re.search(r"\b1 (runs|folds|clips|speakers)\b", whole)


def test_a_name_is_text_not_markup(tmp_path):
    """A class of the user's own table may be called anything."""
    tree = run_trees.write_tree(tmp_path, ("vft",), "DC", 1)
    metrics = next(tree.rglob("metrics.json"))
    text = metrics.read_text().replace('"SAVEE"', '"<b>mine & yours"')
    metrics.write_text(text)
    (tree / "vft" / "nano" / "plan.json").unlink()
    assert report(tree) == 0
    page = Page((tree / "report" / "report.html").read_text(encoding="utf-8"))
    assert not page.all("b")
    assert "<b>mine & yours, nano scale" in "".join(page.text)


def test_curves_of_a_stage_that_went_on_or_began_anew():
    line = "stage: {}, epoch: {}, lr: 1.0e-04 - train loss: {}".format
    text = [line("adapted", e, 9.0) for e in (1, 2, 3)]
    text += [line("adapted", e, 5.0) for e in (1, 2)]
    text += [line("classifier", 1, 2.0) + " - valid loss: 2.5", "loss: 3"]
    assert read_curves("\n".join(text)) == {
        "adapted": {1: {"train": 5.0}, 2: {"train": 5.0}},
        "classifier": {1: {"train": 2.0, "valid": 2.5}},
    }


def test_a_run_without_a_log_has_no_curve(tmp_path):
    assert learning_curves([tmp_path]) == {}
