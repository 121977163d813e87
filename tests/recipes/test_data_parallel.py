"""Two processes, as torchrun starts them, predict what one predicts.

All objectives: tests/tools/test_torture_ranks.py.
"""

import pytest
import torch
from recipe_runs import run_folder, script, start

from ser_brain.results.outputs import read_predictions


def launcher(processes):
    """What starts so many data-parallel processes."""
    words = ["-m", "torch.distributed.run", "--standalone"]
    return [*words, f"--nproc_per_node={processes}"]


def posteriors(folder, clips, launch=(), device="cpu"):
    """Posteriors of a small V-FT run with the embedded model, by clip.

    It has masks, layer drop and no dropout. Batches of 5 are not shared evenly.
    """
    settings = {"manifest": clips, "fold": "03", "epochs": 4, "batch_size": 5}
    settings |= {"scale": "nano", "results": folder, "device": device}
    settings |= {"fine_tuning_mask_prob": 0.2}
    argv = ["hparams/vft.yaml"]
    for key, value in settings.items():
        argv += [f"--{key}", value]
    process = start(script("SAVEE", "train_vft"), argv, launch)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert out.count("recall angry") == 1
    rows = read_predictions(run_folder(folder, "vft") / "predictions.csv")
    return {row["id"]: row["posteriors"] for row in rows}


def check_alike(found, expected):
    """What is left is rounding: 1e-6."""
    assert found.keys() == expected.keys()
    assert len(found) == 8
    for name, shares in expected.items():
        assert found[name] == pytest.approx(shares, abs=1e-4)


def test_two_processes_predict_what_one_predicts(environment, clips, tmp_path):
    alone = posteriors(tmp_path / "one", clips)
    check_alike(posteriors(tmp_path / "two", clips, launcher(2)), alone)


@pytest.mark.parametrize("processes", [1, 2])
def test_gpus_predict_what_one_predicts(
    environment, clips, tmp_path, processes
):
    found = torch.cuda.device_count()
    if found < processes:
        pytest.skip(f"NCCL needs a GPU per process; {found} of {processes}")
    alone = posteriors(tmp_path / "one", clips, device="cuda")
    launch = launcher(processes)
    together = posteriors(tmp_path / "nccl", clips, launch, device="cuda")
    check_alike(together, alone)
