"""Griffe extension: SpeechBrain's docstrings, as Markdown in NumPy's style."""

import re

import griffe

SECTIONS = {"Arguments": "Parameters", "Example": "Examples"}
MATH = re.compile(r"^\.\. math:: (.*)$", re.MULTILINE)
ROLE = re.compile(r":(?:class|func|meth|mod):(?=`)")
TITLE = re.compile(rf"^({'|'.join(SECTIONS)})\n-+$", re.MULTILINE)


class SpeechBrainStyle(griffe.Extension):
    """Renames sections, and replaces what only Sphinx reads."""

    def on_object(self, *, obj, **kwargs):
        """Called for each object that is loaded."""
        if obj.docstring:
            text = TITLE.sub(_numpy_title, obj.docstring.value)
            text = MATH.sub(r"```latex\n\1\n```", text)
            obj.docstring.value = ROLE.sub("", text)


def _numpy_title(match):
    """The section's title in NumPy's style."""
    title = SECTIONS[match[1]]
    return f"{title}\n{'-' * len(title)}"
