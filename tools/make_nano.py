"""Train the embedded nano models on openly licensed speech.

    python tools/make_nano.py front_end --speech DIR ... --heldout DIR --work A
    python tools/make_nano.py distil    --speech DIR ... --heldout DIR --work B \
        --front_end A/model
    python tools/make_nano.py wav2vec   --speech DIR ... --heldout DIR --work C

``front_end``, then ``distil``, train the nano wav2vec 2.0, which learns the
hidden states of the embedded Whisper encoder and also its own objective
(distil.py). ``wav2vec`` trains the nano wav2vec 1.0 on its own objective.

Training is seeded, and can be killed at any time and started again: it resumes
from its last checkpoint in --work, with more speech or another number of
--steps if these are given. At the end it writes the model to --work and,
except for ``front_end``, as fp16 safetensors to ser_brain/assets and its curve
to docs/.
"""

import argparse
import csv
import json
import time
from pathlib import Path

import torch
from augment import augmented, leveled, noisy
from distil import Distillation, inherit, new_student, teach
from safetensors.torch import load_file, save_file
from speech import Speech, batch_of, random_stretch
from tqdm import tqdm

from ser_brain.assets import folder as asset
from ser_brain.dataio.audio import SAMPLE_RATE
from ser_brain.lobes.wav2vec import Wav2VecPretraining
from ser_brain.lobes.whisper import Whisper

ROOT = Path(__file__).resolve().parents[1]

# A narrow wav2vec_large: the same layers, kernels and strides.
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


class Contrastive:
    """wav2vec 1.0 and its own objective.

    Arguments
    ---------
    args : argparse.Namespace
        The command line.
    """

    asset = "nano_wav2vec"
    title = "Pretraining the nano wav2vec 1.0"
    pictured = "accuracy"

    def __init__(self, args):
        torch.manual_seed(0)
        self.seconds, self.size = args.seconds, args.batch
        self.module = Wav2VecPretraining(NANO_WAV2VEC)

    def prepare(self, speech):
        """Nothing is measured before the first update."""

    def loss(self, speech, generator):
        """Mean loss of a batch of random crops, with the details to log."""
        samples = int(self.seconds * SAMPLE_RATE)
        crops = speech.crops(samples, self.size, generator)
        return self.module(*batch_of(crops))

    heldout_loss = loss

    def save(self, folder):
        """Writes the encoder."""
        self.module.wav2vec.save_pretrained(folder)


