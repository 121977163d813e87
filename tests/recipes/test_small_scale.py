"""Small scale: the embedded Whisper instead of wav2vec 2.0."""

import json

import torch
from recipe_runs import AUDIO, run_folder, run_script, script

from ser_brain import assets, cli
from ser_brain.inference import EmotionRecognizer
from ser_brain.lobes.whisper import Whisper


def test_v_ft_trains_whisper_and_predict_reads_it(
    environment, clips, tmp_path, capsys
):
    argv = ["hparams/vft.yaml", "--scale", "small", "--epochs", "1"]
    argv += ["--manifest", clips, "--fold", "03", "--results", tmp_path]
    got = run_script(script("SAVEE", "train_vft"), argv)
    assert got.code == 0, got.err
    folder = run_folder(tmp_path, "vft", scale="small")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["scale"], metrics["n"]) == ("small", 8)
    recognizer = EmotionRecognizer.from_run(folder)
    assert isinstance(recognizer.encoder, Whisper)
    pretrained = Whisper(assets.folder("whisper_tiny_en")).state_dict()
    changed = {
        name.split(".")[2]
        for name, weight in recognizer.encoder.state_dict().items()
        if not torch.equal(weight, pretrained[name])
    }
    assert changed == {"3"}  # of model.layers
    files = sorted(map(str, AUDIO.glob("03_*.flac")))[:2]
    assert cli.main(["predict", str(folder), *files, "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["file"] for record in records] == files
    assert set(records[0]["posteriors"]) == set(recognizer.classes)


def test_p_tapt_masks_and_adapts_whisper(run, tmp_path, tiny_whisper):
    tiny = {"encoder": tiny_whisper, "states_encoder": tiny_whisper}
    got = run("SAVEE", "train_ptapt", scale="small", **tiny)
    assert got.code == 0, got.err
    folder = run_folder(tmp_path / "results", "ptapt", scale="small")
    assert (folder / "predictions.csv").is_file()
    adapted = json.loads((folder / "save/adapted/config.json").read_text())
    assert adapted["model_type"] == "whisper"


def test_the_mini_corpus_at_small_scale_says_so(run, tiny_whisper):
    got = run(
        "SAVEE",
        "extract_pseudo",
        manifest=None,
        fold="JE",
        scale="small",
        states_encoder=tiny_whisper,
    )
    assert got.code == 0, got.err
    assert "mini corpus at small scale" in got.out
