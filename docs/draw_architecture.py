"""Draw the two pictures of docs/architecture.md.

    python docs/draw_architecture.py

The arrows of rooms.svg are read from the import statements of the code, so
that the picture is always correct; redraw it after changing them.
"""

import ast
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

# From the top down; a room may import those of lower levels only.
LEVELS = (
    ("recipes", "cli"),
    ("commands",),
    ("plans",),
    ("experiment", "engines", "serving"),
    ("brains", "inference"),
    ("recordings",),
    ("dataio", "reporting"),
    ("results",),
    ("evaluation", "lobes"),
    ("clustering", "nnet", "corpora"),
    ("assets",),
    ("locks",),
    ("files",),
    ("words", "bars"),
    ("errors", "stopping"),
)
# These rooms wire the ones below them together: of their arrows, those to
# their nearest neighbours are drawn. Every room may import those in COMMON.
WIRING = {"commands", "plans", "experiment", "serving"}
NEIGHBOURS = {
    ("commands", "plans"),
    ("plans", "engines"),
    ("plans", "experiment"),
    ("serving", "inference"),
}
COMMON = {"locks", "files", "errors", "stopping", "words", "bars"}

# Centre of each room (x, y) and what it is for.
ROOMS = {
    "recipes": (1.7, 9.6, "a procedure on a corpus"),
    "cli": (5.0, 11.2, "the command ser-brain"),
    "commands": (8.3, 11.2, "one file per subcommand"),
    "plans": (8.3, 9.6, "folds x runs, outlier rule"),
    "engines": (11.7, 9.6, "processes, Ray, a store"),
    "brains": (1.7, 6.4, "one Brain per objective"),
    "serving": (5.0, 6.7, "sharing a model"),
    "inference": (8.3, 6.4, "trained runs, new audio"),
    "recordings": (8.3, 5.2, "speech, turns, a timeline"),
    "reporting": (11.7, 5.0, "tables, drawings, the page"),
    "dataio": (5.0, 5.4, "manifest to batches"),
    "results": (11.7, 3.6, "run folders as tables"),
    "lobes": (5.0, 3.6, "wav2vec 2.0, Whisper"),
    "evaluation": (11.7, 2.2, "metrics, intervals, tests"),
    "clustering": (1.7, 1.8, "k-means, pseudo-labels"),
    "nnet": (5.0, 1.8, "pooling, heads, masks, losses"),
    "corpora": (8.3, 1.8, "files, labels, folds"),
    "assets": (11.0, 0.4, "nano models, mini corpus"),
}
WHOLE_WIDTH = (12.8, 0.8)
COLOURS = {
    "cli": "#1b7837",
    "brains": "#2166ac",
    "inference": "#8c2d8c",
}
# Arrows that would run through the room between are bent around it.
BENDS = {
    ("recipes", "corpora"): -0.2,
    ("brains", "nnet"): 0.3,
    ("inference", "nnet"): -0.12,
    ("reporting", "evaluation"): -0.9,
    ("engines", "corpora"): 0.03,
}
PLAIN = "#222222"

TRAIN, TEST = "#2166ac", "#b2182b"
BOX = (2.9, 0.8)
# Centre of each box (x, y), its title and its second line.
FLOW = {
    "folder": (1.8, 8.0, "corpus folder", "wav and label files"),
    "manifest": (5.4, 8.0, "manifest.json", "read and checked once"),
    "fold": (9.0, 8.0, "fold", "one session or speaker out"),
    "train": (5.4, 6.4, "training part", "cropped, 16 kHz"),
    "test": (12.0, 6.4, "test part", "whole clips"),
    "states": (1.8, 4.7, "P1 emotion_states", "wav2vec 1.0, labels"),
    "clusters": (1.8, 3.2, "P2 clusters", "k-means, pseudo-labels"),
    "masked": (1.8, 1.7, "P3 adapted", "predict masked clusters"),
    "tapt": (5.4, 3.2, "TAPT adapted", "contrastive loss"),
    "classifier": (9.0, 3.2, "classifier", "V-FT, or P4"),
    "results": (12.6, 1.7, "run folder", "predictions, metrics"),
}
# From, to, colour, bend of the arrow.
FLOWS = (
    ("folder", "manifest", PLAIN, 0),
    ("manifest", "fold", PLAIN, 0),
    ("fold", "train", TRAIN, 0),
    ("fold", "test", TEST, 0),
    ("train", "states", TRAIN, 0),
    ("train", "tapt", TRAIN, 0),
    ("train", "classifier", TRAIN, 0),
    ("states", "clusters", TRAIN, 0),
    ("clusters", "masked", TRAIN, 0),
    ("masked", "classifier", TRAIN, 0.25),
    ("tapt", "classifier", TRAIN, 0),
    ("test", "classifier", TEST, 0),
    ("classifier", "results", PLAIN, 0),
)


