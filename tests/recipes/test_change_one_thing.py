"""The examples of the recipes' READMEs, run as they are written.

Each command gets the settings that it does not give itself: a small table of
clips, small models, and SpeechBrain's ``--debug``, two updates of each stage.
"""

import csv
import re
import shlex
import shutil
import textwrap

import pytest
from recipe_runs import ROOT, command_line, pick_clips, run_script

SECTION = re.compile(r"## Change one thing\n(.*?)\n## ", re.DOTALL)
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
STEP = re.compile(r"(?:\w+ = )?(\w+)\(")


def examples(corpus):
    """Blocks of the section, as (language, text)."""
    text = (ROOT / "recipes" / corpus / "README.md").read_text("utf-8")
    return BLOCK.findall(SECTION.search(text)[1])


@pytest.fixture
def checkout(environment, tmp_path, monkeypatch):
    """A copy of the recipes and settings; one of its folders is left."""
    for name in ("recipes", "hparams"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "ser_brain").symlink_to(ROOT / "ser_brain")
    folds = {"01": "3", "02": "JE", "03": "other"}
    with (tmp_path / "few.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "emotion", "speaker", "fold"))
        for path, emotion, speaker in pick_clips():
            writer.writerow((path, emotion, speaker, folds[speaker]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_as_written(checkout, models):
    """``run_as_written(command)`` of a README; its exit code and output."""

    def run(command):
        python, script, *argv = shlex.split(command)
        assert python == "python"
        given = {word for word in argv if word.startswith("--")}
        recipe = script.split("/")[-1].removesuffix(".py")
        more = command_line(recipe, models, "results", manifest="few.csv")[1:]
        for key, value in zip(more[::2], more[1::2]):
            if key not in given:
                argv += [key, value]
        return run_script(checkout / script, [*argv, "--debug"])

    return run


@pytest.mark.parametrize("corpus", ["IEMOCAP", "SAVEE"])
def test_another_pooling_and_another_encoder(run_as_written, checkout, corpus):
    pooling, encoder = [t for kind, t in examples(corpus) if kind == "bash"][:2]
    for command, changed in ((pooling, "Attentive"), (encoder, "whisper")):
        got = run_as_written(command)
        assert got.code == 0, got.err
        [told] = checkout.glob("results/few/vft/*/*/*/hyperparams.yaml")
        assert changed in told.read_text("utf-8")


@pytest.mark.parametrize("corpus", ["IEMOCAP", "SAVEE"])
def test_another_loss(run_as_written, checkout, corpus):
    kinds, texts = zip(*examples(corpus))
    assert kinds[-3:] == ("python", "python", "bash")
    brain, line, command = texts[-3:]
    script = checkout / shlex.split(command)[1]
    text = script.read_text("utf-8").replace(
        "def train(", f"{brain}\n\ndef train("
    )
    step = STEP.match(line)[1]
    [old] = re.findall(rf"    (?:\w+ = )?{step}\([^)]*\)\n", text)
    text = text.replace(old, textwrap.indent(line, "    "))
    script.write_text(text)
    got = run_as_written(command)
    assert got.code == 0, got.err
    # It is the sub-class that computes: with an error in it nothing trains.
    shutil.rmtree(checkout / "results")
    script.write_text(text.replace("return self.mean(", "return self.men("))
    with pytest.raises(AttributeError, match="men"):
        run_as_written(command)
