"""Pretrains the embedded nano models on openly licensed speech.

    python tools/make_nano.py wav2vec2 --speech DIR [DIR ...] --heldout DIR
    python tools/make_nano.py wav2vec  --speech DIR [DIR ...] --heldout DIR

Seeded; can be killed at any time and started again with the same arguments:
it goes on from its last checkpoint in --work. Ends by writing fp16
safetensors to ser_brain/assets and the loss curve to docs/.
"""

import argparse
import csv
import json
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tqdm import tqdm
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

from ser_brain.dataio.audio import SAMPLE_RATE, read_audio
from ser_brain.lobes.wav2vec import Wav2VecPretraining
from ser_brain.lobes.wav2vec2 import Wav2Vec2Pretraining

ROOT = Path(__file__).resolve().parents[1]

# wav2vec2-base made narrow: the same strides, kernels, norms and frame rate.
NANO_WAV2VEC2 = dict(
    conv_dim=(32, 64, 96, 128, 128, 128, 128),
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=512,
    num_conv_pos_embeddings=64,
    num_conv_pos_embedding_groups=16,
    num_codevectors_per_group=64,
    num_codevector_groups=2,
    codevector_dim=64,
    proj_codevector_dim=64,
    hidden_dropout=0.1,
    attention_dropout=0.1,
    activation_dropout=0.0,
    feat_proj_dropout=0.1,
    feat_quantizer_dropout=0.0,
    layerdrop=0.05,
    mask_time_prob=0.05,
    mask_time_length=10,
)

# wav2vec_large made narrow: the same layers, kernels and strides.
NANO_WAV2VEC = dict(
    conv_feature_layers=str(
        [(32, 10, 5), (64, 8, 4), (96, 4, 2), (96, 4, 2), (96, 4, 2)]
        + [(96, 1, 1), (96, 1, 1)]
    ),
    conv_aggregator_layers=str([(96, k, 1) for k in range(2, 14)]),
    agg_zero_pad=True,
    skip_connections_agg=True,
    skip_connections_feat=False,
    residual_scale=0.5,
    log_compression=True,
    prediction_steps=12,
    num_negatives=10,
    dropout=0.0,
)


def audio_files(folders):
    """All audio files below the folders, in an order of their own names."""
    files = [
        path
        for folder in folders
        for path in Path(folder).rglob("*")
        if path.suffix in {".wav", ".flac"}
    ]
    if not files:
        raise SystemExit(f"no .wav or .flac file below {folders}")
    return sorted(files)


def read_all(folders):
    """Waveforms of at least one second, decoded once."""
    files = tqdm(audio_files(folders), desc="decoding")
    wavs = [read_audio(path) for path in files]
    return [wav for wav in wavs if len(wav) >= SAMPLE_RATE]


def draw_batch(wavs, seconds, size, generator):
    """A batch of random crops, clips drawn in proportion to their length."""
    lengths = torch.tensor([float(len(wav)) for wav in wavs])
    clips = torch.multinomial(lengths, size, True, generator=generator)
    crops = []
    for clip in clips.tolist():
        wav, most = wavs[clip], int(seconds * SAMPLE_RATE)
        room = max(len(wav) - most, 0)
        start = int(torch.randint(room + 1, (1,), generator=generator))
        crops.append(wav[start : start + most])
    lens = torch.tensor([len(crop) for crop in crops])
    batch = torch.nn.utils.rnn.pad_sequence(crops, batch_first=True)
    return batch, lens / batch.shape[1]


def new_objective(kind, work):
    """The randomly initialised nano model inside its objective."""
    torch.manual_seed(0)
    if kind == "wav2vec2":
        start = work / "random"
        model = Wav2Vec2ForPreTraining(Wav2Vec2Config(**NANO_WAV2VEC2))
        model.save_pretrained(start)
        return Wav2Vec2Pretraining(start)
    return Wav2VecPretraining(NANO_WAV2VEC)


def loss_and_count(kind, objective, batch, step):
    """Mean loss of a batch, with the details to log."""
    if kind == "wav2vec2":
        objective.set_temperature(step, decay=0.9995)
        loss, details = objective(*batch)
        return loss / details["masked_frames"], details
    return objective(*batch)