def imports_of(path):
    """Names of the rooms that a file imports from."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "ser_brain"}


def imports():
    """Pairs of rooms, the first of which imports from the second."""
    rooms = {room for level in LEVELS for room in level}
    pairs = set()
    for folder in ("ser_brain", "recipes"):
        for path in (ROOT / folder).rglob("*.py"):
            inside = path.relative_to(ROOT).parts
            room = inside[0] if folder == "recipes" else inside[1]
            room = room.removesuffix(".py")
            pairs |= {(room, other) for other in imports_of(path) & rooms}
    return {pair for pair in pairs if pair[0] != pair[1]}


def draw_box(axes, centre, title, line, size):
    """One rounded box with a title and a line below it."""
    (x, y), (width, height) = centre, size
    box = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor="white",
        edgecolor=PLAIN,
        zorder=2,
    )
    axes.add_patch(box)
    style = {"ha": "center", "va": "center", "zorder": 3}
    axes.text(x, y + 0.15, title, weight="bold", size=10, **style)
    axes.text(x, y - 0.18, line, size=7.5, **style)
    return box


def draw_arrow(axes, boxes, source, target, colour, bend=0.0):
    """An arrow from one box's edge to another's."""
    arrow = FancyArrowPatch(
        posA=centre_of(boxes[source]),
        posB=centre_of(boxes[target]),
        patchA=boxes[source],
        patchB=boxes[target],
        connectionstyle=f"arc3,rad={bend}",
        arrowstyle="-|>",
        mutation_scale=11,
        color=colour,
        linewidth=1.1,
        zorder=1,
    )
    axes.add_patch(arrow)


def centre_of(box):
    """Centre of a box."""
    return (
        box.get_x() + box.get_width() / 2,
        box.get_y() + box.get_height() / 2,
    )


def new_axes(width, height, right, bottom, top):
    """A blank figure whose axes are not shown."""
    figure = Figure(figsize=(width, height))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, right)
    axes.set_ylim(bottom, top)
    axes.axis("off")
    return figure, axes


def draw_rooms():
    """The rooms and who imports from whom."""
    figure, axes = new_axes(10, 8.6, right=13.3, bottom=-1.6, top=11.9)
    boxes = {
        name: draw_box(axes, (x, y), name, line, BOX)
        for name, (x, y, line) in ROOMS.items()
    }
    wiring = "connects all parts: settings, stages, run folder"
    middle = axes.get_xlim()[1] / 2
    boxes["experiment"] = draw_box(
        axes, (middle, 8.0), "experiment", wiring, WHOLE_WIDTH
    )
    common = "used by every room except nnet and lobes"
    draw_box(
        axes,
        (middle, -1.0),
        "locks, files, errors, stopping, words, bars",
        common,
        WHOLE_WIDTH,
    )
    for source, target in sorted(imports()):
        far = source in WIRING and (source, target) not in NEIGHBOURS
        if not (far or target in COMMON):
            bend = BENDS.get((source, target), 0.0)
            colour = COLOURS.get(source, PLAIN)
            draw_arrow(axes, boxes, source, target, colour, bend)
    return figure


def draw_flow():
    """From the corpus to the run folder."""
    figure, axes = new_axes(10.5, 6.4, right=14.4, bottom=0.6, top=9.0)
    boxes = {
        name: draw_box(axes, (x, y), title, line, BOX)
        for name, (x, y, title, line) in FLOW.items()
    }
    for source, target, colour, bend in FLOWS:
        draw_arrow(axes, boxes, source, target, colour, bend)
    axes.text(9.0, 1.15, "blue: training part only", color=TRAIN, size=9)
    axes.text(9.0, 0.8, "red: test part", color=TEST, size=9)
    return figure


def save(figure, path):
    """Writes the picture so that the same code gives the same bytes."""
    with matplotlib.rc_context({"svg.hashsalt": "ser_brain"}):
        figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    save(draw_rooms(), DOCS / "rooms.svg")
    save(draw_flow(), DOCS / "data_flow.svg")
