"""Draw the figures of docs/performance.md from the benchmarks' results.

    python benchmarks/pictures.py

Reads those of benchmarks/results/{growth,steps,kmeans}.json that exist, and
writes docs/performance_{growth,steps,kmeans}.png.
"""

import argparse
import json
import statistics
from pathlib import Path

from common import RESULTS, ROOT
from matplotlib import rc_context

from ser_brain.reporting.pictures import (
    GREY,
    SERIES,
    STYLE,
    Picture,
    new_figure,
)

WIDTH = 7.0  # inches: letters of 8 points can be read at 800 pixels
ROW = 0.16  # inches of a bar
MARGINS = 1.3  # inches of legend and axis
# Curve of growth.json -> what it goes against.
PANELS = {
    "hours": "hours of audio",
    "batch": "clips a batch",
    "clusters": "clusters",
    "frames": "frames",
}
# Figure of a point -> its name, colour and mark.
TIMES = {
    "build_seconds": ("front-end cache", *SERIES[0]),
    "epoch_seconds": ("epoch", *SERIES[1]),
    "update_seconds": ("update", *SERIES[2]),
    "iteration_seconds": ("iteration of k-means", *SERIES[3]),
}
MEMORY = {
    "own_mb": ("own memory", *SERIES[4]),
    "peak_mb": ("with mapped files", *SERIES[5]),
}


# ------------------------------------------------------------------ growth
def growth_picture(report):
    """Small multiples: a column a curve, time above, memory below.

    Arguments
    ---------
    report : dict
        As growth.py writes it.

    Returns
    -------
    Picture
        Named performance_growth.
    """
    curves = report["curves"]
    figure = new_figure(WIDTH, 3.9)
    panels = figure.subplots(2, len(curves), sharex="col", squeeze=False)
    for (above, below), (name, curve) in zip(panels.T, curves.items()):
        above.set_xscale("log")
        above.set_yscale("log")
        draw_lines(above, curve, TIMES)
        draw_proportion(above, curve)
        draw_lines(below, curve, MEMORY, scale=1 / 1024)
        below.set_ylim(0, 1.4 * below.get_ylim()[1])
        below.set_xlabel(PANELS[name])
    panels[0, 0].set_ylabel("seconds")
    panels[1, 0].set_ylabel("memory (GB)")
    for title, colour, marker in (*TIMES.values(), *MEMORY.values()):
        panels[0, 0].plot([], [], marker + "-", color=colour, label=title)
    panels[0, 0].plot([], [], "--", color=GREY, label="in proportion")
    figure.legend(loc="outside upper center", ncols=4)
    caption = (
        "Time and memory of growing tasks; numbers in the panels: exponents "
        "of the curves, 1 in proportion, 0 without growth."
    )
    said = "; ".join(
        f"{TIMES[name][0]}, exponent {power} against {PANELS[against]}"
        for against, curve in curves.items()
        for name, power in curve["exponents"].items()
        if name in TIMES
    )
    return Picture("performance_growth", caption, said, figure)


def draw_lines(axes, curve, kinds, scale=1):
    """A line for each figure of these kinds, with its exponent."""
    height = 0.97
    for name, (_, colour, marker) in kinds.items():
        if name not in curve["points"][0]:
            continue
        xs, ys = line(curve, name)
        ys = [scale * y for y in ys]
        axes.plot(xs, ys, marker + "-", color=colour, ms=4, lw=1.2)
        exponent = curve["exponents"].get(name)
        if exponent is not None:
            axes.text(
                0.05, height, f"{exponent:.2f}", color=colour,
                transform=axes.transAxes, va="top", weight="bold",
            )  # fmt: skip
        height -= 0.11


def draw_proportion(axes, curve):
    """Dashed: in proportion to the last point of each time."""
    for name in TIMES:
        if name in curve["points"][0]:
            xs, ys = line(curve, name)
            straight = [ys[-1] * x / xs[-1] for x in xs]
            axes.plot(xs, straight, "--", color=GREY, lw=0.8, zorder=0)


def line(curve, name):
    """What a figure goes against, and its values."""
    points = curve["points"]
    xs = [point[curve["against"]] for point in points]
    return xs, [point[name] for point in points]


