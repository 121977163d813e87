"""The wheel, installed away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
# One process, as most of its time goes to the import of torch.
AWAY = """
import ser_brain
from ser_brain import cli
from ser_brain.engines.runs import recipe_folder
print(ser_brain.__file__)
print(recipe_folder("SAVEE") / "train_vft.py")
run = "run SAVEE hparams/vft.yaml --runs 1 --scale nano --dry_run"
assert cli.main(run.split()) == 0
for command in ("train", "predict", "timeline"):
    try:
        cli.main([command, "--help"])
    except SystemExit as end:
        assert end.code == 0
"""
CHECKOUT = "ser_brain/assets/checkout/"


def files_of(package):
    """Its files that git would keep, relative to the checkout."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy, so that no build is left in the checkout."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("ser_brain", "hparams", "recipes"):
        shutil.copytree(
            ROOT / name,
            copy / name,
            copy_function=os.symlink,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    built = tmp_path_factory.mktemp("built")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*PIP, *words, "-w", built, copy], check=True)
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def outside(wheel, tmp_path_factory):
    """``outside(word, ...)``: what Python prints where only the wheel is."""
    installed = tmp_path_factory.mktemp("installed")
    words = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*PIP, *words, "--target", installed, wheel], check=True)
    folder = tmp_path_factory.mktemp("elsewhere")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("SAVEE_ROOT", "IEMOCAP_ROOT")
    }
    environment |= {"PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"}

    def outside(*words):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    outside.installed = installed
    return outside


def test_has_every_file_of_the_package(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert files_of("ser_brain") - names == set()
    beside = files_of("hparams") | files_of("recipes")
    assert beside
    assert {CHECKOUT + name for name in beside} - names == set()
    top = {name.split("/")[0] for name in names}
    assert top == {"ser_brain", f"{wheel.name.split('-py3')[0]}.dist-info"}


def test_finds_recipe_settings_and_models_away_from_the_checkout(outside):
    """As ``ser-brain run SAVEE hparams/vft.yaml --dry_run`` and --help."""
    told = outside("-c", AWAY).splitlines()
    package = outside.installed / "ser_brain"
    assert told[0] == str(package / "__init__.py")
    script = package / "assets/checkout/recipes/SAVEE/train_vft.py"
    assert told[1] == str(script) and script.is_file()
    folds = [line.split()[1] for line in told if line.startswith("  fold")]
    assert folds == ["DC", "JE", "JK", "KL"]
    assert "4 runs: 4 missing" in told
    helped = [line.split()[2] for line in told if line.startswith("usage: ")]
    assert helped == ["train", "predict", "timeline"]