class Distilled:
    """wav2vec 2.0 that learns the hidden states of Whisper's encoder.

    Arguments
    ---------
    args : argparse.Namespace
        The command line.
    """

    asset = "nano_wav2vec2"
    title = "Distilling Whisper into the nano wav2vec 2.0"
    pictured = "cosine"
    front_end_only = False

    def __init__(self, args):
        self.samples = int(args.seconds * SAMPLE_RATE)
        self.size = args.batch
        self.teacher = Whisper(asset("whisper_tiny_en")).eval()
        layers = len(self.teacher.layer_stack) + 1
        self.module = Distillation(
            self.source(args),
            layers=1 if self.front_end_only else layers,
            frames=self.teacher.frame_lengths(self.samples),
            front_end_only=self.front_end_only,
        )

    def source(self, args):
        """The folder of the initial student."""
        if args.front_end is None:
            raise SystemExit("distil needs --front_end: see --help.")
        return args.front_end

    def teach(self, wavs, wav_lens):
        """The hidden states to be learned."""
        return teach(self.teacher, wavs, wav_lens, self.front_end_only)

    def prepare(self, speech):
        """Measure the teacher and initialise the student's layers."""
        batches = self.measure(speech)
        inherit(self.module.objective.encoder, self.teacher, batches[:6])

    def measure(self, speech):
        """Measure the teacher's statistics; return their batches."""
        generator = torch.Generator().manual_seed(0)
        batches = [self.crops(speech, generator) for _ in range(24)]
        self.module.measure([self.teach(*one) for one in batches])
        return batches

    def crops(self, speech, generator):
        """Augmented crops at one level."""
        longer = speech.crops(self.samples * 3 // 2, self.size, generator)
        changed = [augmented(crop, generator) for crop in longer]
        return batch_of(
            [
                leveled(random_stretch(crop, self.samples, generator))
                for crop in changed
            ]
        )

    def loss(self, speech, generator):
        """Loss of augmented crops, with noise only for the student."""
        crops, lens = self.crops(speech, generator)
        taught, _ = self.teach(crops, lens)
        heard = noisy(crops, lens, generator)
        return self.module(heard, lens, taught, generator)

    def heldout_loss(self, speech, generator):
        """Loss of unchanged crops, at one level."""
        crops = speech.crops(self.samples, self.size, generator)
        crops, lens = batch_of([leveled(crop) for crop in crops])
        taught, _ = self.teach(crops, lens)
        return self.module(crops, lens, taught, generator)

    def save(self, folder):
        """Writes the student with its quantizer."""
        self.module.objective.save_pretrained(folder)


class FrontEnd(Distilled):
    """The student's front-end, which learns Whisper's."""

    asset = None
    front_end_only = True

    def source(self, args):
        """A random student."""
        folder = args.work / "random"
        new_student(folder)
        return folder

    def prepare(self, speech):
        """Measures the input of the teacher's first layer."""
        self.measure(speech)


KINDS = {"front_end": FrontEnd, "distil": Distilled, "wav2vec": Contrastive}


@torch.no_grad()
def evaluate(kind, speech):
    """Mean loss and details on held-out speakers, always the same crops."""
    kind.module.eval()
    torch.manual_seed(1)
    sums = {}
    for number in range(8):
        generator = torch.Generator().manual_seed(number)
        loss, details = kind.heldout_loss(speech, generator)
        for key, value in {"loss": loss, **details}.items():
            sums.setdefault(key, []).append(float(value))
    kind.module.train()
    return {f"heldout_{k}": sum(v) / len(v) for k, v in sums.items()}


def learning_rate(step, args):
    """Linear warm-up over 5 %, flat, linear to zero over the last part."""
    warm = max(1, args.steps // 20)
    left = (args.steps - step) / max(1, args.cooldown * args.steps)
    return args.lr * min(step / warm, 1.0, left)


def save_checkpoint(path, kind, optimizer, step, log):
    """One file, replaced in one go."""
    state = {
        "model": kind.module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "log": log,
    }
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def resume(path, kind, optimizer):
    """Load a checkpoint; return its update and the log."""
    state = torch.load(path, weights_only=True)
    kind.module.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["log"]


def update(kind, optimizer, speech, step, args):
    """One update; its loss and details."""
    torch.manual_seed(step)
    generator = torch.Generator().manual_seed(step)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step + 1, args)
    with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
        loss, details = kind.loss(speech, generator)
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(kind.module.parameters(), 5.0)
    if bool(norm.isfinite()):
        optimizer.step()
    return {"loss": loss, **details}


def pretrain(args):
    """Train from the last checkpoint on; return the kind and the log."""
    args.work.mkdir(parents=True, exist_ok=True)
    kind = KINDS[args.kind](args)
    kind.module.train()
    optimizer = torch.optim.AdamW(
        kind.module.parameters(),
        lr=args.lr,
        betas=(0.9, 0.98),
        weight_decay=0.01,
        fused=True,
    )
    speech = Speech(args.speech, args.weights)
    heldout = Speech([args.heldout])
    print(f"{len(speech.wavs)} clips, {speech.hours:.2f} h")
    checkpoint = args.work / "checkpoint.pt"
    if checkpoint.is_file():
        first, log = resume(checkpoint, kind, optimizer)
    else:
        first, log = 0, []
        kind.prepare(speech)
    earlier = log[-1]["minutes"] if log else 0.0
    begun = time.time()
    bar = tqdm(range(first, args.steps), initial=first, total=args.steps)
    for step in bar:
        details = update(kind, optimizer, speech, step, args)
        if (step + 1) % args.every == 0 or step + 1 == args.steps:
            row = {"step": step + 1}
            row.update({key: float(value) for key, value in details.items()})
            row.update(evaluate(kind, heldout))
            row["minutes"] = earlier + (time.time() - begun) / 60
            log.append(row)
            bar.write(json.dumps({k: round(v, 4) for k, v in row.items()}))
            save_checkpoint(checkpoint, kind, optimizer, step + 1, log)
    return kind, log


def halve(folder):
    """Rewrites the folder's weights as fp16."""
    path = folder / "model.safetensors"
    weights = {name: w.half() for name, w in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})


def draw_curve(path, log, kind):
    """Draw the loss and the main figure against updates."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2))
    steps = [row["step"] for row in log]
    for axes, key in ((left, "loss"), (right, kind.pictured)):
        axes.plot(steps, [row[key] for row in log], label="training")
        axes.plot(
            steps, [row[f"heldout_{key}"] for row in log], label="held out"
        )
        axes.set(xlabel="updates", ylabel=key)
        axes.legend(frameon=False)
    figure.suptitle(kind.title)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def write_model(kind, log, work):
    """The model in --work, the asset, and its curve in docs/."""
    kind.save(work / "model")
    if kind.asset is None:
        return
    folder = ROOT / "ser_brain" / "assets" / kind.asset
    kind.save(folder)
    halve(folder)
    name = ROOT / "docs" / kind.asset
    with name.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, log[0])
        writer.writeheader()
        writer.writerows(log)
    draw_curve(name.with_suffix(".png"), log, kind)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--speech", nargs="+", required=True)
    parser.add_argument("--heldout", required=True)
    parser.add_argument(
        "--weights", nargs="+", type=float, help="of the --speech folders"
    )
    parser.add_argument("--front_end", type=Path, help="what front_end made")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument(
        "--cooldown", type=float, default=0.2, help="share of the updates"
    )
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    kind, log = pretrain(args)
    write_model(kind, log, args.work)


if __name__ == "__main__":
    main()
