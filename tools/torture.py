"""Long tests of reliability: ``make torture``.

Each ``torture_NAME.py`` beside this file is a part: it has a line of ``HELP``,
``add_arguments(parser)`` and ``run(arguments)``, which returns the number of
broken promises. Without a part's name all of them are run, with their default
lengths. The promises are listed in docs/reliability.md.

    make torture
    make torture ARGS="fuzz --executions 10000"
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
PREFIX = "torture_"


def parts():
    """The parts by their names, in alphabetical order."""
    found = sorted(HERE.glob(f"{PREFIX}*.py"))
    return {
        path.stem.removeprefix(PREFIX): import_module(path.stem)
        for path in found
    }


def main(argv=None):
    """Run one part, or all of them; returns 0 where no promise was broken."""
    parser = argparse.ArgumentParser("torture", description=__doc__)
    chosen = parser.add_subparsers(dest="part", metavar="PART")
    modules = parts()
    parsers = {}
    for name, module in modules.items():
        parsers[name] = chosen.add_parser(name, help=module.HELP)
        module.add_arguments(parsers[name])
    arguments = parser.parse_args(argv)
    broken = 0
    for name in [arguments.part] if arguments.part else modules:
        print(f"== {name}: {modules[name].HELP}", flush=True)
        own = arguments if arguments.part else parsers[name].parse_args([])
        broken += modules[name].run(own)
    print(f"{broken} broken promises" if broken else "no promise was broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