# -------------------------------------------------------------------- bars
def draw_bars(axes, groups, colours):
    """Grouped horizontal bars with whiskers, the first group on top.

    Arguments
    ---------
    axes : matplotlib.axes.Axes
        Where to draw.
    groups : dict
        Group -> list of (name, (median, low, high)), or (name, a sentence)
        where there is no figure.
    colours : dict
        Of the names.
    """
    place, ticks = 0, []
    for group, bars in groups.items():
        ticks.append((place + (len(bars) - 1) / 2, group))
        for name, found in bars:
            if isinstance(found, str):
                axes.text(0, place, f" {found}", va="center", color=GREY)
            else:
                middle, low, high = found
                axes.barh(
                    place, middle, 0.8, color=colours[name],
                    xerr=[[middle - low], [high - middle]],
                    error_kw={"elinewidth": 0.8, "capsize": 2},
                )  # fmt: skip
                axes.text(high, place, f"  {middle:.3g}", va="center")
            place += 1
        place += 1
    axes.set_yticks(*zip(*ticks))
    axes.tick_params("y", length=0)
    # Sentences widen no axis by themselves.
    axes.set_ylim(place - 1, -1)
    axes.margins(x=0.1)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    for name, colour in colours.items():
        axes.barh(0, 0, color=colour, label=name)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)


def bars_figure(groups, label):
    """A figure of grouped bars, as high as they need."""
    names = list(dict.fromkeys(n for bars in groups.values() for n, _ in bars))
    colours = {name: SERIES[i % len(SERIES)][0] for i, name in enumerate(names)}
    rows = sum(len(bars) + 1 for bars in groups.values())
    figure = new_figure(WIDTH, MARGINS + ROW * rows)
    axes = figure.add_subplot()
    draw_bars(axes, groups, colours)
    axes.set_xlabel(label)
    return figure


def steps_picture(report):
    """Audio trained on in a second: a group a task and batch.

    Arguments
    ---------
    report : dict
        As steps.py writes it.

    Returns
    -------
    Picture
        Named performance_steps.
    """
    groups = {}
    for row in report["steps"]:
        group = f"{row['task']}\nbatch {row['batch']}"
        name = row["contender"]
        speed = row.get("audio_per_second")
        if speed is not None:
            found = (speed["median"], speed["low"], speed["high"])
        elif "does_not_fit_gb" in row:
            found = f"{name}: does not fit {row['does_not_fit_gb']} GB"
        else:
            found = f"{name}: ended with exit code {row['exit_code']}"
        groups.setdefault(group, []).append((name, found))
    figure = bars_figure(groups, "seconds of audio in a second")
    caption = "Speed of a training step; whiskers: slowest and fastest."
    return Picture("performance_steps", caption, said(groups), figure)


def kmeans_picture(report):
    """Seconds of a k-means: a bar a contender.

    Arguments
    ---------
    report : dict
        As kmeans.py writes it.

    Returns
    -------
    Picture
        Named performance_kmeans.
    """
    size = f"{report['frames']} frames\n{report['iterations']} iterations"
    bars = []
    for name, runs in report["runs"].items():
        taken = [run["seconds"] for run in runs]
        spread = (statistics.median(taken), min(taken), max(taken))
        bars.append((name, spread))
    figure = bars_figure({size: bars}, "seconds")
    clusters = " + ".join(map(str, report["clusters"]))
    caption = f"k-means at k = {clusters}; whiskers: fastest and slowest."
    return Picture("performance_kmeans", caption, said({size: bars}), figure)


def said(groups):
    """The bars in words."""
    return "; ".join(
        f"{' '.join(group.split())}, "
        + (found if isinstance(found, str) else f"{name}: {found[0]:.3g}")
        for group, bars in groups.items()
        for name, found in bars
    )


PICTURES = {
    "growth": growth_picture,
    "steps": steps_picture,
    "kmeans": kmeans_picture,
}


def draw_all(results, folder):
    """Draws each picture whose figures are there; names the other files.

    Arguments
    ---------
    results : Path
        Folder of the benchmarks' JSON files.
    folder : Path
        Where the PNGs go.

    Returns
    -------
    drawn, missing : list of Path
        PNGs that were written, JSON files that are not there.
    """
    drawn, missing = [], []
    for name, draw in PICTURES.items():
        path = results / f"{name}.json"
        if not path.is_file():
            missing.append(path)
            continue
        with rc_context(STYLE):
            picture = draw(json.loads(path.read_text(encoding="utf-8")))
        picture.save(folder)
        drawn.append(folder / picture.file)
    return drawn, missing


def main():
    """Draws what there is and says what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    drawn, missing = draw_all(arguments.results, arguments.folder)
    for path in drawn:
        print(path)
    for path in missing:
        print(f"{path} is missing: run benchmarks/{path.stem}.py first.")


if __name__ == "__main__":
    main()
