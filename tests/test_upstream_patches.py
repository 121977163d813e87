"""The pull requests under docs/upstream, without a SpeechBrain checkout."""

import re
import subprocess
from pathlib import Path

import pytest
import speechbrain
import torch
from speechbrain.utils.checkpoints import Checkpointer

from ser_brain.assets import folder

UPSTREAM = Path(__file__).resolve().parents[1] / "docs" / "upstream"
AFFECTED = ("1.1.0", "1.1.1", "1.1.2")
affected = pytest.mark.skipif(
    speechbrain.__version__ not in AFFECTED,
    reason=f"speechbrain {speechbrain.__version__} was not checked: see "
    "docs/upstream/README.md, and drop the patches that are merged",
)


def rows():
    """What the table of the README says: patch -> (files, tests)."""
    table = (UPSTREAM / "README.md").read_text(encoding="utf-8")
    lines = [line for line in table.splitlines() if ".patch)" in line]
    cells = [line.strip("|").split("|") for line in lines]
    return {
        re.search(r"\((.+)\)", patch)[1]: [
            set(re.findall("`(.+?)`", cell)) for cell in (files, tests)
        ]
        for _, files, _, patch, tests in cells
    }


def test_every_patch_is_in_the_table():
    """Each patch has its row and its text, and no row lacks its patch."""
    assert {path.name for path in UPSTREAM.glob("*.patch")} == set(rows())
    for patch in rows():
        text = (UPSTREAM / patch).with_suffix(".md").read_text("utf-8")
        assert text.startswith("# ")
        assert "## Reproduction" in text


@pytest.mark.parametrize("patch", rows())
def test_patch_is_a_diff_of_the_files_named(patch, tmp_path):
    """Git reads each patch; it changes what the README says and adds tests."""
    files, tests = rows()[patch]
    numstat = subprocess.run(
        ["git", "apply", "--numstat", UPSTREAM / patch],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert {line.split("\t")[2] for line in numstat.splitlines()} == files
    added = re.findall(
        r"^\+def (test_\w+)", (UPSTREAM / patch).read_text("utf-8"), re.M
    )
    assert set(added) == tests


class SumBrain(speechbrain.Brain):
    """The sum of the output of a linear layer."""

    def compute_forward(self, batch, stage):
        """Apply the layer."""
        return self.modules.model(batch)

    def compute_objectives(self, predictions, batch, stage):
        """Sum its output, so that the gradient of the weight is the input."""
        return predictions.sum()


@affected
def test_negative_max_grad_norm_climbs():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    brain = SumBrain(
        {"model": model},
        lambda parameters: torch.optim.SGD(parameters, lr=1.0),
        run_opts={"max_grad_norm": -1.0, "noprogressbar": True},
    )
    brain.fit(range(1), train_set=[torch.tensor([[3.0]])])
    assert model.weight.item() > 0


@affected
def test_no_sync_stays_off():
    model = torch.nn.Linear(1, 1)
    model.require_backward_grad_sync = True
    with pytest.raises(ValueError, match="finite"):
        with speechbrain.Brain({"model": model}).no_sync():
            raise ValueError("The loss is not finite")
    assert not model.require_backward_grad_sync


@affected
def test_list_of_save_and_keep_only_grows(tmp_path):
    keys = []  # not the default, which would grow for other tests, too
    parts = {"model": torch.nn.Linear(1, 1)}
    Checkpointer(tmp_path, parts).save_and_keep_only(importance_keys=keys)
    assert len(keys) == 1


@affected
def test_pretraining_masks_padding(tmp_path):
    from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2Pretrain

    source = str(folder("nano_wav2vec2"))
    lobe = Wav2Vec2Pretrain(source, str(tmp_path))
    seen = {}
    lobe.model.register_forward_pre_hook(
        lambda _, args, inputs: seen.update(inputs, wavs=args[0]),
        with_kwargs=True,
    )
    wavs = torch.randn(2, 32000) + 1
    wavs[1, 8000:] = 0
    _, mask = lobe(wavs, torch.tensor([1.0, 0.25]))
    assert mask[1, 24:].any()
    assert (
        seen["sampled_negative_indices"][1, :24] >= mask.shape[1] + 24
    ).any()
    assert (seen["wavs"][1, 8000:] != 0).all()
