"""Help, repeated options and completion of ``ser-brain``."""

import re
import shlex
import subprocess
import sys
from importlib import import_module

import pytest

from ser_brain import cli
from ser_brain.commands import COMMANDS
from ser_brain.commands.parser import build_parser

BASH = """
source {script}
complete -p ser-brain | grep -q _shtab || exit 3
COMP_WORDS=({words}) COMP_CWORD={place}
_shtab_ser_brain ser-brain "${{COMP_WORDS[-1]}}" "${{COMP_WORDS[-2]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def examples():
    """Command lines of all subcommands, as their help shows them."""
    return [
        line
        for name in COMMANDS
        for line in import_module(f"ser_brain.commands.{name}").EXAMPLES
    ]


def words_of(line):
    """Its words after ``ser-brain``, without redirections."""
    [command] = re.findall(r"ser-brain ([^>)]*)", line.split(" > ")[0])
    return shlex.split(command)


@pytest.mark.parametrize("line", examples())
def test_an_example_parses(line):
    arguments, rest = build_parser().parse_known_args(words_of(line))
    assert rest == [] or "overrides" in arguments


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_the_examples(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    told = capsys.readouterr().out
    own = import_module(f"ser_brain.commands.{name}").EXAMPLES
    assert told.endswith(
        "\n".join(["examples:", *(f"  {e}" for e in own)]) + "\n"
    )
    assert all(words_of(line)[0] == name for line in own)


@pytest.mark.parametrize(
    "words, told",
    [
        ("--runs 3 --runs 5 --runs=7", "--runs is given 3 times; 7 is used."),
        ("--lr 1 --lr=2 --runs 7", "--lr is given twice; 2 is used."),
        ("--runs 7 --dry_run --dry-run", ""),
    ],
)
def test_of_an_option_given_twice_the_last_wins(words, told, capsys):
    argv = ["run", "SAVEE", "no.yaml", *words.split()]
    arguments, _ = build_parser().parse_known_args(argv)
    assert arguments.runs == 7
    capsys.readouterr()
    assert cli.main(argv) == 2
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == told or (not told and first.startswith("error: "))


def test_positional_words_may_be_repeated(capsys):
    arguments = build_parser().parse_args(["report", "a", "a"])
    assert [str(path) for path in arguments.folders] == ["a", "a"]
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "ser-brain.bash"
    done = subprocess.run(
        [sys.executable, "-m", "ser_brain.cli", "completion", "bash"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == ""
    path.write_text(done.stdout)
    return path


@pytest.mark.parametrize(
    "words, expected",
    [
        ("ser-brain re", {"report"}),
        ("ser-brain report --res", {"--resamples"}),
        ("ser-brain run SAVEE x.yaml --engine ''", {"local", "ray"}),
        ("ser-brain predict mod", {"model"}),
        ("ser-brain predict model cal", {"call.wav"}),
    ],
)
def test_bash_completes(script, words, expected, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "modes.txt").touch()
    (tmp_path / "call.wav").touch()
    place = len(shlex.split(words)) - 1
    text = BASH.format(script=script, words=words, place=place)
    done = subprocess.run(
        ["bash", "-c", text], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split()) == expected