@torch.no_grad()
def evaluate(kind, objective, wavs, seconds):
    """Mean loss and accuracy on held-out clips, always the same crops."""
    objective.eval()
    torch.manual_seed(1)
    sums = {}
    for start in range(0, len(wavs), 10):
        generator = torch.Generator().manual_seed(start)
        batch = draw_batch(wavs[start : start + 10], seconds, 10, generator)
        loss, details = loss_and_count(kind, objective, batch, 10**6)
        for key, value in {"loss": loss, **details}.items():
            sums.setdefault(key, []).append(float(value))
    objective.train()
    return {f"heldout_{k}": sum(v) / len(v) for k, v in sums.items()}


def learning_rate(step, args):
    """Linear warm-up over 5 %, then linear to zero."""
    warm = max(1, args.steps // 20)
    return args.lr * min(step / warm, (args.steps - step) / (args.steps - warm))


def save_checkpoint(path, objective, optimizer, step, log):
    """One file, replaced in one go."""
    state = {
        "model": objective.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "log": log,
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def pretrain(args):
    """Trains from the last checkpoint on, returns the objective and log."""
    args.work.mkdir(parents=True, exist_ok=True)
    objective = new_objective(args.kind, args.work).train()
    optimizer = torch.optim.AdamW(
        objective.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01
    )
    first, log = 0, []
    checkpoint = args.work / "checkpoint.pt"
    if checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)
        objective.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, log = state["step"], state["log"]
    wavs, heldout = read_all(args.speech), read_all([args.heldout])
    hours = sum(map(len, wavs)) / SAMPLE_RATE / 3600
    print(f"{len(wavs)} clips, {hours:.2f} h; {len(heldout)} held out")
    begun = time.time()
    bar = tqdm(range(first, args.steps), initial=first, total=args.steps)
    for step in bar:
        torch.manual_seed(step)
        generator = torch.Generator().manual_seed(step)
        batch = draw_batch(wavs, args.seconds, args.batch, generator)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step + 1, args)
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            loss, details = loss_and_count(args.kind, objective, batch, step)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 5.0)
        optimizer.step()
        if (step + 1) % args.every == 0 or step + 1 == args.steps:
            row = {"step": step + 1, "loss": float(loss)}
            row.update({key: float(value) for key, value in details.items()})
            row.update(evaluate(args.kind, objective, heldout, args.seconds))
            row["minutes"] = (time.time() - begun) / 60
            log.append(row)
            bar.write(json.dumps({k: round(v, 4) for k, v in row.items()}))
            save_checkpoint(checkpoint, objective, optimizer, step + 1, log)
    return objective, log


def halve(folder):
    """Rewrites the folder's weights as fp16."""
    path = folder / "model.safetensors"
    weights = {name: w.half() for name, w in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})


def draw_curve(path, log, title):
    """Loss and held-out accuracy against updates."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2))
    steps = [row["step"] for row in log]
    left.plot(steps, [row["loss"] for row in log], label="training")
    left.plot(steps, [row["heldout_loss"] for row in log], label="held out")
    left.set(xlabel="updates", ylabel="loss per prediction (nats)")
    left.legend(frameon=False)
    right.plot(steps, [100 * row["heldout_accuracy"] for row in log])
    right.set(xlabel="updates", ylabel="held-out accuracy (%)", ylim=(0, None))
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kind", choices=["wav2vec2", "wav2vec"])
    parser.add_argument("--speech", nargs="+", required=True)
    parser.add_argument("--heldout", required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    objective, log = pretrain(args)
    folder = ROOT / "ser_brain" / "assets" / f"nano_{args.kind}"
    model = objective if args.kind == "wav2vec2" else objective.wav2vec
    if args.kind == "wav2vec2":
        # A million parameters underfit a corpus of emotions as it is, and
        # without dropout they train a quarter faster on the CPU.
        objective.encoder.config.attention_dropout = 0.0
        objective.encoder.config.hidden_dropout = 0.0
        objective.encoder.config.feat_proj_dropout = 0.0
    model.save_pretrained(folder)
    halve(folder)
    name = ROOT / "docs" / f"nano_{args.kind}"
    with name.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, log[0])
        writer.writeheader()
        writer.writerows(log)
    draw_curve(name.with_suffix(".png"), log, f"Pretraining nano {args.kind}")


if __name__ == "__main__":
    main()
