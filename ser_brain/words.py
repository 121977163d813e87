"""The words of a command line: an option that is given more than once."""

import os
import sys

from ser_brain.errors import printable


def last_of_each(words):
    """Keep the last of each option, and say so where one is dropped.

    Arguments
    ---------
    words : sequence of str
        ``--key value`` or ``--key=value``. An option ends where the next word
        with two dashes begins.

    Returns
    -------
    list of str
        The words without the options that a later one replaces.

    Example
    -------
    >>> last_of_each(["vft.yaml", "--lr=1", "--debug", "--lr", "2"])
    ['vft.yaml', '--debug', '--lr', '2']
    """
    options = [[]]
    for word in words:
        if word.startswith("--"):
            options.append([])
        options[-1].append(word)
    first, *options = options
    given = {}
    for place, (word, *values) in enumerate(options):
        name, equals, value = word.partition("=")
        text = " ".join([value] * bool(equals) + values)
        given.setdefault(name, []).append((place, text))
    for name, each in given.items():
        tell_repeated(name, [text for _, text in each])
    places = sorted(each[-1][0] for each in given.values())
    return [*first, *(word for place in places for word in options[place])]


def tell_repeated(name, values):
    """Say on stderr that an option was given repeatedly, and its value.

    Nothing is said of a switch, which has no value. Of several data-parallel
    processes, the first one says it.

    Arguments
    ---------
    name : str
        The option, with its dashes.
    values : list of str
        Its values in the order of the command line.
    """
    if len(values) < 2 or not any(values) or os.environ.get("RANK", "0") != "0":
        return
    often = "twice" if len(values) == 2 else f"{len(values)} times"
    used = printable(values[-1]) or "the last, without a value,"
    print(f"{name} is given {often}; {used} is used.", file=sys.stderr)
