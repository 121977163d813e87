"""A sub-command is one file: the example of CONTRIBUTING.md."""

import re
import sys
from pathlib import Path
from types import ModuleType

import run_trees

from ser_brain import cli
from ser_brain.commands import parser

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_is_a_command(tmp_path, monkeypatch, capsys):
    """Its file and its name in ``COMMANDS`` are all that it takes."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    worst = ModuleType("ser_brain.commands.worst")
    exec(block, worst.__dict__)
    monkeypatch.setitem(sys.modules, worst.__name__, worst)
    monkeypatch.setattr(parser, "COMMANDS", (*parser.COMMANDS, "worst"))
    tree = run_trees.write_tree(tmp_path, ("vft",), "DC", 2)
    assert cli.main(["worst", str(tree), "--clips", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == 3
    assert all(
        line.startswith("DC_") and line.endswith("1.0") for line in lines
    )
    assert worst.HELP in cli.build_parser().format_help()
