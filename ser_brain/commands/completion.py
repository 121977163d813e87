"""``ser-brain completion SHELL``: completion of commands and options."""

HELP = "a script by which bash, zsh or tcsh completes ser-brain's words"
EXAMPLES = (
    'eval "$(ser-brain completion bash)"',
    "ser-brain completion bash > ~/.local/share/bash-completion/completions/"
    "ser-brain",
    "ser-brain completion zsh > ~/.zfunc/_ser-brain",
)
# What a word is that has no list of choices, by its name in the help.
FOLDERS = (
    "FOLDER",
    "RUN",
    "MODEL",
    "TARGET",
    "OUTPUT",
    "DATA_FOLDER",
    "A",
    "B",
)
FILES = ("FILE", "TABLE", "YAML", "PICTURE", "RTTM", "RECIPE")


def add_arguments(sub):
    """Add the command's arguments to its own parser."""
    sub.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def run(arguments):
    """Print the script to stdout. Returns 0."""
    import shtab

    from ser_brain.commands.parser import build_parser

    parser = build_parser()
    kinds = dict.fromkeys(FOLDERS, shtab.DIRECTORY)
    kinds |= dict.fromkeys(FILES, shtab.FILE)
    for action in actions_of(parser):
        name = action.metavar or action.dest.upper()
        if name in kinds:
            # shtab looks for this attribute.
            action.complete = kinds[name]
    print(shtab.complete(parser, arguments.shell))
    return 0


def actions_of(parser):
    """Yield the arguments of a parser and of its subparsers."""
    for action in parser._actions:
        yield action
        if isinstance(action.choices, dict):
            for sub in action.choices.values():
                yield from actions_of(sub)
