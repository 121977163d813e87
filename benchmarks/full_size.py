"""Memory of the full-size architecture: a few steps of each objective.

    python benchmarks/full_size.py --data_folder /path/to/SAVEE --steps 2

wav2vec2-base and wav2vec_large with random weights (a fit needs no more),
batch 64 of real SAVEE clips, every recipe as a user runs it on a table of 80
clips. Prints peak memory and seconds for each and writes
benchmarks/results/full_size.json.

    python benchmarks/full_size.py --data_folder SAVEE --encoders wavlm-base

does so for V-FT of other encoders, one after the other, and writes
benchmarks/results/encoders.json, which keeps the figures that other commands
took with the same settings. The peak needs two steps: Adam's state is there
from the second on.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from common import ROOT, machine, read_report, write_report
from transformers import (
    AutoConfig,
    AutoModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
)

from ser_brain.lobes.wav2vec import Wav2Vec

EXTRACTOR = [(512, 10, 5), (512, 8, 4)] + [(512, 4, 2)] * 3 + [(512, 1, 1)] * 2
WAV2VEC_LARGE = {
    "conv_feature_layers": str(EXTRACTOR),
    "conv_aggregator_layers": str([(512, k, 1) for k in range(2, 14)]),
    "skip_connections_agg": True,
    "skip_connections_feat": False,
    "log_compression": True,
    "agg_zero_pad": True,
    "residual_scale": 0.5,
}
LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
# The model_type of each, and what differs from transformers' defaults, which
# are those of the base models.
ENCODERS = {
    "wav2vec2-base": ("wav2vec2", {}),
    "wav2vec2-large": ("wav2vec2", {**LARGE, **STABLE, "conv_bias": True}),
    "hubert-base": ("hubert", {}),
    "hubert-large": ("hubert", {**LARGE, **STABLE, "conv_bias": True}),
    "wavlm-base": ("wavlm", {}),
    "wavlm-large": ("wavlm", {**LARGE, **STABLE}),
    "data2vec-audio-base": ("data2vec-audio", {}),
    "data2vec-audio-large": ("data2vec-audio", LARGE),
    "emotion2vec-base": ("emotion2vec", {}),
    "unispeech-sat-base": ("unispeech-sat", {}),
    "unispeech-sat-large": ("unispeech-sat", {**LARGE, **STABLE}),
}


def table_of_clips(data_folder, path, train=72, test=8):
    """A table of SAVEE clips: one speaker tested, the others trained on."""
    clips = sorted(Path(data_folder).resolve().rglob("*.wav"))
    tested = [clip for clip in clips if clip.parent.name == "KL"][:test]
    # Of all kinds and speakers: every fifth clip, in the order of names.
    others = [clip for clip in clips if clip.parent.name != "KL"]
    trained = [*others[::5], *others[1::5]][:train]
    lines = ["path,emotion,speaker,fold"]
    for clip in [*trained, *tested]:
        fold = "test" if clip in tested else "train"
        emotion = clip.stem.rstrip("0123456789")
        lines.append(f"{clip},{emotion},{clip.parent.name},{fold}")
    path.write_text("\n".join(lines) + "\n")
    return path


def random_checkpoints(folder):
    """wav2vec2-base and wav2vec_large, as their publishers store them."""
    torch.manual_seed(0)
    # Without layer drop, so that each update is the same work.
    base = Wav2Vec2ForPreTraining(Wav2Vec2Config(layerdrop=0.0))
    base.save_pretrained(folder / "base")
    # Asked for by SpeechBrain's lobe.
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(
        folder / "base"
    )
    large = Wav2Vec.from_options(WAV2VEC_LARGE)
    large.save_pretrained(folder / "large")
    return folder / "base", folder / "large"


def random_encoder(name, folder):
    """One of `ENCODERS`; without layer drop, as every layer is measured."""
    torch.manual_seed(0)
    kind, options = ENCODERS[name]
    config = AutoConfig.for_model(kind, layerdrop=0.0, **options)
    AutoModel.from_config(config).save_pretrained(folder / name)
    return folder / name


def run(script, procedure, options):
    """One recipe in a process of its own: seconds and peak memory in GB."""
    command = [
        sys.executable,
        str(ROOT / "recipes" / "SAVEE" / f"{script}.py"),
        str(ROOT / "hparams" / f"{procedure}.yaml"),
    ]
    for key, value in options.items():
        command += [f"--{key}", str(value)]
    begun = time.time()
    process = subprocess.Popen(command, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    return {
        "exit_code": os.waitstatus_to_exitcode(status),
        "seconds": round(time.time() - begun, 1),
        "peak_memory_gb": round(usage.ru_maxrss / 2**20, 2),
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--micro_batch_seconds", default="auto")
    parser.add_argument("--only", nargs="*", default=["vft", "tapt", "ptapt"])
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS)
    args = parser.parse_args(argv)
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        common = {
            "manifest": table_of_clips(
                args.data_folder, Path(scratch, "clips.csv")
            ),
            "fold": "test",
            "num_workers": 0,
            "epochs": 1,
            "batch_size": args.batch_size,
            "micro_batch_seconds": args.micro_batch_seconds,
            "results": scratch,
        }
        # An epoch of 72 clips is one update.
        fine_tuning = {**common, "epochs": args.steps}
        if args.encoders:
            measure_encoders(args, fine_tuning)
            return
        base, large = random_checkpoints(Path(scratch))
        common["encoder"] = fine_tuning["encoder"] = base
        adaptation = {"adaptation_steps": args.steps}
        clusters = {
            "wav2vec": large,
            "states_steps": args.steps,
            "states_batch_size": args.batch_size,
        }
        options = {
            "vft": fine_tuning,
            "tapt": {
                **common,
                **adaptation,
                "adaptation_batch_size": args.batch_size,
            },
            "ptapt": {**common, **adaptation, **clusters},
        }
        for procedure in args.only:
            script = f"train_{procedure}"
            results[procedure] = run(script, procedure, options[procedure])
            print(procedure, results[procedure], flush=True)
    report("full_size", args, results)


def measure_encoders(args, fine_tuning):
    """Run V-FT of each encoder, and write the figures after each.

    The figures that earlier commands took with the same settings on the same
    machine are kept.
    """
    earlier = read_report("encoders")
    same = (
        earlier.get("settings") == settings_of(args)
        and earlier["machine"] == machine()
    )
    results = earlier["results"] if same else {}
    for name in args.encoders:
        # A large one's weights and checkpoints take several GB of disk.
        with tempfile.TemporaryDirectory() as place:
            options = {**fine_tuning, "results": place}
            options["encoder"] = random_encoder(name, Path(place))
            results[name] = run("train_vft", "vft", options)
        print(name, results[name], flush=True)
        report("encoders", args, results)


def settings_of(args):
    """What all figures of a report share: not which encoders were asked for."""
    shared = {key: vars(args)[key] for key in vars(args) if key != "encoders"}
    return shared | {"data_folder": "SAVEE"}


def report(name, args, results):
    """Write the figures so far."""
    settings = settings_of(args)
    write_report(name, {"settings": settings, "results": results})


if __name__ == "__main__":
    main()
