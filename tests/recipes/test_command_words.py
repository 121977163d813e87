"""What a recipe's command line takes, and what it refuses in one sentence."""

import re
import subprocess
import sys

import pytest
from recipe_runs import ROOT

from ser_brain.errors import InputError
from ser_brain.experiment.arguments import parse_arguments
from ser_brain.experiment.outline import Outline
from ser_brain.experiment.settings import Settings

HPARAMS = ROOT / "hparams"
RUN = {"run_folder": "RUN", "n_classes": 4}


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--epochs", "many"], "--epochs is 'many': give a whole number"),
        (["--epochs", "0"], "--epochs is 0: give a whole number of at least 1"),
        (["--epochs", "1.5"], "--epochs is 1.5: give a whole number"),
        (["--lr", "-1"], "--lr is -1: give a number of at least 0"),
        (["--lr"], "--lr is None: give a number"),
        (["--n_clusters", "64"], "--n_clusters is 64: give a list"),
        (["--front_end_cache", "2"], "is '2': give one of off, memory, disk"),
        (["--classes", "sad"], "--classes is 'sad': give a mapping"),
        (["--micro_batch_seconds", "x"], "--micro_batch_seconds is 'x'"),
        (["--encoder_dim", "x"], "--encoder_dim is 'x': give a whole number"),
        (["--states_dim", "0"], "--states_dim is 0: give a whole number"),
        (["--states_lr", "0", "--wav2vec_dim", "x"], "--states_dim is 'x'"),
        (
            ["--encoder", "a", "--wav2vec2", "b"],
            "--wav2vec2 is another name of --encoder",
        ),
        (["--lr", "[1"], "is not yaml"),
        (["--fold", "03\n04"], "(could not find expected ':'): write --key"),
        (["--classes", "[" * 3000], "is not yaml (it is nested too deeply)"),
        (["--lr", ".inf"], "--lr is inf: give a number of at least 0"),
        (["--pooling", "attentive"], "'attentive': give what builds it, as"),
        (["--pooling", "null"], "--pooling is None: give what builds it"),
        (["--augment", "3"], "--augment is 3: give what builds it, as '!new:"),
        (["junk"], "is not a setting"),
        (["--precision", "fp8"], "invalid choice: 'fp8'"),
        (["--test_only"], "leave it out"),
    ],
)
def test_junk_on_the_command_line(words, sentence):
    with pytest.raises(InputError) as refused:
        parse_arguments(["hparams/ptapt.yaml", *words])
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_setting_that_is_a_number():
    path, _, overrides = parse_arguments(["hparams/ptapt.yaml", "--3", "4"])
    with pytest.raises(InputError, match="--3 is not a setting that any yaml"):
        Settings(path, overrides)


@pytest.mark.parametrize(
    "words, key, value, sentence",
    [
        ("--epochs 1 --epochs 2", "epochs", 2, "twice; 2 is used."),
        ("--lr=1e-3 --seed 3 --lr 5e-5", "lr", 5e-5, "twice; 5e-5 is used."),
        ("--scale x --scale=y --scale z", "scale", "z", "3 times; z is used."),
        ("--n_clusters [1] --n_clusters [2, 3]", "n_clusters", [2, 3],
         "twice; [2, 3] is used."),
    ],
)  # fmt: skip
def test_the_last_value_wins(words, key, value, sentence, capsys, monkeypatch):
    argv = ["hparams/ptapt.yaml", *words.split(" ")]
    _, run_opts, overrides = parse_arguments(argv)
    assert overrides[key] == value
    assert capsys.readouterr().err == f"--{key} is given {sentence}\n"
    # Each of several processes reads the same words.
    monkeypatch.setenv("RANK", "1")
    parse_arguments(argv)
    assert capsys.readouterr().err == ""


def test_run_options_and_switches_given_twice(capsys):
    words = ["--device", "cuda", "--debug", "--device=cpu", "--debug"]
    _, run_opts, overrides = parse_arguments(["hparams/vft.yaml", *words])
    assert (run_opts.device, run_opts.debug, overrides) == ("cpu", True, {})
    told = capsys.readouterr().err
    assert told == "--device is given twice; cpu is used.\n"


def scripts():
    """The examples of each recipe's script: the script and its words."""
    return [
        pytest.param(line.split()[1:], id=line.strip())
        for path in sorted((ROOT / "recipes").glob("*/*.py"))
        for line in path.read_text(encoding="utf-8").split('"""')[1].split("\n")
        if line.startswith("    python ")
    ]


def test_every_script_has_examples():
    named = [each.values[0][0] for each in scripts()]
    paths = (ROOT / "recipes").glob("*/*.py")
    every = [p for p in paths if not p.stem.endswith("_prepare")]
    for path in every:
        assert named.count(path.relative_to(ROOT).as_posix()) in (2, 3)
    assert len(set(named)) == len(every)


@pytest.mark.parametrize("words", scripts())
def test_the_examples_of_a_script_parse(words):
    path, _, overrides = parse_arguments(words[1:])
    Settings(path, overrides).apply_overrides()


def test_help_ends_with_the_examples():
    script = ROOT / "recipes" / "SAVEE" / "train_vft.py"
    done = subprocess.run(
        [sys.executable, script, "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    options, _, examples = done.stdout.partition("Recipe for vanilla")
    assert "--precision" in options
    assert "python recipes/SAVEE/train_vft.py hparams/vft.yaml" in examples


@pytest.mark.parametrize("typed", ["a=b.csv", "/x=1/y=/z.csv", "a b=c.csv"])
@pytest.mark.parametrize("joined", [True, False])
def test_an_equals_sign_in_a_value_stays(typed, joined):
    words = [f"--manifest={typed}"] if joined else ["--manifest", typed]
    words += ["--lr=0.5", "--device=cpu"]
    _, run_opts, overrides = parse_arguments(["hparams/vft.yaml", *words])
    assert overrides == {"manifest": typed, "lr": 0.5}
    assert run_opts.device == "cpu"


@pytest.mark.parametrize(
    "key, hint",
    [
        ("learning_rate", "did you mean --lr?"),
        ("batchsize", "did you mean --batch_size?"),
        ("dry-rn", "list all settings"),
    ],
)
def test_a_suggestion_is_near_or_there_is_none(key, hint):
    with pytest.raises(InputError, match=re.escape(hint)):
        Settings(HPARAMS / "vft.yaml", {key: 1})


def test_another_corpus_than_the_recipes():
    words = ["hparams/vft.yaml", "--corpus", "iemocap"]
    with pytest.raises(InputError, match="--corpus is 'iemocap', but a rec"):
        Outline(words, "SAVEE")
    assert Outline(words, "IEMOCAP").name.endswith("IEMOCAP")


@pytest.mark.parametrize(
    "pooling, reason",
    [
        ("!new:ser_brain.nnet.pooling.Attentiv", "Attentiv"),
        ("!new:no_such_package.Pooling", "no_such_package"),
        ("!new:ser_brain.nnet.pooling.AttentivePooling {size: 3}", "size"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(pooling, reason):
    text = f"--pooling={pooling}"
    path, _, overrides = parse_arguments(["hparams/vft.yaml", text])
    merged = Settings(path, overrides)
    merged.apply("scale", "nano")
    merged.apply_overrides(**RUN)
    with pytest.raises(InputError, match=reason) as refused:
        merged.section("fine_tuning")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("argv", [[], ["--fold", "3"], ["hparams/no.yaml"]])
def test_no_method_file(argv):
    with pytest.raises(InputError) as refused:
        parse_arguments(argv)
    assert "hparams/ptapt.yaml" in str(refused.value)
